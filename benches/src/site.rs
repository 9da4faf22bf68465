//! A cluster with jobs on it, one of whose GPUs goes bad: played in the simulated account until nothing happens any more.

pub use simulator::clock::in_virtual_time;
use simulator::{
    calm::Calm,
    cloud::{Cloud, CloudError, CloudOptions, RECOVERY},
    ecs::{Behaviour, GpuHealth, NewInstance},
    faults::Fault,
    launcher::{GPUS, training},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep_until};
use workers::{
    aws::launch_names::started_by,
    desk::submit::{Submission, SubmitError, submit},
    ids::{InstanceId, JobId},
};

/// What is on the cluster, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub jobs: u32,
    /// Ranks of each job, one a node.
    pub nodes: u32,
    /// Ranks of each job that die of a bad GPU, which a reboot fixes.
    pub faulty: u32,
    /// The other ranks abort then, as all do whose collective loses a peer: the usual case.
    pub all_abort: bool,
    /// Items in each of the two tables that have nothing to do with the jobs.
    pub unrelated: u32,
    /// The state machine that is deployed.
    pub definition: String,
}

impl Plan {
    /// One job with one bad GPU.
    pub fn job(nodes: u32) -> Self {
        Self {
            seed: 1,
            jobs: 1,
            nodes,
            faulty: 1,
            all_abort: false,
            unrelated: 0,
            definition: RECOVERY.to_owned(),
        }
    }

    /// The ranks that die: rank 3, as in the drill, or the first ones.
    fn dying(&self) -> Vec<u32> {
        match self.faulty {
            1 => vec![3.min(self.nodes - 1)],
            many => (0..many.min(self.nodes)).collect(),
        }
    }
}

/// Why a plan could not be played.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Cloud(#[from] CloudError),
    #[error("a job could not be started: {0}")]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Worker(#[from] workers::WorkerError),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
    #[error("the unrelated items were refused: {0}")]
    Unrelated(String),
    #[error("job {0} was not recovered")]
    NotRecovered(String),
    #[error("the look failed: {0}")]
    Look(String),
    #[error("it did not come to an end within a day")]
    Endless,
}

/// The account with the jobs in it.
pub struct Site {
    pub cloud: Cloud,
    pub jobs: Vec<JobId>,
    /// When the ranks die: all of them in the same moment.
    pub dies_at: SystemTime,
    log: Log,
}

/// What no record of AWS tells: when functions were called, hosts went down and agents came back.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<Moment>>>);

/// One of those.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    pub at: SystemTime,
    pub what: What,
    /// The function, or the instance.
    pub who: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    FunctionCalled,
    RebootBegins,
    SsmAgentBack,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Moment>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, at: SystemTime, what: What, who: &str) {
        let who = who.to_owned();
        self.lock().push(Moment { at, what, who });
    }
}

/// Nothing has started for so long: it is over.
const QUIET: Duration = Duration::from_secs(300);
const BOUND: Duration = Duration::from_secs(24 * 3600);
const STEP: Duration = Duration::from_secs(5);
/// The jobs run so long before their ranks die.
const RUNS: Duration = Duration::from_secs(600);
/// Tasks that the launcher starts in a second: less than the account's rate.
const LAUNCHES: f64 = 30.0;
/// The other bad ranks abort so long after the first: NCCL's abort.
const ABORT: Duration = Duration::from_millis(300);

/// Plays the plan to its end and lets `look` read what is to be known.
///
/// # Errors
/// [`SiteError`].
pub fn play<T>(
    plan: &Plan,
    look: impl AsyncFnOnce(&Site) -> Result<T, SiteError>,
) -> Result<T, SiteError> {
    in_virtual_time(async {
        let site = Site::new(plan).await?;
        site.settle().await?;
        let seen = look(&site).await;
        site.cloud.clone().dissolve();
        seen
    })
}

impl Site {
    /// Makes the account and starts the jobs.
    ///
    /// # Errors
    /// [`SiteError`].
    pub async fn new(plan: &Plan) -> Result<Self, SiteError> {
        let cloud = Cloud::new(CloudOptions {
            seed: plan.seed,
            definition: plan.definition.clone(),
            ..CloudOptions::default()
        })
        .await?;
        let log = Log::default();
        watch(&cloud, &log);
        crate::unrelated::fill(&cloud, plan.unrelated).map_err(SiteError::Unrelated)?;
        let jobs: Vec<JobId> = (0..plan.jobs)
            .map(|job| JobId::new(format!("job-{job:04}")))
            .collect();
        let launching = Duration::from_secs_f64(f64::from(plan.jobs * plan.nodes) / LAUNCHES);
        let dies_at = cloud.clock.now() + RUNS + launching;
        furnish(&cloud, plan, &jobs, dies_at);
        let site = Self {
            cloud,
            jobs,
            dies_at,
            log,
        };
        site.launch(plan).await?;
        Ok(site)
    }

    async fn launch(&self, plan: &Plan) -> Result<(), SiteError> {
        let context = self.cloud.lambda.context("launcher");
        let begin = Instant::now();
        for (job, id) in (0..).zip(&self.jobs) {
            // One job after the other, within the account's rate.
            let before = f64::from(job * plan.nodes) / LAUNCHES;
            sleep_until(begin + Duration::from_secs_f64(before)).await;
            let ranks = (0..plan.nodes)
                .map(|rank| {
                    let instance = InstanceId::new(instance_id(job, rank));
                    (instance, training(GPUS, rank, plan.nodes))
                })
                .collect();
            let submission = Submission {
                job_id: id.clone(),
                ranks,
                recovery_attempts: None,
                policies: workers::settings::JobPolicies::default(),
            };
            submit(&context, &submission).await?;
        }
        Ok(())
    }

    /// Waits until every execution has ended and none has started for a while.
    ///
    /// # Errors
    /// [`SiteError::Endless`].
    pub async fn settle(&self) -> Result<(), SiteError> {
        let calm = Calm {
            step: STEP,
            quiet: QUIET,
            patience: QUIET,
            bound: Instant::now() + BOUND,
        };
        let clock = self.cloud.clock;
        let over = calm
            .settle(&self.cloud, || clock.now() < self.dies_at)
            .await;
        over.then_some(()).ok_or(SiteError::Endless)
    }

    /// What happened so far that no record of AWS tells, in order.
    pub fn moments(&self) -> Vec<Moment> {
        self.log.lock().clone()
    }
}

fn watch(cloud: &Cloud, log: &Log) {
    let clock = cloud.clock;
    let calls = log.clone();
    cloud.wire.faults().set_plan(move |call| {
        if call.service == "lambda" {
            calls.note(clock.now(), What::FunctionCalled, call.action);
        }
        Fault::Proceed
    });
    let reboots = log.clone();
    cloud
        .fleet
        .on_reboot(move |id, _| reboots.note(clock.now(), What::RebootBegins, id));
    let agents = log.clone();
    cloud
        .fleet
        .on_ssm_online(move |id| agents.note(clock.now(), What::SsmAgentBack, id));
}

/// The node of a job's rank.
pub fn instance_id(job: u32, rank: u32) -> String {
    format!("i-0f3a9c{job:04x}{rank:07x}")
}

/// Adds the instances and lets the bad ranks die.
fn furnish(cloud: &Cloud, plan: &Plan, jobs: &[JobId], dies_at: SystemTime) {
    let (dying, all_abort) = (plan.dying(), plan.all_abort);
    for job in 0..plan.jobs {
        for rank in 0..plan.nodes {
            let id = instance_id(job, rank);
            cloud.fleet.add_instance(NewInstance::p5(&id));
            if dying.contains(&rank) {
                cloud.fleet.set_gpu_health(&id, GpuHealth::FaultUntilReboot);
            }
        }
    }
    let first_attempts: BTreeSet<String> = jobs.iter().map(|job| started_by(job, 1)).collect();
    let clock = cloud.clock;
    cloud.fleet.on_job_task(move |task| {
        let rank = task.environment.get("RANK").and_then(|r| r.parse().ok());
        let first = task
            .started_by
            .as_ref()
            .is_some_and(|by| first_attempts.contains(by));
        match rank {
            Some(rank) if first && rank == dying[0] => {
                let left = dies_at.duration_since(clock.now()).unwrap_or_default();
                Behaviour::exits(left, 1)
            }
            Some(rank) if first && (all_abort || dying.contains(&rank)) => {
                Behaviour::aborts_with_gang(ABORT, 1)
            }
            _ => Behaviour::default(),
        }
    });
}
