//! NotifyOperators.

use serde_json::{Value, json};
use simulator::faults::Fault;
use std::collections::BTreeSet;
use tests::{JOB, World, faults::calls_of, instance_id, settings};

const NOTIFY: &str = "notify-operators";
const EXECUTION: &str = "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1";

fn input(reason: &str) -> Value {
    json!({
        "execution": EXECUTION,
        "jobId": JOB,
        "attempt": 1,
        "startedAt": "2026-01-05T03:00:00.000Z",
        "nodes": 8,
        "failure": {
            "rank": 3,
            "task": "arn:aws:ecs:us-east-1:123456789012:task/gpu-training/abc",
            "instance": instance_id(3),
            "exitCode": 1,
            "stopCode": "EssentialContainerExited",
            "stoppedReason": "Essential container in task exited",
            "endedAt": "2026-01-05T02:49:00.000Z",
            "decidedBy": "exit code 1 is in RECOVERABLE_EXIT_CODES",
            "notRelaunchable": null,
        },
        "reason": reason,
        "notPlaced": null,
        "stuck": [],
        "checks": [{ "instance": instance_id(3), "rank": 3, "verdict": "faulty", "exitCode": 226, "detail": "" }],
        "recoveries": [],
        "relaunch": null,
    })
}

fn recovered() -> Value {
    let mut input = input("Recovered");
    input["recoveries"] = json!([{ "instance": instance_id(3), "rank": 3, "recovered": true, "detail": "rebooted, DCGM healthy" }]);
    input["relaunch"] = json!({ "outcome": "Relaunched", "jobId": JOB, "attempt": 2, "ranks": 8 });
    input
}

#[tokio::test(start_paused = true)]
async fn a_recovery_is_told_at_low_severity_with_all_that_was_done() {
    let w = World::new().await;
    w.pass(1100).await;
    let answer = w.outcome(NOTIFY, recovered(), "Notified").await;
    let published = w.cloud.sns.published();
    let [message] = published.as_slice() else {
        panic!("one message: {published:?}");
    };
    assert_eq!(message.topic, w.cloud.settings.topic_arn);
    assert_eq!(message.subject.as_deref(), answer["subject"].as_str());
    assert_eq!(
        message.subject.as_deref(),
        Some(
            format!(
                "[gpu-recovery] RECOVERED llama-7b in 29 min: rebooted {} (rank 3)",
                instance_id(3)
            )
            .as_str()
        )
    );
    for line in [
        "Job llama-7b runs again as attempt 2, 29 min 20 s after rank 3 ended: all 8 ranks are RUNNING.".to_owned(),
        format!(
            "02:49:00 UTC: rank 3 of 8 on {} exited with code 1 in attempt 1; ECS told us 11 min 0 s later.",
            instance_id(3)
        ),
        format!("{} (rank 3): faulty (exit 226", instance_id(3)),
        format!(
            "{} (rank 3): rebooted, DCGM healthy; back in service",
            instance_id(3)
        ),
        "https://us-east-1.console.aws.amazon.com/states/home".to_owned(),
    ] {
        assert!(
            message.message.contains(&line),
            "{line} not in:\n{}",
            message.message
        );
    }
    let attribute = |name: &str| message.attributes[name].as_str();
    assert_eq!(
        (attribute("event"), attribute("severity")),
        ("JobRecovered", "info")
    );
    assert_eq!(
        (attribute("job_id"), attribute("rank"), attribute("attempt")),
        (JOB, "3", "1")
    );
    assert_eq!(
        (attribute("reason"), attribute("cluster")),
        ("Recovered", "gpu-training")
    );
    assert_eq!(attribute("execution"), EXECUTION);
    let facts: Value = serde_json::from_str(attribute("facts")).unwrap();
    assert_eq!(
        (&facts["relaunch"]["attempt"], &facts["seconds"]),
        (&json!(2), &json!(1760))
    );
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_told_as_an_error_with_what_to_do_next() {
    let w = World::new().await;
    let reasons = [
        "NoGpuFault",
        "CheckInDoubt",
        "NoRecoveryLeft",
        "InstancesNotRecovered",
        "TasksNotStopped",
        "RelaunchNotPlaced",
    ];
    for reason in reasons {
        w.outcome(NOTIFY, input(reason), "Notified").await;
    }
    let published = w.cloud.sns.published();
    assert_eq!(published.len(), reasons.len());
    for (message, reason) in published.iter().zip(reasons) {
        assert_eq!(message.attributes["severity"], "error");
        assert_eq!(message.attributes["event"], "JobFailed");
        assert_eq!(message.attributes["reason"], reason);
        assert!(
            message.message.starts_with("Job llama-7b is FAILED"),
            "{}",
            message.message
        );
        assert!(
            message.message.contains("What to do next"),
            "{}",
            message.message
        );
        assert!(
            message.attributes.len() <= 10,
            "raw delivery to SQS takes ten attributes"
        );
    }
    let told: BTreeSet<_> = published.iter().map(|m| &m.subject).collect();
    assert_eq!(
        told.len(),
        reasons.len(),
        "each reason has a subject of its own"
    );
}

#[tokio::test(start_paused = true)]
async fn stuck_tasks_refused_placements_and_lost_launches_are_told() {
    let w = World::new().await;
    let mut stuck = input("TasksNotStopped");
    stuck["stuck"] = json!([{ "rank": 5, "instance": instance_id(5), "task": "arn:aws:ecs:us-east-1:123456789012:task/gpu-training/x" }]);
    stuck["failure"]["notRelaunchable"] = json!("ECS no longer describes rank 1's task");
    let mut not_placed = input("RelaunchNotPlaced");
    not_placed["notPlaced"] =
        json!(r#"{"errorType":"NotPlaced","errorMessage":"rank 3 on i-1: RESOURCE:GPU"}"#);
    let mut no_code = input("CheckInDoubt");
    no_code["failure"]["exitCode"] = Value::Null;
    no_code["failure"]["stopCode"] = json!("TaskFailedToStart");
    no_code["failure"]["instance"] = Value::Null;
    for input in [stuck, not_placed, no_code] {
        w.outcome(NOTIFY, input, "Notified").await;
    }
    let texts: Vec<String> = w
        .cloud
        .sns
        .published()
        .into_iter()
        .map(|m| m.message)
        .collect();
    assert!(
        texts[0].contains(&format!("Rank 5 on {} does not stop", instance_id(5))),
        "{}",
        texts[0]
    );
    assert!(
        texts[0].contains("ECS no longer describes rank 1's task"),
        "{}",
        texts[0]
    );
    assert!(
        texts[1].contains("The relaunch failed: rank 3 on i-1: RESOURCE:GPU"),
        "{}",
        texts[1]
    );
    assert!(
        texts[2].contains("rank 3 of 8 did not start in attempt 1"),
        "{}",
        texts[2]
    );
}

#[tokio::test(start_paused = true)]
async fn the_largest_job_and_the_longest_texts_fit_into_sns() {
    let w = World::new().await;
    let mut large = input("InstancesNotRecovered");
    large["nodes"] = json!(1024);
    large["failure"]["stoppedReason"] = json!("ü\n".repeat(20_000));
    let many = |value: Value| vec![value; 1024];
    large["checks"] = many(json!({ "instance": instance_id(3), "rank": 3, "verdict": "faulty", "exitCode": 226, "detail": "x".repeat(200) })).into();
    large["recoveries"] = many(json!({ "instance": instance_id(3), "rank": 3, "recovered": false, "detail": "y".repeat(500) })).into();
    large["notPlaced"] = json!("z".repeat(100_000));
    w.outcome(NOTIFY, large, "Notified").await;
    assert_eq!(w.cloud.sns.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_longest_job_id_leaves_the_subject_within_its_limit() {
    let w = World::new().await;
    let mut input = input("NoRecoveryLeft");
    input["jobId"] = json!("j".repeat(64));
    w.outcome(NOTIFY, input, "Notified").await;
    let subject = w.cloud.sns.published()[0].subject.clone().unwrap();
    assert!(subject.len() < 100 && subject.ends_with("..."), "{subject}");
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_told_with_the_call_that_failed() {
    let w = World::with(settings(&[(
        "SNS_TOPIC_ARN",
        "arn:aws:sns:us-east-1:123456789012:nobody",
    )]))
    .await;
    let error = w.call(NOTIFY, input("NoGpuFault")).await.unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    assert!(
        error
            .to_string()
            .starts_with("sns:Publish failed with NotFound"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_busy_sns_is_asked_again() {
    let w = World::new().await;
    for (code, status) in [
        ("Throttled", 429),
        ("KMSThrottling", 400),
        ("ThrottlingException", 400),
        ("InternalError", 500),
    ] {
        w.wire().faults().set_plan(move |_| Fault::Fail {
            code: code.to_owned(),
            status,
            message: "Rate exceeded".to_owned(),
        });
        let error = w.call(NOTIFY, input("NoGpuFault")).await.unwrap_err();
        assert_eq!(error.name(), "AwsUnavailable", "{code}");
    }
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.outcome(NOTIFY, input("NoGpuFault"), "Notified").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_or_a_second_call_tells_twice_rather_than_never() {
    let w = World::new().await;
    w.wire().faults().set_plan(|call| match call.nth {
        1 => Fault::FailAfterEffect,
        _ => Fault::Proceed,
    });
    w.outcome(NOTIFY, input("NoGpuFault"), "Notified").await;
    w.outcome(NOTIFY, input("NoGpuFault"), "Notified").await;
    let published = w.cloud.sns.published();
    assert_eq!(published.len(), 3);
    assert!(published.iter().all(|m| m.subject == published[0].subject));
    assert!(calls_of(&w, NOTIFY).iter().all(|c| c.action == "Publish"));
}

const CHAT: &str = "arn:aws:sns:us-east-1:123456789012:gpu-recovery-chat";

async fn with_chat() -> World {
    let w = World::with(settings(&[("CHAT_TOPIC_ARN", CHAT)])).await;
    assert_eq!(w.cloud.sns.create_topic("gpu-recovery-chat"), CHAT);
    w
}

#[tokio::test(start_paused = true)]
async fn the_chat_is_told_the_same_in_its_own_format() {
    let w = with_chat().await;
    w.outcome(NOTIFY, recovered(), "Notified").await;
    let published = w.cloud.sns.published();
    let [mail, chat] = published.as_slice() else {
        panic!("two messages: {published:?}");
    };
    assert_eq!(mail.topic, w.cloud.settings.topic_arn);
    assert_eq!(chat.topic, CHAT);
    let said: Value = serde_json::from_str(&chat.message).expect("JSON");
    assert_eq!(
        (&said["version"], &said["source"]),
        (&json!("1.0"), &json!("custom"))
    );
    assert_eq!(
        said["content"]["title"],
        format!(
            "RECOVERED llama-7b in 11 min: rebooted {} (rank 3)",
            instance_id(3)
        )
    );
    assert_eq!(said["metadata"]["threadId"], JOB);
    let description = said["content"]["description"].as_str().expect("a text");
    assert!(
        description.contains("rebooted, DCGM healthy; back in service"),
        "{description}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_chat_that_cannot_be_told_neither_fails_the_step_nor_tells_the_others_twice() {
    let w = with_chat().await;
    w.wire().faults().set_plan(|call| {
        // The second one is for the chat.
        let chat = call.action == "Publish" && call.nth >= 2;
        match chat {
            true => Fault::Fail {
                code: "AuthorizationError".to_owned(),
                status: 403,
                message: "not authorized".to_owned(),
            },
            false => Fault::Proceed,
        }
    });
    w.outcome(NOTIFY, recovered(), "Notified").await;
    let published = w.cloud.sns.published();
    let topics: Vec<&str> = published.iter().map(|m| m.topic.as_str()).collect();
    assert_eq!(topics, [w.cloud.settings.topic_arn.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn a_chat_topic_that_is_none_is_refused_with_the_other_settings() {
    let wrong = settings(&[("CHAT_TOPIC_ARN", "#gpu-alerts")]);
    let error = simulator::cloud::Cloud::new(wrong)
        .await
        .err()
        .expect("it is refused");
    let told = error.to_string();
    assert!(
        told.contains("CHAT_TOPIC_ARN is '#gpu-alerts'; give a topic ARN"),
        "{told}"
    );
}
