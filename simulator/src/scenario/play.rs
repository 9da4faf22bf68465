//! Playing a scenario from the job's start until nothing happens any more.

use super::{
    hosts::Hosts,
    looking::{Looking, Onlooker},
    plan::{JOB, instance_id},
    reached,
    report::{self, Report},
    spec::{Action, Scenario},
};
use crate::{
    calm::Calm,
    clock::in_virtual_time,
    cloud::{Cloud, CloudError, CloudOptions, RECOVERY},
    ecs::{Flaps, FleetSettings, GpuHealth},
    faults::{CallFacts, Fault},
    integrations::TestCase,
    launcher::{self, GPUS},
    operator,
    plan::{Job, Plan},
    promises::{self, Hands, Scene, Watch},
    stepfunctions::ExecutionStatus,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use workers::{
    WorkerError,
    decisions::exit::KEEP_OTHERS,
    desk::submit::SubmitError,
    ids::{ContainerInstanceArn, InstanceId, JobId},
};

/// Sees the history events of every execution as they are written: virtual time since the job's start, execution ARN,
/// event.
pub type Observer = Arc<dyn Fn(Duration, &str, &Value) + Send + Sync>;

/// Asked at every AWS call.
pub type FaultPlan = Arc<dyn Fn(&CallFacts<'_>) -> Fault + Send + Sync>;

/// How a scenario is played.
#[derive(Clone)]
pub struct PlayOptions {
    pub seed: u64,
    pub definition: String,
    /// Mocks for states of the definition that no function of the system does.
    pub mocks: Option<TestCase>,
    pub observer: Option<Observer>,
    pub onlooker: Option<Onlooker>,
    pub faults: Option<FaultPlan>,
}

impl Default for PlayOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            definition: RECOVERY.to_owned(),
            mocks: None,
            observer: None,
            onlooker: None,
            faults: None,
        }
    }
}

/// Why a scenario could not be played.
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

/// Nothing has happened for so long: it is over.
const QUIET: Duration = Duration::from_secs(300);
/// A job to which nothing happens is watched for so long.
const PATIENCE: Duration = Duration::from_secs(3600);
/// No recovery takes so long: the definition's own bound is six hours, and a redrive starts it anew. Counted from the last
/// thing that the scenario schedules.
const BOUND: Duration = Duration::from_secs(24 * 3600);
const STEP: Duration = Duration::from_secs(5);

/// Plays a scenario in a runtime of its own, in virtual time.
///
/// # Errors
/// When it cannot be played at all. How it ended is in the report.
pub fn play(scenario: &Scenario, options: &PlayOptions) -> Result<Report, PlayError> {
    in_virtual_time(play_here(scenario, options))
}

async fn play_here(scenario: &Scenario, options: &PlayOptions) -> Result<Report, PlayError> {
    let cloud = Cloud::new(CloudOptions {
        seed: options.seed,
        fleet: scenario.fleet(),
        settings: scenario.settings.clone(),
        definition: options.definition.clone(),
        mocks: options.mocks.clone(),
        looks: scenario.delivery.lost > 0.0,
        ..CloudOptions::default()
    })
    .await?;
    let report = play_in(&cloud, scenario, options).await;
    cloud.dissolve();
    report
}

async fn play_in(
    cloud: &Cloud,
    scenario: &Scenario,
    options: &PlayOptions,
) -> Result<Report, PlayError> {
    let jobs = Plan::of_scenario(scenario, options.seed).all_jobs();
    let jobs: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let watch = Watch::over(cloud, promises::attempts(jobs.iter().copied()));
    let hosts = Hosts::watch(cloud);
    enter(cloud, scenario).await?;
    let start = Instant::now();
    let started = cloud.clock.now();
    if let Some(observer) = options.observer.clone() {
        cloud
            .stepfunctions
            .on_event(move |execution, event| observer(start.elapsed(), execution, event));
    }
    let looking = options
        .onlooker
        .clone()
        .map(|onlooker| Looking::begin(cloud, scenario, start, onlooker));
    if let Some(plan) = options.faults.clone() {
        cloud.wire.faults().set_plan(move |call| {
            if matches!(call.role(), "launcher" | "report") {
                Fault::Proceed
            } else {
                plan(call)
            }
        });
    }
    let mut actions = scenario.actions.clone();
    actions.sort_by_key(|a| a.at);
    let (mut idle, mut hands) = (Vec::new(), Hands::default());
    for action in &actions {
        sleep_until(start + action.at).await;
        if act(cloud, scenario, action).await? {
            hands.note(scenario, action);
        } else {
            idle.push(action);
        }
    }
    let ended = settle(cloud, scenario, start).await;
    drop(looking);
    let verdict = promises::kept(&Scene {
        cloud,
        watch: &watch,
        hands: &hands,
        jobs,
        ranks: scenario.nodes as usize,
        redriven: false,
    })
    .await?;
    let broken = verdict.broken;
    let mut report = report::of(cloud, scenario, options, started, &hosts, ended, broken).await?;
    report.not_reached = reached::not(&watch, scenario, &report, &idle);
    Ok(report)
}

impl Scenario {
    /// How its fleet lives.
    pub fn fleet(&self) -> FleetSettings {
        FleetSettings {
            flaps: self.flapping_agents.then(Flaps::default),
            ..FleetSettings::default()
        }
    }
}

/// Makes an account what the scenario says at its start: cluster, launched jobs, broken GPUs, how events travel, what
/// others leave of the APIs' rates.
///
/// # Errors
/// When a job cannot be started.
pub async fn enter(cloud: &Cloud, scenario: &Scenario) -> Result<(), SubmitError> {
    let plan = Plan::of_scenario(scenario, 0);
    launcher::furnish(cloud, &plan);
    cloud.bus.set_delivery((&scenario.delivery).into());
    let throttle = || {
        for t in &scenario.throttle {
            let throttle = cloud.wire.throttle();
            throttle.set_limit(&t.service, &t.action, t.limit());
        }
    };
    if scenario.throttled_submission {
        throttle();
    }
    for job in &plan.jobs {
        launcher::launch(cloud, &plan.nodes, job).await?;
    }
    launcher::break_gpus(cloud, &plan.nodes);
    launcher::log_at_first_end(cloud, &plan.nodes);
    if !scenario.throttled_submission {
        throttle();
    }
    Ok(())
}

impl Hands {
    fn note(&mut self, scenario: &Scenario, action: &Action) {
        if let Some(stop) = &action.stop_task {
            self.stopped.insert(JOB.to_owned());
            if stop.reason.starts_with(KEEP_OTHERS) {
                self.left.insert(JOB.to_owned());
            }
        }
        let cordoned = action.cordon.map(|node| instance_id(scenario, node));
        self.cordoned.extend(cordoned);
        self.redrives += u32::from(action.redrive_execution);
    }
}

/// Does what an operator does; false when there was nothing to do it to.
///
/// # Errors
/// When a call that it takes fails.
pub async fn act(cloud: &Cloud, scenario: &Scenario, action: &Action) -> Result<bool, PlayError> {
    let mut acted = false;
    if let Some(stop) = &action.stop_task {
        let context = cloud.lambda.context("launcher");
        let job = JobId::new(JOB);
        if let Some(record) = context.jobs.get(&job).await? {
            let ranks = context.jobs.ranks(&job, record.attempt).await?;
            if let Some(rank) = ranks.iter().find(|r| r.rank == stop.rank) {
                let task = rank.task_arn.as_str();
                let view = cloud.fleet.task(task);
                acted = view.is_some_and(|task| task["desiredStatus"] == "RUNNING");
                cloud.fleet.stop(task, &stop.reason);
            }
        }
    }
    if action.repeat_stop_events {
        for event in cloud.bus.record() {
            if event["detail-type"] == "ECS Task State Change"
                && event["detail"]["lastStatus"] == "STOPPED"
            {
                cloud.bus.put_event((*event).clone());
                acted = true;
            }
        }
    }
    if let Some(node) = action.cordon {
        let context = cloud.lambda.context("person");
        if let Some(view) = cloud.fleet.instance(&instance_id(scenario, node)) {
            let arn = ContainerInstanceArn::new(view.arn);
            context.fleet.drain(&arn).await?;
            acted = true;
        }
    }
    if let Some(node) = action.quarantine {
        acted = operator::quarantine(cloud, &InstanceId::new(instance_id(scenario, node))).await?;
    }
    if let Some(node) = action.check {
        acted = operator::check(cloud, &InstanceId::new(instance_id(scenario, node)));
    }
    if let Some(node) = action.break_gpu {
        let id = instance_id(scenario, node);
        let view = cloud.fleet.instance(&id);
        acted = view.is_some_and(|view| view.gpu_health == GpuHealth::Healthy);
        if acted {
            cloud.fleet.set_gpu_health(&id, GpuHealth::FaultUntilReboot);
        }
    }
    if let Some(node) = action.occupy {
        let plan = Plan::of_scenario(scenario, 0);
        let job = Job::another(GPUS, node as usize);
        acted = match launcher::launch(cloud, &plan.nodes, &job).await {
            Ok(()) => true,
            Err(SubmitError::NotPlaced(_)) => false,
            Err(error) => return Err(error.into()),
        };
    }
    if let Some(disconnect) = &action.disconnect_agent {
        let id = instance_id(scenario, disconnect.node);
        let view = cloud.fleet.instance(&id);
        acted = view.is_some_and(|view| view.agent_connected);
        cloud.fleet.disconnect_agent(&id, Some(disconnect.how_long));
    }
    for execution in cloud.stepfunctions.executions() {
        // What Step Functions refuses here (it has ended, it cannot be redriven) is no news to an operator either.
        if action.abort_execution && execution.status == ExecutionStatus::Running {
            let stopped = cloud.stepfunctions.stop(
                &execution.arn,
                Some("StoppedByOperator"),
                Some("an operator stopped it in the console"),
            );
            acted |= stopped.is_ok();
        }
        if action.redrive_execution
            && !matches!(
                execution.status,
                ExecutionStatus::Running | ExecutionStatus::Succeeded
            )
        {
            acted |= cloud.stepfunctions.redrive(&execution.arn).is_ok();
        }
    }
    Ok(acted)
}

/// Waits until all that is scheduled has happened, every execution has ended and nothing new has started for a while;
/// false when that never comes.
async fn settle(cloud: &Cloud, scenario: &Scenario, start: Instant) -> bool {
    let calm = Calm {
        step: STEP,
        quiet: QUIET,
        patience: PATIENCE,
        bound: start + scheduled(scenario) + BOUND,
    };
    let to_come = || cloud.fleet.scheduled_until() > Some(Instant::now());
    let calm = calm.beside(&(&scenario.delivery).into());
    calm.settle(cloud, to_come).await
}

/// How long the scenario's own schedule is at the most.
fn scheduled(scenario: &Scenario) -> Duration {
    let ranks = scenario.ranks.values().chain([&scenario.others]);
    let ends = ranks.map(|rank| {
        let first = rank.takes() * rank.attempts();
        rank.later
            .iter()
            .fold(first, |sum, later| sum + later.takes())
    });
    let cuts = scenario.actions.iter().map(|action| {
        let cut = action.disconnect_agent.as_ref();
        action.at + cut.map_or(Duration::ZERO, |cut| cut.how_long)
    });
    ends.chain(cuts).max().unwrap_or_default()
}
