//! Playing a schedule until nothing happens any more.

use super::{
    dice::Dice,
    report::{ChaosReport, Counts},
    store,
    storm::Weather,
    trace::Trace,
    words,
};
use crate::{
    calm::Calm,
    clock::in_virtual_time,
    cloud::{Cloud, CloudOptions, RECOVERY},
    deeds::Done,
    plan::{Plan, Strike},
    player::{self, PlayError},
    promises::Watch,
};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How schedules are played.
#[derive(Debug, Clone)]
pub struct ChaosOptions {
    pub definition: String,
}

impl Default for ChaosOptions {
    fn default() -> Self {
        Self {
            definition: RECOVERY.to_owned(),
        }
    }
}

/// Nothing has started for so long, beside what may still be late: it is over. A rank may run for half an hour before it
/// ends again.
const QUIET: Duration = Duration::from_secs(2400);
/// It is broken off then.
const BOUND: Duration = Duration::from_secs(96 * 3600);
const STEP: Duration = Duration::from_secs(60);
/// How long the operators let a failed execution lie before they redrive it.
const ROUND: Duration = Duration::from_secs(900);
/// After the bad day operators redrive what is left, so often.
const CALM_ROUNDS: u32 = 6;

/// Plays the schedule of a seed.
///
/// # Errors
/// When it cannot be played at all. What was broken is in the report.
pub fn play_chaos(seed: u64, options: &ChaosOptions) -> Result<ChaosReport, PlayError> {
    play_plan(&Plan::of(seed), options)
}

/// Plays a schedule that was drawn before, or written by hand.
///
/// # Errors
/// As [`play_chaos`]'s.
pub fn play_plan(plan: &Plan, options: &ChaosOptions) -> Result<ChaosReport, PlayError> {
    play_plan_traced(plan, options, None).map(|(report, _)| report)
}

/// Every call that the system makes in this schedule, in order; each as a strike, of whatever kind.
///
/// # Errors
/// As [`play_chaos`]'s.
pub fn calls_of(plan: &Plan, options: &ChaosOptions) -> Result<Vec<Strike>, PlayError> {
    play_plan_traced(plan, options, None).map(|(_, calls)| calls)
}

pub(super) fn play_plan_traced(
    plan: &Plan,
    options: &ChaosOptions,
    trace: Option<&Trace>,
) -> Result<(ChaosReport, Vec<Strike>), PlayError> {
    in_virtual_time(play_here(plan, options, trace))
}

async fn play_here(
    plan: &Plan,
    options: &ChaosOptions,
    trace: Option<&Trace>,
) -> Result<(ChaosReport, Vec<Strike>), PlayError> {
    let cloud = Cloud::new(CloudOptions {
        definition: options.definition.clone(),
        ..plan.account()
    })
    .await?;
    let lag = plan.storm.states_lag;
    cloud.stepfunctions.set_lag(move || lag);
    let watch = Watch::over(&cloud, plan.attempts());
    if let Some(trace) = trace {
        trace.follow(&cloud);
    }
    store::install(&cloud, plan.seed, &plan.storm, &watch);
    let weather = Weather::new(plan.seed, &plan.storm);
    weather.record();
    strike(&cloud, &weather, trace);
    let start = Instant::now();
    player::enter(&cloud, plan).await?;
    let mut done = Done::default();
    for (nth, (at, deed)) in plan.deeds.iter().enumerate() {
        sleep_until(start + *at).await;
        if let Some(trace) = trace {
            trace.line(&cloud, format_args!("DEED {deed:?}"));
        }
        // What AWS refuses in this weather, the operator leaves.
        drop(done.act(&cloud, plan, nth).await);
    }
    let mut ended = settle(&cloud, plan, start, &mut done).await;
    weather.calm();
    for _ in 0..CALM_ROUNDS {
        let redriven = done.redrive(&cloud, |execution| {
            let lost = execution.error.as_deref() == Some("ClaimLost");
            !(lost && execution.redrive_count > 0)
        });
        if !redriven {
            break;
        }
        ended = settle(&cloud, plan, start, &mut done).await;
    }
    let mut verdict = player::verdict(&cloud, plan, &watch, &done, true).await?;
    if !ended {
        let broken = "promise 3: it did not come to an end within four days";
        verdict.broken.push(broken.to_owned());
    }
    if let Some(allowed) = plan.own_time(weather.strikes().len(), done.hands.redrives) {
        verdict.broken.extend(watch.too_slow(allowed));
    }
    let counts = Counts {
        instances: plan.nodes.len(),
        jobs: plan.jobs.len() + done.started.len(),
        ranks: plan.jobs.iter().map(|job| job.nodes.len()).sum(),
        executions: cloud.stepfunctions.counts().1,
        redrives: done.hands.redrives,
        reboots: watch.reboots().len(),
        relaunches: watch.relaunches().len(),
        quarantined: verdict.quarantined,
        notifications: verdict.notifications,
        dead_letters: cloud.lambda.dead_letters().len(),
        calls: verdict.calls,
        strikes: weather.counts(),
        virtual_hours: start.elapsed().as_secs_f64() / 3600.0,
    };
    let report = ChaosReport {
        seed: plan.seed,
        command: format!("cargo run -- drill --chaos --seed {}", plan.seed),
        plan: words::told(plan),
        strikes: weather.strikes().iter().map(ToString::to_string).collect(),
        jobs: verdict.jobs,
        broken_promises: verdict.broken,
        counts,
    };
    cloud.dissolve();
    Ok((report, weather.calls()))
}

/// Lets the weather decide on every call.
fn strike(cloud: &Cloud, weather: &Weather, trace: Option<&Trace>) {
    let (weather, clock) = (weather.clone(), cloud.clock);
    let traced = trace.cloned().zip(Some(cloud.clone()));
    cloud.wire.faults().set_plan(move |call| {
        let fault = weather.decide(call);
        if let Some((trace, cloud)) = &traced {
            trace.line(
                cloud,
                format_args!(
                    "call {} {} {}:{} {fault:?}",
                    clock.elapsed().as_millis(),
                    call.caller,
                    call.service,
                    call.action
                ),
            );
        }
        fault
    });
}

/// Lets time pass until nothing happens any more, while operators redrive what failed now and then; false when that
/// never comes.
async fn settle(cloud: &Cloud, plan: &Plan, start: Instant, done: &mut Done) -> bool {
    let dice = Dice::new(plan.seed, "operators");
    let mut rounds = Instant::now();
    let calm = Calm {
        step: STEP,
        quiet: QUIET,
        patience: QUIET,
        bound: start + BOUND,
    };
    let operators = || {
        if rounds.elapsed() < ROUND {
            return false;
        }
        rounds = Instant::now();
        // It may run and end before the next look.
        dice.chance(0.5) && done.redrive(cloud, |execution| execution.redrive_count < 3)
    };
    calm.beside(&plan.delivery).settle(cloud, operators).await
}
