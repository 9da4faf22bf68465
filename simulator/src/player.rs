//! Playing a plan: what drills, schedules and the sandbox have in common.

use crate::{
    cloud::{Cloud, CloudError, CloudOptions},
    deeds::Done,
    ecs::{EcsSettings, Flaps},
    kernel, launcher,
    plan::Plan,
    promises::{self, Scene, Verdict, Watch},
};
use tokio::time::{Instant, sleep_until};
use workers::{WorkerError, desk::submit::SubmitError};

/// Why a plan could not be played.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("the job could not be started: {0}")]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

impl Plan {
    /// The account that it is played in.
    pub fn account(&self) -> CloudOptions {
        CloudOptions {
            seed: self.seed,
            fleet: EcsSettings {
                flaps: self.flaps.then(Flaps::default),
                shown_after: self.storm.ecs_lag,
                ..EcsSettings::default()
            },
            settings: self.settings.clone(),
            looks: self.delivery.lost > 0.0,
            ..CloudOptions::default()
        }
    }

    fn throttle(&self, cloud: &Cloud) {
        for (service, action, limit) in &self.throttle {
            cloud.wire.throttle().set_limit(service, action, *limit);
        }
    }
}

/// Makes an account what the plan says at its start: cluster, launched jobs, broken GPUs, how events travel, what others
/// leave of the APIs' rates.
///
/// # Errors
/// When a job cannot be started.
pub async fn enter(cloud: &Cloud, plan: &Plan) -> Result<(), SubmitError> {
    launcher::furnish(cloud, plan);
    cloud.bus.set_delivery(plan.delivery.clone());
    if plan.throttled_submission {
        plan.throttle(cloud);
    }
    let start = Instant::now();
    for job in &plan.jobs {
        sleep_until(start + job.at).await;
        launcher::launch(cloud, &plan.nodes, job).await?;
    }
    launcher::break_gpus(cloud, &plan.nodes);
    kernel::log_at_first_end(cloud, &plan.nodes);
    if !plan.throttled_submission {
        plan.throttle(cloud);
    }
    Ok(())
}

/// Whether the promises were kept, where nothing happens any more.
///
/// # Errors
/// When the records cannot be read.
pub(crate) async fn verdict(
    cloud: &Cloud,
    plan: &Plan,
    watch: &Watch,
    done: &Done,
    redriven: bool,
) -> Result<Verdict, WorkerError> {
    let jobs = plan.jobs.iter().chain(done.started.values());
    let sizes = plan.jobs.iter().map(|job| job.nodes.len());
    let scene = Scene {
        cloud,
        watch,
        hands: &done.hands,
        jobs: jobs.map(|job| job.id.as_str()).collect(),
        ranks: sizes.max().unwrap_or_default(),
        redriven,
    };
    promises::kept(&scene).await
}
