//! EndCheck: what comes of an instance that was checked by hand.

use serde_json::{Value, json};
use tests::{World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::{InstanceStatus, JobStatus, event::About};

const END: &str = "end-check";

/// A check by hand of the second instance, and the input of its end.
async fn checking(checks: Value, recoveries: Value) -> (World, Value) {
    let w = World::new().await;
    w.instances(2);
    let execution = w.running_execution();
    let request = json!({ "instance": instance_id(1), "by": "ann", "reason": "GPU 5 replaced" });
    let claim = json!({ "execution": execution, "request": request });
    let claimed = w.outcome("claim-instance", claim, "Claimed").await;
    let input = json!({
        "execution": execution,
        "jobId": claimed["jobId"],
        "attempt": 1,
        "instance": instance_id(1),
        "checks": checks,
        "recoveries": recoveries,
    });
    (w, input)
}

fn check(verdict: &str, code: Value) -> Value {
    json!({ "instance": instance_id(1), "rank": 0, "exitCode": code, "verdict": verdict, "bootId": "b-1" })
}

fn faulty() -> Value {
    json!([check("faulty", json!(1))])
}

fn repair(recovered: bool) -> Value {
    json!([{ "instance": instance_id(1), "rank": 0, "recovered": recovered, "detail": "rebooted, DCGM healthy" }])
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_passes_is_available_with_the_word_of_its_check() {
    let (w, input) = checking(json!([check("healthy", json!(0))]), json!([])).await;
    let answer = w.outcome(END, input.clone(), "InService").await;
    assert_eq!(answer["verdict"], "healthy");
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Available);
    assert_eq!((record.job_id, record.holder), (None, None));
    assert_eq!(record.last_check_boot.as_deref(), Some("b-1"));
    let job = w.job_record_of(input["jobId"].as_str().unwrap()).await;
    assert_eq!((job.status, job.holder), (JobStatus::Complete, None));
    let id = instance_id(1).parse().unwrap();
    let history = &w.context("person").history;
    let events = history.of(About::Instance(&id), 0).await.unwrap();
    let told: Vec<String> = events
        .iter()
        .map(|e| format!("{} {}", e.what, e.detail))
        .collect();
    assert_eq!(told, ["CHECKED healthy"]);
}

#[tokio::test(start_paused = true)]
async fn a_repaired_instance_counts_as_one_whose_last_check_passed() {
    let (w, input) = checking(faulty(), repair(true)).await;
    w.outcome(END, input, "InService").await;
    let record = w.instance_record(1).await;
    assert!(record.last_check_passed(), "{:?}", record.last_verdict);
    assert_eq!(record.last_check_boot, None, "that was another boot");
}

#[tokio::test(start_paused = true)]
async fn what_is_only_set_wrong_is_in_service() {
    let (w, input) = checking(json!([check("misconfigured", json!(3))]), json!([])).await;
    w.outcome(END, input, "InService").await;
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Available);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_was_quarantined_stays_so() {
    let (w, input) = checking(faulty(), repair(false)).await;
    let quarantine = json!({
        "execution": input["execution"], "jobId": input["jobId"], "attempt": 1, "instance": instance_id(1), "rank": 0,
        "reason": "no new boot id", "fault": true,
    });
    w.outcome("quarantine-instance", quarantine, "Quarantined")
        .await;
    w.outcome(END, input.clone(), "OutOfService").await;
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Quarantined);
    assert_eq!(record.quarantine_reason.as_deref(), Some("no new boot id"));
    assert_eq!(record.faults.len(), 1);
    assert_eq!(w.ecs_status(1), "DRAINING");
    let job = w.job_record_of(input["jobId"].as_str().unwrap()).await;
    assert_eq!((job.status, job.holder), (JobStatus::Failed, None));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_another_execution_has_taken_is_not_ended() {
    let (w, mut input) = checking(json!([check("healthy", json!(0))]), json!([])).await;
    input["execution"] = json!(w.running_execution());
    let error = w.call(END, input).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::PendingHealthcheck);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_check_is_the_same_after_any_fault() {
    ends_the_same_after_any_fault(END, || async {
        checking(json!([check("healthy", json!(0))]), json!([])).await
    })
    .await;
}
