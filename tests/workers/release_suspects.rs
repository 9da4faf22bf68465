//! ReleaseSuspects, and the relaunch on spares before it.

use serde_json::{Value, json};
use tests::{JOB, Recovery, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::{InstanceStatus, SwapState};

const RELEASE: &str = "release-suspects";
const RELAUNCH: &str = "relaunch-job";

/// Rank 1 of two has failed, and a spare is held for it.
async fn held() -> (World, Recovery, Value) {
    let w = World::with_job(2).await;
    w.stand_by(2, "default");
    let recovery = w.claim_and_stop(1).await;
    let suspects = json!([{ "instance": instance_id(1), "rank": 1 }]);
    let hold =
        recovery.input(json!({ "suspects": suspects, "repair": true, "refusedBefore": null }));
    let held = w.outcome("hold-spares", hold, "Held").await;
    (w, recovery, held["places"].clone())
}

fn relaunch(recovery: &Recovery, places: &Value) -> Value {
    recovery.input(json!({ "instances": [], "places": places }))
}

/// The job runs on the spare.
async fn swapped() -> (World, Recovery, Value) {
    let (w, recovery, places) = held().await;
    w.outcome(RELAUNCH, relaunch(&recovery, &places), "Relaunched")
        .await;
    (w, recovery, places)
}

fn input(recovery: &Recovery, places: &Value, exit_code: i32, recovered: Option<bool>) -> Value {
    let suspect = json!({ "instance": instance_id(1), "rank": 1 });
    let and = |more: Value| {
        let mut all = suspect.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let verdict = if recovered.is_some() {
        "faulty"
    } else {
        "misconfigured"
    };
    let check = and(json!({ "exitCode": exit_code, "verdict": verdict }));
    let recoveries: Vec<Value> = recovered
        .map(|recovered| and(json!({ "recovered": recovered, "detail": "rebooted" })))
        .into_iter()
        .collect();
    json!({
        "execution": recovery.execution, "jobId": JOB, "places": places, "checks": [check], "recoveries": recoveries,
    })
}

async fn swap(w: &World) -> SwapState {
    w.job_record().await.swap.expect("it was swapped").state
}

#[tokio::test(start_paused = true)]
async fn the_rank_runs_on_the_spare_and_the_suspect_stays_held_for_its_repair() {
    let (w, recovery, _) = swapped().await;
    let ranks = w.ranks(2).await;
    assert_eq!(
        ranks[1].instance_id.as_ref().unwrap().as_str(),
        instance_id(2)
    );
    let spare = w.instance_record(2).await;
    assert_eq!(
        (spare.status, spare.holder, spare.held_since),
        (InstanceStatus::InProgress, None, None)
    );
    let suspect = w.instance_record(1).await;
    assert_eq!(suspect.holder, Some(World::arn(&recovery.execution)));
    let job = w.job_record().await;
    assert_eq!((job.holder, job.spares.len()), (None, 0));
    assert_eq!(job.swap.unwrap().state, SwapState::Open);
    // Nothing but the hold on the suspect gives the execution a say now.
    let mut cordon = recovery.cordon(1);
    cordon["beside"] = true.into();
    w.outcome("cordon-instance", cordon, "Cordoned").await;
    let other = recovery.on(
        0,
        json!({ "exitCode": 226, "startedAt": "2026-01-05T00:00:00Z", "beside": true }),
    );
    let refused = w.outcome("cordon-instance", other, "Refused").await;
    assert_eq!(refused["refusal"], "HeldByAnother");
    for worker in ["fail-job", RELAUNCH] {
        let touch = match worker {
            RELAUNCH => relaunch(
                &Recovery {
                    attempt: 2,
                    ..recovery.clone()
                },
                &json!([]),
            ),
            _ => recovery.input(json!({ "reason": "NoGpuFault", "checks": [], "recoveries": [] })),
        };
        let error = w.call(worker, touch).await.unwrap_err();
        assert_eq!(error.name(), "ClaimLost", "{worker}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_repaired_suspect_is_free_and_takes_over_the_mark() {
    let (w, recovery, places) = swapped().await;
    let answer = w
        .outcome(
            RELEASE,
            input(&recovery, &places, 226, Some(true)),
            "Released",
        )
        .await;
    assert_eq!(
        (&answer["released"], &answer["spares"]),
        (&json!(1), &json!(1))
    );
    assert_eq!((w.mark(1).as_deref(), w.mark(2)), (Some("default"), None));
    let suspect = w.instance_record(1).await;
    assert_eq!(
        (
            suspect.status,
            suspect.holder.clone(),
            suspect.job_id.clone()
        ),
        (InstanceStatus::Available, None, None)
    );
    assert!(suspect.last_check_passed(), "{suspect:?}");
    assert_eq!(swap(&w).await, SwapState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_was_not_brought_back_leaves_the_mark_where_it_is() {
    let (w, recovery, places) = swapped().await;
    let quarantine = recovery.on(1, json!({ "reason": "never came back", "beside": true }));
    w.outcome("quarantine-instance", quarantine, "Quarantined")
        .await;
    let answer = w
        .outcome(
            RELEASE,
            input(&recovery, &places, 226, Some(false)),
            "Released",
        )
        .await;
    assert_eq!(answer["released"], 0);
    assert_eq!((w.mark(1), w.mark(2).as_deref()), (None, Some("default")));
    assert_eq!(
        w.instance_record(1).await.status,
        InstanceStatus::Quarantined
    );
}

#[tokio::test(start_paused = true)]
async fn the_mark_of_a_spare_that_has_left_the_job_stays() {
    let (w, recovery, places) = swapped().await;
    w.edit_instance(&instance_id(2), "job_id", json!(null))
        .await;
    w.edit_instance(&instance_id(2), "status", json!({ "S": "AVAILABLE" }))
        .await;
    w.outcome(
        RELEASE,
        input(&recovery, &places, 226, Some(true)),
        "Released",
    )
    .await;
    assert_eq!((w.mark(1), w.mark(2).as_deref()), (None, Some("default")));
}

#[tokio::test(start_paused = true)]
async fn a_swap_whose_check_passes_was_in_vain() {
    let (w, recovery, places) = swapped().await;
    w.outcome(
        RELEASE,
        input(&recovery, &places, 0, Some(true)),
        "Released",
    )
    .await;
    assert_eq!(swap(&w).await, SwapState::InVain);
}

#[tokio::test(start_paused = true)]
async fn a_spare_that_is_not_held_any_more_is_not_used() {
    let (w, recovery, places) = held().await;
    let other = json!({ "S": w.running_execution() });
    w.edit_instance(&instance_id(2), "holder", other).await;
    let error = w
        .call(RELAUNCH, relaunch(&recovery, &places))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "NotOnSpares");
    assert!(w.running_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_way_out_lets_go_of_the_spare() {
    for way in ["fail-job", "stop-siblings", RELAUNCH] {
        let (w, recovery, _) = held().await;
        let (recovery, input) = match way {
            "fail-job" => {
                let input = json!({ "reason": "NoGpuFault", "checks": [], "recoveries": [] });
                (recovery.clone(), recovery.input(input))
            }
            // Whoever takes the job over.
            "stop-siblings" => {
                w.end(&recovery.execution);
                w.pass(600).await;
                let next = w.claim(0).await;
                (next.clone(), next.input(json!({})))
            }
            // In its own places after all.
            _ => (recovery.clone(), relaunch(&recovery, &json!([]))),
        };
        w.call(way, input)
            .await
            .unwrap_or_else(|e| panic!("{way}: {e}"));
        let spare = w.instance_record(2).await;
        assert_eq!(
            (spare.status, spare.holder, spare.job_id),
            (InstanceStatus::Available, None, None),
            "{way}"
        );
        assert!(
            w.job_record_of(&recovery.job).await.spares.is_empty(),
            "{way}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_relaunch_on_spares_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(RELAUNCH, || async {
        let (w, recovery, places) = held().await;
        let input = relaunch(&recovery, &places);
        (w, input)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(RELEASE, || async {
        let (w, recovery, places) = swapped().await;
        let input = input(&recovery, &places, 226, Some(true));
        (w, input)
    })
    .await;
}
