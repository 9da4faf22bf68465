//! QuarantineInstance.

use serde_json::{Value, json};
use tests::{JOB, Recovery, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::InstanceStatus;

const QUARANTINE: &str = "quarantine-instance";

async fn cordoned() -> (World, Recovery) {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    (w, recovery)
}

fn input(recovery: &Recovery) -> Value {
    recovery.on(
        1,
        json!({ "reason": "after the reboot DCGM is faulty (exit 226)", "fault": true }),
    )
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_kept_out_of_service_with_the_reason() {
    let (w, recovery) = cordoned().await;
    w.outcome("uncordon-instance", recovery.on(1, json!({})), "Uncordoned")
        .await;
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Quarantined);
    assert_eq!(
        record.quarantine_reason.as_deref(),
        Some("after the reboot DCGM is faulty (exit 226)")
    );
    assert_eq!(
        (record.holder, record.job_id, record.task_token),
        (None, None, None)
    );
    assert_eq!(
        record.faults.len(),
        1,
        "the fault that was counted with the hold is counted once"
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_reason_stays() {
    let (w, recovery) = cordoned().await;
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    let mut later = input(&recovery);
    later["reason"] = json!("something else");
    w.outcome(QUARANTINE, later, "Quarantined").await;
    let reason = w.instance_record(1).await.quarantine_reason;
    assert_eq!(
        reason.as_deref(),
        Some("after the reboot DCGM is faulty (exit 226)")
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_another_recovery_holds_is_not_touched() {
    let (w, recovery) = cordoned().await;
    w.edit_instance(
        &instance_id(1),
        "holder",
        json!({ "S": w.running_execution() }),
    )
    .await;
    let before = w.instances_as_they_are().await;
    w.outcome(QUARANTINE, input(&recovery), "HeldByAnother")
        .await;
    assert_eq!(w.instances_as_they_are().await, before);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_the_job_quarantines_nothing() {
    let (w, recovery) = cordoned().await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    let before = w.instances_as_they_are().await;
    assert_eq!(
        w.call(QUARANTINE, input(&recovery))
            .await
            .unwrap_err()
            .name(),
        "ClaimLost"
    );
    assert_eq!(w.instances_as_they_are().await, before);
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_an_item_is_found_by_its_rank() {
    let (w, recovery) = cordoned().await;
    w.set_ecs_status(1, "ACTIVE");
    w.delete_instance_record(&instance_id(1)).await;
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    assert_eq!(
        w.instance_record(1).await.status,
        InstanceStatus::Quarantined
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_recorded_nowhere_is_an_operators_to_drain() {
    let (w, recovery) = cordoned().await;
    w.delete_instance_record(&instance_id(1)).await;
    w.edit_job(
        JOB,
        "attempt#00001#rank#00001",
        "container_instance_arn",
        Value::Null,
    )
    .await;
    let error = w.call(QUARANTINE, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "CorruptRecord");
    assert!(
        error
            .to_string()
            .contains(&format!("container instance of {}", instance_id(1))),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn of_an_instance_that_has_left_the_cluster_nothing_is_written() {
    let (w, recovery) = cordoned().await;
    w.cloud.fleet.deregister(&instance_id(1));
    let before = w.instances_as_they_are().await;
    w.outcome(QUARANTINE, input(&recovery), "Gone").await;
    assert_eq!(w.instances_as_they_are().await, before);
}

/// Two more of these within 30 days, and it is quarantined for good.
#[tokio::test(start_paused = true)]
async fn a_fault_without_a_reboot_is_counted_too() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(1).await;
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    assert_eq!(w.instance_record(1).await.faults.len(), 1);
    let unchecked = recovery.on(0, json!({ "reason": "unchecked" }));
    w.outcome(QUARANTINE, unchecked, "Quarantined").await;
    assert!(w.instance_record(0).await.faults.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operators_drain_is_not_taken_for_ours() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(1).await;
    w.set_ecs_status(1, "DRAINING");
    w.outcome(QUARANTINE, input(&recovery), "Quarantined").await;
    assert!(!w.instance_record(1).await.cordoned);
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(QUARANTINE, || async {
        let (w, recovery) = cordoned().await;
        w.outcome("uncordon-instance", recovery.on(1, json!({})), "Uncordoned")
            .await;
        (w, input(&recovery))
    })
    .await;
}
