//! NotifyFailedExecution.

use serde_json::{Value, json};
use simulator::{faults::Fault, sns::Notification};
use tests::{JOB, World, fixtures, settings};

const NOTIFY: &str = "notify-failed-execution";

/// As Step Functions sends it, for this execution, started by this event.
fn event(execution: &str, input: &Value) -> Value {
    let mut event = fixtures::event("execution-failed");
    event["detail"]["executionArn"] = json!(execution);
    event["detail"]["input"] = json!(input.to_string());
    event
}

fn only_message(w: &World) -> Notification {
    let mut published = w.cloud.sns.published();
    assert_eq!(published.len(), 1);
    published.remove(0)
}

fn assert_says(message: &Notification, lines: &[&str]) {
    for line in lines {
        assert!(
            message.message.contains(line),
            "{line} not in:\n{}",
            message.message
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_recovery_that_holds_a_job_is_critical_and_says_how_to_replay_it() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    let event = event(&recovery.execution, &w.stop_event(&w.task(1).await));
    let answer = w.outcome(NOTIFY, event, "Notified").await;
    let message = only_message(&w);
    assert_eq!(message.subject.as_deref(), answer["subject"].as_str());
    assert_eq!(message.attributes["severity"], "critical");
    assert_eq!(message.attributes["event"], "ExecutionEndedBadly");
    assert_eq!(
        (
            message.attributes["status"].as_str(),
            message.attributes["job_id"].as_str()
        ),
        ("FAILED", JOB)
    );
    assert_says(
        &message,
        &[
            "Error: AwsRejected",
            "Job llama-7b is PENDING_HEALTHCHECK in attempt 1 (rank 1 failed).",
            "This execution still holds the job",
            &format!("gpu-recovery replay {} --dry-run", recovery.execution),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn the_state_that_failed_is_read_from_the_history() {
    let w = World::new().await;
    let execution = w.start("fails", Value::Null);
    let ended = w.cloud.stepfunctions.finished(&execution).await.unwrap();
    let mut event = event(&execution, &json!({}));
    event["detail"]["error"] = json!(ended.error);
    event["detail"]["cause"] = json!(ended.cause);
    w.outcome(NOTIFY, event, "Notified").await;
    let message = only_message(&w);
    assert_eq!(
        message.subject.as_deref(),
        Some("[gpu-recovery] EXECUTION FAILED: taking the job")
    );
    assert_says(
        &message,
        &[
            "Error: InvalidInput",
            "/: \"execution\" is a required property",
            "deploy both together",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_its_job_is_not_to_be_replayed() {
    let w = World::with_job(2).await;
    let first = w.claim(1).await;
    w.end(&first.execution);
    let task_event = w.stop_event(&w.task(1).await);
    w.claim_with(task_event.clone()).await;
    let mut event = event(&first.execution, &task_event);
    event["detail"]["error"] = json!("ClaimLost");
    w.outcome(NOTIFY, event, "Notified").await;
    let message = only_message(&w);
    assert_eq!(message.attributes["severity"], "error");
    assert_says(
        &message,
        &[
            "Do not replay this execution",
            "This execution does not hold the job any more.",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn every_bad_end_is_told() {
    for (status, advice) in [
        ("FAILED", "The cause names the call that AWS refused"),
        ("TIMED_OUT", "The cause names the call that AWS refused"),
        (
            "ABORTED",
            "An operator stopped the recovery of job llama-7b",
        ),
    ] {
        let w = World::with_job(1).await;
        let recovery = w.claim(0).await;
        let mut event = event(&recovery.execution, &w.stop_event(&w.task(0).await));
        event["detail"]["status"] = json!(status);
        w.outcome(NOTIFY, event, "Notified").await;
        let message = only_message(&w);
        assert_eq!(message.attributes["status"], status);
        assert_says(&message, &[advice]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_of_which_nothing_can_be_read_is_told_all_the_same() {
    let w = World::new().await;
    w.wire().faults().set_plan(|call| match call.service {
        "sns" => Fault::Proceed,
        _ => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "no".to_owned(),
        },
    });
    w.outcome(
        NOTIFY,
        fixtures::event("execution-timed-out-input-too-large"),
        "Notified",
    )
    .await;
    let message = only_message(&w);
    assert_eq!(message.attributes["severity"], "critical");
    assert_says(
        &message,
        &[
            "The recovery of a job that could not be read ran into its bound while it was in a state that could not be read.",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn long_causes_fit_into_sns() {
    let w = World::new().await;
    let mut event = fixtures::event("execution-failed");
    event["detail"]["cause"] = json!("ü".repeat(32_768));
    event["detail"]["error"] = json!("E".repeat(256));
    w.outcome(NOTIFY, event, "Notified").await;
    assert!(only_message(&w).subject.unwrap().len() < 100);
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_told_with_the_call_that_failed() {
    let w = World::with(settings(&[(
        "SNS_TOPIC_ARN",
        "arn:aws:sns:us-east-1:123456789012:nobody",
    )]))
    .await;
    let error = w
        .call(NOTIFY, fixtures::event("execution-failed"))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    assert!(
        error
            .to_string()
            .starts_with("sns:Publish failed with NotFound"),
        "{error}"
    );
}
