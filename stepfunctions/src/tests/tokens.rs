//! Tasks that wait for a token.

use super::support::{Cloud, cloud, runner, task};
use crate::{Answer, ExecutionStatus, StepFunctions, TaskRunner};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};
use tokio::time::sleep;

fn waiting_task(fields: Value) -> Value {
    let mut state = task(json!({
        "Arguments": { "token": "{% $states.context.Task.Token %}" },
        "TimeoutSeconds": 100,
    }));
    state["Resource"] = "arn:aws:states:::lambda:invoke.waitForTaskToken".into();
    for (name, value) in fields.as_object().unwrap() {
        state[name] = value.clone();
    }
    json!({ "A": state })
}

fn invoked() -> TaskRunner {
    runner(|request| {
        assert_eq!(request.arguments["token"], json!(request.task_token));
        Ok(Answer::Waits(json!({ "StatusCode": 200 })))
    })
}

/// Starts, and waits until the task waits.
async fn started(fields: Value) -> (Cloud, String, String) {
    let cloud = cloud(invoked());
    let arn = cloud.start(waiting_task(fields), json!({}));
    sleep(Duration::from_secs(2)).await;
    let token = cloud.sfn.waiting()[0].token.clone();
    (cloud, arn, token)
}

#[tokio::test(start_paused = true)]
async fn success_by_token_is_the_states_result() {
    let (cloud, arn, token) = started(json!({})).await;
    assert!(token.len() <= 2048);
    cloud.sfn.send_task_success(&token, "{\"x\": 1}").unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(*view.output.unwrap(), json!({ "x": 1 }));
    assert_eq!(
        cloud.types(&arn)[2..6],
        [
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitted",
            "TaskSucceeded"
        ]
    );
    assert!(cloud.sfn.waiting().is_empty());
    assert_eq!(
        cloud.sfn.send_task_success(&token, "1").unwrap_err().code,
        "TaskTimedOut"
    );
}

#[tokio::test(start_paused = true)]
async fn failure_by_token_is_the_states_failure() {
    let (cloud, arn, token) = started(json!({})).await;
    cloud
        .sfn
        .send_task_failure(&token, Some("NotSigned"), Some("no pen"))
        .unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        (view.error.as_deref(), view.cause.as_deref()),
        (Some("NotSigned"), Some("no pen"))
    );
}

#[tokio::test(start_paused = true)]
async fn wrong_tokens_and_outputs_are_refused() {
    let (cloud, _, token) = started(json!({})).await;
    let codes = [
        cloud
            .sfn
            .send_task_success("nonsense", "1")
            .unwrap_err()
            .code,
        cloud
            .sfn
            .send_task_heartbeat(&format!("{token}0"))
            .unwrap_err()
            .code,
        cloud
            .sfn
            .send_task_heartbeat(&"x".repeat(2049))
            .unwrap_err()
            .code,
        cloud.sfn.send_task_success(&token, "{").unwrap_err().code,
    ];
    assert_eq!(
        codes,
        [
            "InvalidToken",
            "InvalidToken",
            "ValidationException",
            "InvalidOutput"
        ]
    );
    assert_eq!(cloud.sfn.waiting().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_task_alive_but_not_beyond_its_time_out() {
    let (cloud, arn, token) = started(json!({ "HeartbeatSeconds": 10 })).await;
    for _ in 0..12 {
        sleep(Duration::from_secs(8)).await;
        cloud.sfn.send_task_heartbeat(&token).unwrap();
    }
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        view.stopped
            .unwrap()
            .duration_since(view.started)
            .unwrap()
            .as_secs(),
        100
    );
    let (cloud, arn, token) = started(json!({ "HeartbeatSeconds": 10 })).await;
    sleep(Duration::from_secs(5)).await;
    cloud.sfn.send_task_heartbeat(&token).unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        view.stopped
            .unwrap()
            .duration_since(view.started)
            .unwrap()
            .as_secs(),
        17
    );
    assert_eq!(view.error.as_deref(), Some("States.Timeout"));
    assert_eq!(
        cloud.sfn.send_task_heartbeat(&token).unwrap_err().code,
        "TaskTimedOut"
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_told_before_the_call_returns_counts_and_the_call_goes_on() {
    let service: Arc<OnceLock<StepFunctions>> = Arc::default();
    let done = Arc::new(Mutex::new(false));
    let (answering, finished) = (service.clone(), done.clone());
    let tasks: TaskRunner = Arc::new(move |request| {
        let (service, finished) = (answering.clone(), finished.clone());
        Box::pin(async move {
            let token = request.task_token.unwrap();
            service
                .get()
                .unwrap()
                .send_task_success(&token, "\"early\"")
                .unwrap();
            sleep(Duration::from_secs(30)).await;
            *finished.lock().unwrap() = true;
            Ok(Answer::Waits(json!({})))
        })
    });
    let cloud = cloud(tasks);
    assert!(service.set(cloud.sfn.clone()).is_ok());
    let view = cloud.run(waiting_task(json!({})), json!({})).await;
    assert_eq!(*view.output.unwrap(), json!("early"));
    assert_eq!(view.stopped, Some(view.started));
    sleep(Duration::from_secs(31)).await;
    assert!(*done.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_fails_the_state_and_a_mock_answers_for_it() {
    let view = cloud(runner(|_| Err(super::support::failure("Own"))))
        .run(waiting_task(json!({})), json!({}))
        .await;
    assert_eq!(view.error.as_deref(), Some("Own"));
    let view = cloud(runner(|_| Ok(Answer::Result(json!("mocked")))))
        .run(waiting_task(json!({})), json!({}))
        .await;
    assert_eq!(*view.output.unwrap(), json!("mocked"));
    let states = json!({ "A": task(json!({})) });
    let view = cloud(runner(|_| Ok(Answer::Waits(json!({})))))
        .run(states, json!({}))
        .await;
    assert_eq!(
        (view.status, view.error.as_deref()),
        (ExecutionStatus::Failed, Some("States.Runtime"))
    );
}

#[tokio::test(start_paused = true)]
async fn every_try_has_its_own_token() {
    let (cloud, arn, first) =
        started(json!({ "Retry": [ { "ErrorEquals": ["States.Timeout"], "MaxAttempts": 1 } ] }))
            .await;
    sleep(Duration::from_secs(105)).await;
    let second = cloud.sfn.waiting()[0].token.clone();
    assert_ne!(first, second);
    assert_eq!(
        cloud.sfn.send_task_success(&first, "1").unwrap_err().code,
        "TaskTimedOut"
    );
    cloud.sfn.send_task_success(&second, "2").unwrap();
    assert_eq!(
        *cloud.sfn.finished(&arn).await.unwrap().output.unwrap(),
        json!(2)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_by_token_without_an_error_gives_nulls() {
    // As recorded on AWS.
    let mut states = waiting_task(
        json!({ "Catch": [ { "ErrorEquals": ["States.ALL"], "Next": "B" } ], "Next": "B" }),
    );
    states["A"].as_object_mut().unwrap().remove("End");
    states["B"] = json!({ "Type": "Succeed" });
    let cloud = cloud(invoked());
    let arn = cloud.start(states, json!({}));
    sleep(Duration::from_secs(2)).await;
    let body = json!({ "taskToken": cloud.sfn.waiting()[0].token });
    cloud.sfn.api("SendTaskFailure", &body).unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        *view.output.unwrap(),
        json!({ "Error": null, "Cause": null })
    );
    let failed = &cloud.sfn.history(&arn)[5];
    assert_eq!(failed["type"], "TaskFailed");
    assert_eq!(
        failed["taskFailedEventDetails"],
        json!({ "resourceType": "lambda", "resource": "invoke.waitForTaskToken" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_is_told_of_before_it_ends_and_is_cancelled_with_its_state() {
    let cancelled = Arc::new(Mutex::new(0));
    let count = cancelled.clone();
    let job = runner(move |_| {
        struct Job(Arc<Mutex<u32>>);
        impl Drop for Job {
            fn drop(&mut self) {
                *self.0.lock().unwrap() += 1;
            }
        }
        let job = Job(count.clone());
        let end = Box::pin(async move {
            sleep(Duration::from_secs(60)).await;
            std::mem::forget(job);
            Ok(json!("done"))
        });
        let submitted = json!({ "id": 7 });
        Ok(Answer::Runs { submitted, end })
    });
    let cloud = cloud(job);
    for (timeout, kinds) in [
        (90, ["TaskSubmitted", "TaskSucceeded", "TaskStateExited"]),
        (30, ["TaskSubmitted", "TaskTimedOut", "ExecutionFailed"]),
    ] {
        let mut state = task(json!({ "TimeoutSeconds": timeout }));
        state["Resource"] = "arn:aws:states:::ecs:runTask.sync".into();
        let arn = cloud.sfn.create_state_machine(
            "m",
            super::support::parse(&super::support::machine(json!({ "A": state }))).unwrap(),
        );
        let arn = cloud.sfn.start(&arn, None, json!({})).unwrap();
        cloud.sfn.finished(&arn).await;
        assert_eq!(cloud.types(&arn)[4..7], kinds);
        let submitted = &cloud.sfn.history(&arn)[4];
        assert_eq!(
            submitted["taskSubmittedEventDetails"]["output"],
            "{\"id\":7}"
        );
        assert_eq!(*cancelled.lock().unwrap(), u32::from(timeout == 30));
    }
}
