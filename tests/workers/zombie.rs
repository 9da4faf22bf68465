//! RelaunchJob called twice at once: an invocation whose answer got lost goes on beside its retry.

use crate::relaunch_job::{assert_one_attempt, input};
use futures::future::join;
use serde_json::json;
use simulator::{
    cloud::TRAINING,
    ecs::{TaskDefinition, TaskKind},
    faults::Fault,
    wire::CallRecord,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tests::{
    Recovery, World,
    faults::{calls_of, retry},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

const RELAUNCH: &str = "relaunch-job";
const ZOMBIE: &str = "relaunch-job#zombie";
/// So long none of the zombie's calls gets through; the SDK tries five times, the last time after 27 s.
const STALL: Duration = Duration::from_secs(20);

/// What each task takes: one GPU, so that two sets of tasks would fit, or all.
const GPUS: [usize; 2] = [1, 8];

/// A stopped job of two.
async fn stopped_job(gpus: usize) -> (World, Recovery) {
    let w = World::new().await;
    w.cloud
        .fleet
        .define(TaskDefinition::new(TRAINING, TaskKind::Job, gpus));
    w.job(2).await;
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

/// The calls of a relaunch that nothing disturbs.
async fn undisturbed() -> Vec<CallRecord> {
    let (w, recovery) = stopped_job(1).await;
    w.outcome(RELAUNCH, input(&recovery), "Relaunched").await;
    calls_of(&w, RELAUNCH)
}

/// Every place to hold the zombie up, and how.
async fn faults() -> Vec<(usize, usize, Fault, String)> {
    let mut faults = Vec::new();
    for (nth, call) in (1..).zip(undisturbed().await) {
        for fault in [Fault::TimeoutBefore, Fault::FailAfterEffect] {
            for gpus in GPUS {
                let told = format!(
                    "zombie with {gpus} GPUs a task, {fault:?} at call {nth} ({})",
                    call.action
                );
                faults.push((nth, gpus, fault.clone(), told));
            }
        }
    }
    faults
}

/// From the zombie's nth call on, its calls time out for a while; the answer tells when that begins.
fn stall(w: &World, nth: usize, first: Fault) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let count = AtomicUsize::new(0);
    let since = Arc::new(std::sync::Mutex::new(None::<Instant>));
    w.wire().faults().set_plan(move |call| {
        if call.caller != ZOMBIE {
            return Fault::Proceed;
        }
        let own = count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut since = since.lock().unwrap();
        match *since {
            None if own < nth => Fault::Proceed,
            None => {
                *since = Some(Instant::now());
                sender.send_replace(true);
                first.clone()
            }
            Some(since) if since.elapsed() < STALL => Fault::TimeoutBefore,
            Some(_) => Fault::Proceed,
        }
    });
    receiver
}

#[tokio::test(start_paused = true)]
async fn a_zombie_beside_its_retry_leaves_one_attempt_wherever_it_is_held_up() {
    for (nth, gpus, first, told) in faults().await {
        let (w, recovery) = stopped_job(gpus).await;
        let mut stalled = stall(&w, nth, first);
        let retried = async {
            stalled.wait_for(|stalled| *stalled).await.unwrap();
            w.pass(2).await;
            retry(&w, RELAUNCH, input(&recovery)).await
        };
        let (zombie, retried) =
            join(w.call_as("zombie", RELAUNCH, input(&recovery)), retried).await;
        let told = format!("{told}: zombie {zombie:?}, retry {retried:?}");
        assert_eq!(retried.expect(&told)["outcome"], "Relaunched", "{told}");
        assert_one_attempt(&w, 2, &told).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_zombie_of_a_stopped_execution_leaves_nothing_beside_the_execution_that_took_over() {
    for (nth, gpus, first, told) in faults().await {
        let (w, recovery) = stopped_job(gpus).await;
        let mut stalled = stall(&w, nth, first);
        let event = w.stop_event(&w.task(1).await);
        let taker = w.running_execution();
        let takes_over = async {
            stalled.wait_for(|stalled| *stalled).await.unwrap();
            w.end(&recovery.execution);
            let claim = json!({ "execution": taker, "event": event });
            let claimed = retry(&w, "claim-job", claim).await.unwrap();
            if claimed["outcome"] == "Stale" {
                return None;
            }
            assert_eq!(claimed["outcome"], "Claimed");
            let next = Recovery {
                execution: taker.clone(),
                claimed,
                ..recovery.clone()
            };
            let stopped = retry(&w, "stop-siblings", next.input(json!({})))
                .await
                .unwrap();
            assert_eq!(stopped["outcome"], "Stopped");
            Some(retry(&w, RELAUNCH, input(&next)).await)
        };
        let (zombie, taken) =
            join(w.call_as("zombie", RELAUNCH, input(&recovery)), takes_over).await;
        let told = format!("{told}: zombie {zombie:?}, taker {taken:?}");
        // Where the zombie had committed already, the late event is stale, and the zombie's attempt stands.
        if let Some(relaunched) = taken {
            assert_eq!(relaunched.expect(&told)["outcome"], "Relaunched", "{told}");
        }
        assert_one_attempt(&w, 2, &told).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_calls_at_nearly_the_same_moment_leave_one_attempt() {
    for gpus in GPUS {
        for millis in (0..300).step_by(10) {
            let (w, recovery) = stopped_job(gpus).await;
            let second = async {
                sleep(Duration::from_millis(millis)).await;
                retry(&w, RELAUNCH, input(&recovery)).await
            };
            let (first, second) = join(retry(&w, RELAUNCH, input(&recovery)), second).await;
            let told = format!("{millis} ms apart, {gpus} GPUs a task: {first:?}, {second:?}");
            assert_eq!(first.expect(&told), second.expect(&told), "{told}");
            assert_one_attempt(&w, 2, &told).await;
        }
    }
}
