//! Retry, Catch and time-outs.

use super::support::{cloud, echo, failure, play, runner, script, seeded_cloud, task};
use crate::{Answer, ExecutionStatus, TaskRunner};
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

fn fails(error: &'static str) -> TaskRunner {
    runner(move |_| Err(failure(error)))
}

/// Which of the names catch the error.
async fn caught_by(tasks: TaskRunner, fields: Value) -> Vec<&'static str> {
    let mut caught = Vec::new();
    for name in [
        "States.ALL",
        "States.TaskFailed",
        "States.Timeout",
        "States.HeartbeatTimeout",
        "Own",
    ] {
        let mut state = task(json!({ "Catch": [ { "ErrorEquals": [name], "Next": "Caught" } ] }));
        for (field, value) in fields.as_object().unwrap() {
            state[field] = value.clone();
        }
        let states = json!({ "A": state, "Caught": { "Type": "Succeed" } });
        let view = play(tasks.clone(), states, json!({})).await;
        if view.status == ExecutionStatus::Succeeded {
            caught.push(name);
        }
    }
    caught
}

#[tokio::test(start_paused = true)]
async fn wildcards_match_as_on_aws() {
    let none = json!({});
    assert_eq!(
        caught_by(fails("Own"), none.clone()).await,
        ["States.ALL", "States.TaskFailed", "Own"]
    );
    assert_eq!(
        caught_by(fails("States.TaskFailed"), none.clone()).await,
        ["States.ALL", "States.TaskFailed"]
    );
    let slow = json!({ "TimeoutSeconds": 1 });
    let never: TaskRunner = Arc::new(|_| Box::pin(std::future::pending()));
    assert_eq!(
        caught_by(never.clone(), slow).await,
        ["States.ALL", "States.Timeout"]
    );
    let silent = json!({
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "TimeoutSeconds": 9, "HeartbeatSeconds": 2 });
    let invoked = runner(|_| Ok(Answer::Waits(json!({}))));
    assert_eq!(
        caught_by(invoked, silent).await,
        ["States.ALL", "States.Timeout", "States.HeartbeatTimeout"]
    );
    assert!(
        caught_by(fails("States.Runtime"), none.clone())
            .await
            .is_empty()
    );
    assert_eq!(
        caught_by(fails("States.DataLimitExceeded"), none.clone()).await,
        ["States.ALL", "States.TaskFailed"]
    );
    let broken = json!({ "Output": "{% $states.result.missing %}" });
    assert_eq!(
        caught_by(echo(), broken).await,
        ["States.ALL", "States.TaskFailed"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_catch_sees_the_error_and_assigns() {
    let states = json!({
        "A": task(json!({ "Catch": [ {
            "ErrorEquals": ["Own"], "Next": "B",
            "Assign": { "why": "{% $states.errorOutput.Cause %}" },
            "Output": "{% $states.input & $states.errorOutput.Error %}" } ] })),
        "B": { "Type": "Succeed", "Output": ["{% $why %}", "{% $states.input %}"] },
    });
    let view = play(fails("Own"), states, json!("in:")).await;
    assert_eq!(*view.output.unwrap(), json!(["because of Own", "in:Own"]));
}

#[tokio::test(start_paused = true)]
async fn without_output_a_catch_gives_the_error_on_and_a_time_out_has_an_empty_cause() {
    let states = json!({
        "A": task(json!({ "TimeoutSeconds": 5, "Catch": [ { "ErrorEquals": ["States.ALL"], "Next": "B" } ] })),
        "B": { "Type": "Succeed" },
    });
    let never: TaskRunner = Arc::new(|_| Box::pin(std::future::pending()));
    let view = play(never, states, json!({})).await;
    assert_eq!(
        *view.output.unwrap(),
        json!({ "Error": "States.Timeout", "Cause": "" })
    );
}

#[tokio::test(start_paused = true)]
async fn retries_back_off_up_to_the_maximum_and_count() {
    let (runner, calls) = script(vec![
        Err(failure("Own")),
        Err(failure("Own")),
        Err(failure("Own")),
        Err(failure("Own")),
        Ok(json!("done")),
    ]);
    let cloud = cloud(runner);
    let view = cloud
        .run(json!({ "A": task(json!({
            "Arguments": { "n": "{% $states.context.State.RetryCount %}" },
            "Retry": [ { "ErrorEquals": ["Own"], "IntervalSeconds": 2, "BackoffRate": 3, "MaxAttempts": 4, "MaxDelaySeconds": 10 } ],
        })) }), json!({}))
        .await;
    let took = view.stopped.unwrap().duration_since(view.started).unwrap();
    // Five calls of a second; pauses of 2, 6, 10 and 10.
    assert_eq!(took.as_secs(), 5 + 2 + 6 + 10 + 10);
    let counts: Vec<_> = calls
        .lock()
        .unwrap()
        .iter()
        .map(|c| (c.retry_count, c.arguments["n"].clone()))
        .collect();
    assert_eq!(counts, (0..5).map(|n| (n, json!(n))).collect::<Vec<_>>());
    assert_eq!(cloud.sfn.transitions(&view.arn), 5);
}

#[tokio::test(start_paused = true)]
async fn each_retrier_counts_by_itself_and_an_exhausted_one_is_the_end() {
    let (runner, calls) = script(vec![
        Err(failure("One")),
        Err(failure("Two")),
        Err(failure("One")),
        Err(failure("One")),
    ]);
    let states = json!({ "A": task(json!({ "Retry": [
        { "ErrorEquals": ["One"], "MaxAttempts": 2 },
        { "ErrorEquals": ["States.ALL"], "MaxAttempts": 5 } ] })) });
    let view = play(runner, states, json!({})).await;
    assert_eq!(view.error.as_deref(), Some("One"));
    assert_eq!(calls.lock().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn zero_attempts_means_never() {
    let (runner, calls) = script(vec![Err(failure("Own"))]);
    let states = json!({ "A": task(json!({ "Retry": [
        { "ErrorEquals": ["Own"], "MaxAttempts": 0 }, { "ErrorEquals": ["States.ALL"] } ] })) });
    play(runner, states, json!({})).await;
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn full_jitter_is_random_and_repeats_by_seed() {
    let states = json!({ "A": task(json!({ "Retry": [
        { "ErrorEquals": ["Own"], "IntervalSeconds": 100, "BackoffRate": 1, "MaxAttempts": 5, "JitterStrategy": "FULL" } ] })) });
    let mut took = Vec::new();
    for seed in [1, 1, 2] {
        let view = seeded_cloud(fails("Own"), seed)
            .run(states.clone(), json!({}))
            .await;
        took.push(view.stopped.unwrap().duration_since(view.started).unwrap());
    }
    assert_eq!(took[0], took[1]);
    assert_ne!(took[0], took[2]);
    assert!(took[0] < Duration::from_secs(506) && took[0] > Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn a_query_error_is_retried_and_told_in_the_history() {
    let (runner, calls) = script(vec![Ok(json!({})), Ok(json!({ "x": 1 }))]);
    let cloud = cloud(runner);
    let view = cloud
        .run(
            json!({ "A": task(json!({
            "Output": { "x": "{% $states.result.x %}" },
            "Retry": [ { "ErrorEquals": ["States.QueryEvaluationError"] } ] })) }),
            json!({}),
        )
        .await;
    assert_eq!(*view.output.unwrap(), json!({ "x": 1 }));
    assert_eq!(calls.lock().unwrap().len(), 2);
    let history = cloud.sfn.history(&view.arn);
    let failed = history
        .iter()
        .find(|event| event["type"] == "EvaluationFailed")
        .unwrap();
    assert_eq!(
        failed["evaluationFailedEventDetails"],
        json!({
            "error": "States.QueryEvaluationError",
            "cause": "An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression \
                      '$states.result.x' specified for the field 'Output/x' returned nothing (undefined).",
            "location": "Output/x",
            "state": "A",
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_out_and_a_stop_drop_the_task() {
    struct Guard(Arc<AtomicUsize>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = dropped.clone();
    let never: TaskRunner = Arc::new(move |_| {
        let guard = Guard(count.clone());
        Box::pin(async move {
            let _guard = guard;
            std::future::pending().await
        })
    });
    let cloud = cloud(never);
    let view = cloud
        .run(
            json!({ "A": task(json!({ "TimeoutSeconds": 60 })) }),
            json!({}),
        )
        .await;
    assert_eq!(
        (view.error.as_deref(), view.cause),
        (Some("States.Timeout"), None)
    );
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    let arn = cloud.sfn.create_state_machine(
        "n",
        super::support::parse(&super::support::machine(json!({ "A": task(json!({})) }))).unwrap(),
    );
    let arn = cloud.sfn.start(&arn, None, json!({})).unwrap();
    sleep(Duration::from_secs(1)).await;
    cloud
        .sfn
        .stop(&arn, Some("Person"), Some("said so"))
        .unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(view.status, ExecutionStatus::Aborted);
    assert_eq!(view.error.as_deref(), Some("Person"));
    assert_eq!(dropped.load(Ordering::Relaxed), 2);
    assert_eq!(cloud.types(&arn).last().unwrap(), "ExecutionAborted");
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_result_is_too_large_can_be_caught_by_states_all() {
    // As recorded on AWS, twice: the cause names the service, and there is a TaskFailed.
    let huge = runner(|_| Ok(Answer::Result(json!("x".repeat(262_144)))));
    let states = json!({
        "A": task(json!({ "Catch": [ { "ErrorEquals": ["States.ALL"], "Next": "B" } ] })),
        "B": { "Type": "Succeed" },
    });
    let cloud = cloud(huge);
    let view = cloud.run(states, json!({})).await;
    assert_eq!(
        *view.output.unwrap(),
        json!({
            "Error": "States.DataLimitExceeded",
            "Cause": "The state/task 'lambda' returned a result with a size exceeding the maximum number of bytes \
                      service limit.",
        })
    );
    assert_eq!(
        cloud.types(&view.arn)[3..6],
        ["TaskStarted", "TaskFailed", "TaskStateExited"]
    );
}

#[tokio::test(start_paused = true)]
async fn another_state_that_is_too_large_cannot_be_caught_by_states_all() {
    // "a terminal error that can't be caught by the States.ALL error type" (developer guide, concepts-error-handling).
    let catch = |name: &str| {
        json!({
            "A": task(json!({ "Output": "{% $pad('x', 262145) %}",
                "Catch": [ { "ErrorEquals": [name], "Next": "B" } ] })),
            "B": { "Type": "Succeed" },
        })
    };
    let view = play(echo(), catch("States.ALL"), json!({})).await;
    assert_eq!(view.error.as_deref(), Some("States.DataLimitExceeded"));
    let view = play(echo(), catch("States.DataLimitExceeded"), json!({})).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
}
