//! Playing a scenario from the job's start until nothing happens any more.

use super::{
    hosts::Hosts,
    looking::{Looking, Onlooker},
    reached,
    report::{self, Report},
    spec::Scenario,
};
use crate::{
    calm::Calm,
    clock::in_virtual_time,
    cloud::{Cloud, CloudOptions, RECOVERY},
    deeds::Done,
    faults::{CallFacts, Fault},
    integrations::TestCase,
    plan::Plan,
    player::{self, PlayError},
    promises::Watch,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

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
    let plan = Plan::of_scenario(scenario, options.seed);
    let cloud = Cloud::new(CloudOptions {
        definition: options.definition.clone(),
        mocks: options.mocks.clone(),
        ..plan.account()
    })
    .await?;
    let report = play_in(&cloud, scenario, &plan, options).await;
    cloud.dissolve();
    report
}

async fn play_in(
    cloud: &Cloud,
    scenario: &Scenario,
    plan: &Plan,
    options: &PlayOptions,
) -> Result<Report, PlayError> {
    let watch = Watch::over(cloud, plan.attempts());
    let hosts = Hosts::watch(cloud);
    player::enter(cloud, plan).await?;
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
        .map(|onlooker| Looking::begin(cloud, plan.nodes.len(), start, onlooker));
    if let Some(faults) = options.faults.clone() {
        cloud.wire.faults().set_plan(move |call| match call.role() {
            "launcher" | "report" => Fault::Proceed,
            _ => faults(call),
        });
    }
    let (mut idle, mut done) = (Vec::new(), Done::default());
    for (nth, (at, _)) in plan.deeds.iter().enumerate() {
        sleep_until(start + *at).await;
        if !done.act(cloud, plan, nth).await? {
            idle.push(nth);
        }
    }
    let ended = settle(cloud, scenario, plan, start).await;
    drop(looking);
    let broken = player::verdict(cloud, plan, &watch, &done, false)
        .await?
        .broken;
    let mut report = report::of(cloud, scenario, options, started, &hosts, ended, broken).await?;
    report.not_reached = reached::not(&watch, scenario, &report, &idle);
    Ok(report)
}

/// Waits until all that is scheduled has happened, every execution has ended and nothing new has started for a while;
/// false when that never comes.
async fn settle(cloud: &Cloud, scenario: &Scenario, plan: &Plan, start: Instant) -> bool {
    let calm = Calm {
        step: STEP,
        quiet: QUIET,
        patience: PATIENCE,
        bound: start + scheduled(scenario) + BOUND,
    };
    let to_come = || cloud.fleet.scheduled_until() > Some(Instant::now());
    calm.beside(&plan.delivery).settle(cloud, to_come).await
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
