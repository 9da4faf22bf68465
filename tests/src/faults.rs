//! Whatever happens to a worker between its calls, calling it again ends as one clean run does.

use crate::World;
use serde_json::{Map, Value, json};
use simulator::{
    faults::{Fault, role},
    wire::CallRecord,
};
use std::{collections::BTreeSet, future::Future, time::Duration};
use tokio::time::sleep;
use workers::WorkerError;

/// What can happen at a call: the process dies before or after its effect, its answer is lost, the call itself is lost.
const FAULTS: [Fault; 4] = [
    Fault::KillCaller {
        after_effect: false,
    },
    Fault::KillCaller { after_effect: true },
    Fault::FailAfterEffect,
    Fault::TimeoutBefore,
];

/// Lets each fault befall each of the worker's AWS calls, every time in a world of its own; calls the worker again as the
/// state machine does, and demands the end state of one clean run. A second clean call changes nothing.
///
/// `setup` makes a world and the worker's input in it.
pub async fn ends_the_same_after_any_fault<F>(worker: &str, setup: impl Fn() -> F)
where
    F: Future<Output = (World, Value)>,
{
    let (world, input) = setup().await;
    let earlier = calls_of(&world, worker).len();
    let answer = world.call(worker, input.clone()).await;
    let answer = answer.expect("a clean run");
    let calls = calls_of(&world, worker).split_off(earlier);
    let clean = end_state(&world).await;
    let again = world.call(worker, input).await.expect("a second call");
    let told = format!("{worker} called twice");
    assert_same(&end_state(&world).await, &clean, &told);
    assert_eq!(again["outcome"], answer["outcome"], "{told}");
    assert!(calls.len() > 1, "{worker} made {} calls", calls.len());
    for (nth, call) in (1..).zip(&calls) {
        for fault in FAULTS {
            let (world, input) = setup().await;
            let told = format!("{worker}, {fault:?} at call {nth} ({})", call.action);
            fault_at(&world, worker, nth, fault.clone());
            let first = world.call_or_die(worker, input.clone()).await;
            let dies = matches!(fault, Fault::KillCaller { .. });
            assert_eq!(first.is_none(), dies, "{told}: {first:?}");
            world.wire().faults().set_plan(|_| Fault::Proceed);
            let last = match first {
                Some(Ok(outcome)) => Ok(outcome),
                _ => retry(&world, worker, input).await,
            };
            let last = last.unwrap_or_else(|e| panic!("{told}: {e:?}"));
            assert_eq!(last["outcome"], answer["outcome"], "{told}");
            assert_same(&end_state(&world).await, &clean, &told);
        }
    }
}

/// Names what differs, not the whole.
fn assert_same(found: &Value, clean: &Value, told: &str) {
    let mut differences = Vec::new();
    differ(found, clean, String::new(), &mut differences);
    assert!(
        differences.is_empty(),
        "{told}:\n{}",
        differences.join("\n")
    );
}

fn differ(found: &Value, clean: &Value, at: String, differences: &mut Vec<String>) {
    match (found, clean) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                differ(
                    &found[name],
                    &clean[name],
                    format!("{at}/{name}"),
                    differences,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            for nth in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(nth), b.get(nth));
                let none = Value::Null;
                differ(
                    a.unwrap_or(&none),
                    b.unwrap_or(&none),
                    format!("{at}/{nth}"),
                    differences,
                );
            }
        }
        _ if found != clean => differences.push(format!("{at}: {found} instead of {clean}")),
        _ => {}
    }
}

/// Lets a fault befall the worker's nth call, counted from now.
pub fn fault_at(world: &World, worker: &str, nth: usize, fault: Fault) {
    let worker = worker.to_owned();
    let count = std::sync::atomic::AtomicUsize::new(0);
    world.wire().faults().set_plan(move |call| {
        let own = call.role() == worker;
        if own && count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == nth {
            fault.clone()
        } else {
            Fault::Proceed
        }
    });
}

/// Calls the worker as the state machine does: errors that pass are tried again.
pub async fn retry(world: &World, worker: &str, input: Value) -> Result<Value, WorkerError> {
    for _ in 0..10 {
        match world.call(worker, input.clone()).await {
            Err(
                WorkerError::NotSettledYet(_)
                | WorkerError::AwsUnavailable(_)
                | WorkerError::NotPlaced(_),
            ) => sleep(Duration::from_secs(30)).await,
            ended => return ended,
        }
    }
    panic!("{worker} does not settle within ten tries");
}

/// The calls that a worker has made.
pub fn calls_of(world: &World, worker: &str) -> Vec<CallRecord> {
    let mut calls = world.wire().calls();
    calls.retain(|call| role(&call.caller) == worker);
    calls
}

/// Records, instances and running tasks, when all that was told to stop has stopped; without what differs from one run
/// to the next: times, the names of tasks, and how many launches were undone on the way.
pub async fn end_state(world: &World) -> Value {
    sleep(Duration::from_secs(120)).await;
    let settings = &world.cloud.settings;
    let jobs = world.items(&settings.training_job_table).await;
    let instances = world.items(&settings.container_instance_table).await;
    let mut running: Vec<String> = Vec::new();
    let mut names = Vec::new();
    for task in world.cloud.fleet.tasks() {
        let text = |member: &str| task[member].as_str().unwrap_or_default();
        let name = format!(
            "task of {} on {}",
            text("startedBy"),
            text("containerInstanceArn")
        );
        let running_now = text("lastStatus") != "STOPPED";
        names.push((
            text("taskArn").to_owned(),
            format!("{name}, running: {running_now}"),
        ));
        if running_now {
            running.push(format!(
                "{name}: {} {} {}",
                text("taskDefinitionArn"),
                task["overrides"],
                task["tags"]
            ));
        }
    }
    running.sort_unstable();
    let ecs: Map<String, Value> = world
        .cloud
        .fleet
        .instances()
        .into_iter()
        .map(|instance| (instance.id, instance.status.into()))
        .collect();
    let mut state = json!({ "jobs": jobs, "instances": instances, "ecs": ecs, "running": running });
    steady(&mut state, &names);
    state
}

fn steady(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => {
            if let Some((_, name)) = names.iter().find(|(arn, _)| arn == text) {
                text.clone_from(name);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|v| steady(v, names)),
        Value::Object(members) => {
            for name in [
                "created_at",
                "updated_at",
                "last_check_at",
                "held_since",
                "launch_try",
                "attempts",
                "at",
                "expires_at",
            ] {
                members.remove(name);
            }
            if let Some(faults) = members.get_mut("faults") {
                *faults = json!(faults.as_array().map_or(0, Vec::len));
            }
            members.values_mut().for_each(|v| steady(v, names));
        }
        _ => {}
    }
}
