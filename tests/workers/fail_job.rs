//! FailJob.

use serde_json::{Value, json};
use simulator::faults::Fault;
use tests::{
    JOB, Recovery, World,
    faults::{calls_of, ends_the_same_after_any_fault},
    instance_id,
};
use workers::records::{InstanceStatus, JobStatus};

const FAIL: &str = "fail-job";

fn check(rank: usize, verdict: &str, exit_code: Value) -> Value {
    json!({ "instance": instance_id(rank), "rank": rank, "verdict": verdict, "exitCode": exit_code, "detail": "" })
}

fn input(recovery: &Recovery, reason: &str, checks: &[Value], recoveries: &[Value]) -> Value {
    recovery.input(json!({ "reason": reason, "checks": checks, "recoveries": recoveries }))
}

async fn stopped_job() -> (World, Recovery) {
    let w = World::with_job(3).await;
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

async fn status_of(w: &World, nth: usize) -> InstanceStatus {
    w.instance_record(nth).await.status
}

#[tokio::test(start_paused = true)]
async fn a_job_with_healthy_gpus_fails_and_sets_its_instances_free() {
    let (w, recovery) = stopped_job().await;
    let checks = [check(1, "healthy", json!(0))];
    let answer = w
        .outcome(FAIL, input(&recovery, "NoGpuFault", &checks, &[]), "Failed")
        .await;
    let expected = json!({
        "outcome": "Failed", "jobId": JOB, "reason": "NoGpuFault", "released": 3,
    });
    assert_eq!(answer, expected);
    let job = w.job_record().await;
    assert_eq!((job.status, job.holder), (JobStatus::Failed, None));
    assert_eq!(job.failed_by, Some(World::arn(&recovery.execution)));
    assert_eq!(job.reason.as_deref(), Some("no GPU fault found"));
    for nth in 0..3 {
        let record = w.instance_record(nth).await;
        assert_eq!(
            (record.status, record.job_id, record.holder),
            (InstanceStatus::Available, None, None)
        );
        assert_eq!(w.ecs_status(nth), "ACTIVE");
        let said = (nth == 1).then_some("healthy (exit 0)");
        assert_eq!(record.last_verdict.as_deref(), said);
    }
}

#[tokio::test(start_paused = true)]
async fn how_the_ranks_of_an_ended_job_were_started_is_kept_for_a_week() {
    let (w, recovery) = stopped_job().await;
    assert!(
        w.ranks(1)
            .await
            .iter()
            .all(|rank| rank.expires_at.is_none())
    );
    w.outcome(FAIL, input(&recovery, "NoGpuFault", &[], &[]), "Failed")
        .await;
    let now = w.context("test").clock.epoch_seconds();
    for rank in w.ranks(1).await {
        let left = rank.expires_at.expect("it expires") - now;
        assert!((7 * 86_400 - 60..=7 * 86_400).contains(&left), "{left}");
    }
    assert!(
        w.job_record().await.expires_at.is_none(),
        "its id is never used twice"
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_check_said_is_kept_and_nothing_is_quarantined() {
    let (w, recovery) = stopped_job().await;
    let mut faulty = check(1, "faulty", json!(1));
    faulty["bootId"] = json!("4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09");
    let checks = [faulty, check(2, "no-answer", Value::Null)];
    let answer = w
        .outcome(
            FAIL,
            input(&recovery, "CheckInDoubt", &checks, &[]),
            "Failed",
        )
        .await;
    assert_eq!(answer["released"], 3);
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Available);
    assert_eq!(record.last_verdict.as_deref(), Some("faulty (exit 1)"));
    assert_eq!(
        record.last_check_boot.as_deref(),
        Some("4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09")
    );
    assert!(record.last_check_at.is_some());
    let found = w.instance_record(2).await.last_verdict;
    assert_eq!(found.as_deref(), Some("no answer (no exit code)"));
    let fleet = w.cloud.fleet.instances();
    assert!(fleet.iter().all(|i| i.status == "ACTIVE"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_an_operator_wants_out_is_quarantined_in_place_of_released() {
    let (w, recovery) = stopped_job().await;
    w.edit_instance(
        &instance_id(1),
        "keep_out",
        json!({ "S": "fan is loud (ann)" }),
    )
    .await;
    let answer = w
        .outcome(FAIL, input(&recovery, "NoGpuFault", &[], &[]), "Failed")
        .await;
    assert_eq!(answer["released"], 2);
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Quarantined);
    assert_eq!(
        record.quarantine_reason.as_deref(),
        Some("fan is loud (ann)")
    );
    assert_eq!(
        (record.job_id, record.holder, record.keep_out),
        (None, None, None)
    );
}

#[tokio::test(start_paused = true)]
async fn what_recover_instances_decided_stands() {
    let w = World::with_job(3).await;
    let recovery = w.claim_and_cordon(1).await;
    // Rank 1 is back and healthy, rank 2's instance is quarantined already.
    w.outcome("uncordon-instance", recovery.on(1, json!({})), "Uncordoned")
        .await;
    let quarantine = recovery.on(2, json!({ "reason": "still faulty" }));
    w.outcome("quarantine-instance", quarantine, "Quarantined")
        .await;
    let checks = [
        check(1, "faulty", json!(226)),
        check(2, "faulty", json!(226)),
    ];
    let recoveries = [(1, true), (2, false)].map(|(rank, recovered)| {
        json!({ "instance": instance_id(rank), "rank": rank, "recovered": recovered, "detail": "rebooted, DCGM healthy" })
    });
    let answer = w
        .outcome(
            FAIL,
            input(&recovery, "InstancesNotRecovered", &checks, &recoveries),
            "Failed",
        )
        .await;
    assert_eq!(answer["released"], 2);
    assert_eq!(
        w.instance_record(1).await.last_verdict.as_deref(),
        Some("healthy now: rebooted, DCGM healthy"),
        "the word after the repair counts"
    );
    assert_eq!(status_of(&w, 1).await, InstanceStatus::Available);
    assert_eq!(w.ecs_status(1), "ACTIVE");
    assert_eq!(
        w.instance_record(2).await.quarantine_reason.as_deref(),
        Some("still faulty")
    );
}

#[tokio::test(start_paused = true)]
async fn instances_that_work_for_another_job_by_now_or_that_another_recovery_holds_are_not_released()
 {
    let (w, recovery) = stopped_job().await;
    w.submit("other-job", [instance_id(0)]).await.unwrap();
    w.edit_instance(
        &instance_id(2),
        "holder",
        json!({ "S": w.running_execution() }),
    )
    .await;
    w.edit_instance(&instance_id(2), "job_id", json!({ "S": "another-job" }))
        .await;
    let held = w.instance_record(2).await;
    let answer = w
        .outcome(FAIL, input(&recovery, "NoGpuFault", &[], &[]), "Failed")
        .await;
    assert_eq!(answer["released"], 1);
    assert_eq!(
        w.instance_record(0).await.job_id.unwrap().as_str(),
        "other-job"
    );
    assert_eq!(status_of(&w, 0).await, InstanceStatus::InProgress);
    assert_eq!(w.instance_record(2).await, held);
}

#[tokio::test(start_paused = true)]
async fn a_half_started_relaunch_is_undone_before_the_job_is_failed() {
    let (w, recovery) = stopped_job().await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            ("relaunch-job", "PutItem") => Fault::KillCaller { after_effect: true },
            _ => Fault::Proceed,
        });
    let relaunch = recovery.input(json!({ "instances": [] }));
    assert!(w.call_or_die("relaunch-job", relaunch).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(60).await;
    assert_eq!(w.running_tasks().len(), 3);
    w.settled_outcome(
        FAIL,
        input(&recovery, "RelaunchNotPlaced", &[], &[]),
        "Failed",
    )
    .await;
    assert!(w.running_tasks().is_empty());
    let job = w.job_record().await;
    assert_eq!(
        (job.status, job.attempt, job.launching),
        (JobStatus::Failed, 1, false)
    );
}

#[tokio::test(start_paused = true)]
async fn every_reason_is_kept_in_plain_words() {
    for reason in [
        "NoGpuFault",
        "CheckInDoubt",
        "NoRecoveryLeft",
        "InstancesNotRecovered",
        "TasksNotStopped",
        "RelaunchNotPlaced",
    ] {
        let w = World::with_job(1).await;
        let recovery = w.claim_and_stop(0).await;
        w.outcome(FAIL, input(&recovery, reason, &[], &[]), "Failed")
            .await;
        let words = w.job_record().await.reason.unwrap();
        assert!(
            words.contains(' ') && !words.contains(reason),
            "{reason}: {words}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_the_job_fails_nothing() {
    let (w, recovery) = stopped_job().await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    let (job, instances) = (w.job_record().await, w.instances_as_they_are().await);
    let checks = [check(1, "faulty", json!(226))];
    let error = w
        .call(FAIL, input(&recovery, "NoRecoveryLeft", &checks, &[]))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert_eq!(
        (w.job_record().await, w.instances_as_they_are().await),
        (job, instances)
    );
    assert!(calls_of(&w, FAIL).iter().all(|c| c.action == "GetItem"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_failing_write_is_no_error() {
    let (w, recovery) = stopped_job().await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action, call.nth) {
            (FAIL, "UpdateItem", 1) => Fault::FailAfterEffect,
            _ => Fault::Proceed,
        });
    w.outcome(FAIL, input(&recovery, "NoGpuFault", &[], &[]), "Failed")
        .await;
    assert_eq!(status_of(&w, 0).await, InstanceStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn a_failed_job_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(FAIL, || async {
        let (w, recovery) = stopped_job().await;
        let checks = [check(1, "faulty", json!(226))];
        (w, input(&recovery, "NoRecoveryLeft", &checks, &[]))
    })
    .await;
}
