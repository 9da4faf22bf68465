//! Playing a schedule until nothing happens any more.

use super::{
    dice::Dice,
    people::{self, Done},
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
    ecs::{Flaps, FleetSettings, GpuHealth},
    launcher,
    plan::{Plan, Strike},
    promises::{self, Scene, Watch},
    scenario::PlayError,
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

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
/// After the bad day people redrive what is left, so often.
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

/// A schedule under way.
struct Stage<'a> {
    cloud: &'a Cloud,
    plan: &'a Plan,
    watch: &'a Watch,
    done: &'a Done,
}

async fn play_here(
    plan: &Plan,
    options: &ChaosOptions,
    trace: Option<&Trace>,
) -> Result<(ChaosReport, Vec<Strike>), PlayError> {
    let cloud = Cloud::new(CloudOptions {
        seed: plan.seed,
        fleet: FleetSettings {
            flaps: plan.flaps.then(Flaps::default),
            shown_after: plan.storm.ecs_lag,
            ..FleetSettings::default()
        },
        settings: plan.settings.clone(),
        definition: options.definition.clone(),
        looks: plan.delivery.lost > 0.0,
        ..CloudOptions::default()
    })
    .await?;
    let lag = plan.storm.states_lag;
    cloud.stepfunctions.set_lag(move || lag);
    let to_come = people::to_come(plan);
    let all_jobs = plan.all_jobs();
    let ids = all_jobs.iter().map(|job| job.id.as_str());
    let watch = Watch::over(&cloud, promises::attempts(ids));
    if let Some(trace) = trace {
        trace.follow(&cloud);
    }
    reboots(&cloud, plan, trace);
    store::install(&cloud, plan.seed, &plan.storm, &watch);
    launcher::furnish(&cloud, plan);
    cloud.bus.set_delivery(plan.delivery.clone());
    let weather = Weather::new(plan.seed, &plan.storm);
    weather.record();
    let (struck, of, traced) = (
        weather.clone(),
        cloud.clock,
        trace.cloned().zip(Some(cloud.clone())),
    );
    cloud.wire.faults().set_plan(move |call| {
        let fault = struck.decide(call);
        if let Some((trace, cloud)) = &traced {
            trace.line(
                cloud,
                format_args!(
                    "call {} {} {}:{} {fault:?}",
                    of.elapsed().as_millis(),
                    call.caller,
                    call.service,
                    call.action
                ),
            );
        }
        fault
    });
    let start = Instant::now();
    for job in &plan.jobs {
        sleep_until(start + job.at).await;
        launcher::launch(&cloud, &plan.nodes, job).await?;
    }
    launcher::break_gpus(&cloud, &plan.nodes);
    launcher::log_at_first_end(&cloud, &plan.nodes);
    for (action, limit) in &plan.throttle {
        cloud.wire.throttle().set_limit("ecs", action, *limit);
    }
    let mut done = Done::default();
    for (nth, (at, deed)) in plan.deeds.iter().enumerate() {
        sleep_until(start + *at).await;
        if let Some(trace) = trace {
            trace.line(&cloud, format_args!("DEED {deed:?}"));
        }
        people::act(&cloud, plan, nth, &to_come, &mut done).await;
    }
    let mut ended = settle(&cloud, plan, start, &mut done).await;
    weather.calm();
    for _ in 0..CALM_ROUNDS {
        let before = done.hands.redrives;
        people::redrive(&cloud, &mut done, |execution| {
            let lost = execution.error.as_deref() == Some("ClaimLost");
            !(lost && execution.redrive_count > 0)
        });
        if done.hands.redrives == before {
            break;
        }
        ended = settle(&cloud, plan, start, &mut done).await;
    }
    let stage = Stage {
        cloud: &cloud,
        plan,
        watch: &watch,
        done: &done,
    };
    let report = tell(&stage, &weather, start, ended).await?;
    cloud.dissolve();
    Ok((report, weather.calls()))
}

/// Some GPUs are bad again some time after a reboot.
fn reboots(cloud: &Cloud, plan: &Plan, trace: Option<&Trace>) {
    let relapses: BTreeMap<String, Duration> = plan
        .nodes
        .iter()
        .filter_map(|node| Some((node.id.clone(), node.relapses?)))
        .collect();
    let (of, trace) = (cloud.clone(), trace.cloned());
    cloud.fleet.on_reboot(move |node, order| {
        if let Some(trace) = &trace {
            trace.line(&of, format_args!("REBOOT {node} by {order}"));
        }
        if let Some(after) = relapses.get(node) {
            let (cloud, node, after) = (of.clone(), node.to_owned(), *after);
            tokio::spawn(async move {
                sleep(after).await;
                people::go_bad(&cloud, &node, GpuHealth::FaultUntilReboot);
            });
        }
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
        if rounds.elapsed() < people::ROUNDS {
            return false;
        }
        rounds = Instant::now();
        let before = done.hands.redrives;
        if dice.chance(0.5) {
            people::redrive(cloud, done, |execution| execution.redrive_count < 3);
        }
        // It may run and end before the next look.
        done.hands.redrives > before
    };
    calm.beside(&plan.delivery).settle(cloud, operators).await
}

async fn tell(
    stage: &Stage<'_>,
    weather: &Weather,
    start: Instant,
    ended: bool,
) -> Result<ChaosReport, PlayError> {
    let Stage {
        cloud,
        plan,
        watch,
        done,
    } = stage;
    let strikes = weather.strikes();
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for strike in &strikes {
        *kinds.entry(strike.kind.words().to_owned()).or_default() += 1;
    }
    let verdict = promises::kept(&Scene {
        cloud,
        watch,
        hands: &done.hands,
        jobs: plan
            .jobs
            .iter()
            .chain(done.started.values())
            .map(|job| job.id.as_str())
            .collect(),
        ranks: plan
            .jobs
            .iter()
            .map(|job| job.nodes.len())
            .max()
            .unwrap_or_default(),
        redriven: true,
    })
    .await?;
    let mut broken = verdict.broken;
    if !ended {
        broken.push("promise 3: it did not come to an end within four days".to_owned());
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
        strikes: kinds,
        virtual_hours: start.elapsed().as_secs_f64() / 3600.0,
    };
    Ok(ChaosReport {
        seed: plan.seed,
        command: format!("cargo run -- drill --chaos --seed {}", plan.seed),
        plan: words::told(plan),
        strikes: strikes
            .iter()
            .map(|s| {
                format!(
                    "call {} of {}: {} {} {}",
                    s.nth,
                    s.caller,
                    s.call,
                    s.kind.words(),
                    s.code
                )
            })
            .collect(),
        jobs: verdict.jobs,
        broken_promises: broken,
        counts,
    })
}
