//! What the workers add to the history.

use serde_json::{Value, json};
use tests::{JOB, Recovery, World, instance_id};
use workers::{
    ids::{InstanceId, JobId},
    records::event::{About, EventRecord, KEPT_DAYS, What},
};

async fn of_job(w: &World) -> Vec<EventRecord> {
    let job = JobId::new(JOB);
    let history = w.context("test").history;
    history.of(About::Job(&job), 0).await.unwrap()
}

async fn of_instance(w: &World, nth: usize) -> Vec<EventRecord> {
    let instance = InstanceId::new(instance_id(nth));
    let history = w.context("test").history;
    history.of(About::Instance(&instance), 0).await.unwrap()
}

fn kinds(events: &[EventRecord]) -> Vec<What> {
    events.iter().map(|event| event.what).collect()
}

fn quarantine(recovery: &Recovery) -> Value {
    recovery.on(1, json!({ "reason": "no reboot helps", "fault": true }))
}

#[tokio::test(start_paused = true)]
async fn a_fault_and_what_followed_are_kept_with_job_execution_and_an_end() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    w.outcome("quarantine-instance", quarantine(&recovery), "Quarantined")
        .await;
    let events = of_instance(&w, 1).await;
    assert_eq!(kinds(&events), [What::Faulty, What::Quarantined]);
    for event in &events {
        assert_eq!(event.of_job, Some(JobId::new(JOB)));
        assert_eq!(event.execution, Some(World::arn(&recovery.execution)));
        let left = event.expires_at - w.context("test").clock.epoch_seconds();
        assert!((0..=KEPT_DAYS * 86_400).contains(&left), "{left}");
    }
    assert_eq!(events[1].detail, "no reboot helps");
    assert_eq!(of_job(&w).await, []);
}

/// Step Functions calls again what it got no answer from, a redrive what has failed.
#[tokio::test(start_paused = true)]
async fn a_call_that_is_repeated_an_hour_later_adds_nothing() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    let input = recovery.input(json!({ "reason": "NoRecoveryLeft", "checks": [], "recoveries": [
        { "instance": instance_id(1), "rank": 1, "recovered": true, "detail": "rebooted, DCGM healthy" },
    ] }));
    w.outcome("fail-job", input.clone(), "Failed").await;
    let (job, instance) = (of_job(&w).await, of_instance(&w, 1).await);
    assert_eq!(kinds(&job), [What::Failed]);
    assert_eq!(kinds(&instance), [What::Faulty, What::Repaired]);
    w.pass(3600).await;
    w.outcome("fail-job", input, "Failed").await;
    assert_eq!(of_job(&w).await, job);
    assert_eq!(of_instance(&w, 1).await, instance);
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_has_quarantined_before_is_not_told_as_the_recoverys_deed() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(1).await;
    w.edit_instance(&instance_id(1), "status", json!({ "S": "QUARANTINED" }))
        .await;
    w.edit_instance(
        &instance_id(1),
        "quarantine_reason",
        json!({ "S": "fan (ann)" }),
    )
    .await;
    w.outcome("quarantine-instance", quarantine(&recovery), "Quarantined")
        .await;
    assert_eq!(of_instance(&w, 1).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_rank_that_an_operator_stops_is_the_end_of_the_job_in_its_history() {
    let w = World::with_job(2).await;
    let task = w.task(1).await;
    w.cloud.fleet.stop(&task, "wrong data");
    w.pass(15).await;
    let event = w.stop_event(&task);
    let execution = w.running_execution();
    let input = json!({ "execution": execution, "event": event });
    w.outcome("record-user-stop", input, "StopOthers").await;
    let events = of_job(&w).await;
    assert_eq!(kinds(&events), [What::Stopped]);
    assert_eq!(events[0].detail, "an operator stopped rank 1");
}
