//! Every state type, from the outside.

use super::support::{cloud, echo, output, play, script, task};
use crate::{ExecutionStatus, time::rfc3339};
use serde_json::json;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_pass_gives_its_input_on_or_its_output() {
    let states = json!({
        "A": { "Type": "Pass", "Next": "B" },
        "B": { "Type": "Pass", "Output": { "n": "{% $states.input.n + 1 %}", "same": [1, "{% 'x' %}"] }, "End": true },
    });
    assert_eq!(
        output(states, json!({ "n": 1 })).await,
        json!({ "n": 2, "same": [1, "x"] })
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_passes_arguments_and_gets_the_result() {
    let (runner, calls) = script(vec![Ok(json!({ "Payload": { "ok": true } }))]);
    let states = json!({ "A": task(json!({
        "Arguments": { "FunctionName": "f", "Payload": { "in": "{% $states.input %}", "who": "{% $states.context.State.Name %}" } },
        "Output": "{% $states.result.Payload %}",
    })) });
    let view = play(runner, states, json!(5)).await;
    assert_eq!(*view.output.unwrap(), json!({ "ok": true }));
    let arguments = &calls.lock().unwrap()[0].arguments;
    assert_eq!(
        *arguments,
        json!({ "FunctionName": "f", "Payload": { "in": 5, "who": "A" } })
    );
}

#[tokio::test(start_paused = true)]
async fn a_choice_takes_the_first_rule_that_holds_and_only_its_assign() {
    let states = json!({
        "A": {
            "Type": "Choice",
            "Choices": [
                { "Condition": "{% $states.input > 10 %}", "Next": "End", "Assign": { "size": "large" } },
                { "Condition": "{% $states.input > 5 %}", "Next": "End", "Assign": { "size": "middle" }, "Output": "cut" },
            ],
            "Default": "End",
            "Assign": { "size": "small", "defaulted": true },
        },
        "End": { "Type": "Succeed", "Output": ["{% $size %}", "{% $exists($defaulted) %}", "{% $states.input %}"] },
    });
    for (input, expected) in [
        (20, json!(["large", false, 20])),
        (7, json!(["middle", false, "cut"])),
        (1, json!(["small", true, 1])),
    ] {
        assert_eq!(output(states.clone(), json!(input)).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_without_a_match_fails_at_run_time() {
    let states = json!({
        "A": { "Type": "Choice", "Choices": [ { "Condition": "{% $states.input = 1 %}", "Next": "B" } ] },
        "B": { "Type": "Succeed" },
    });
    let view = play(echo(), states, json!(2)).await;
    assert_eq!(view.error.as_deref(), Some("States.Runtime"));
    assert_eq!(
        view.cause.as_deref(),
        Some(
            "An error occurred while executing the state 'A' (entered at the event id #2). Failed to transition out of \
             the state. The state does not point to a next state."
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_takes_virtual_time() {
    let cloud = cloud(echo());
    let until = cloud.now() + Duration::from_secs(7200);
    let states = json!({
        "A": { "Type": "Wait", "Seconds": "{% 30 * 60 %}", "Next": "B" },
        "B": { "Type": "Wait", "Timestamp": "{% $states.input %}", "Next": "C" },
        "C": { "Type": "Wait", "Timestamp": "2020-01-01T00:00:00Z", "End": true },
    });
    let view = cloud.run(states, json!(rfc3339(until))).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    assert_eq!(view.stopped, Some(until));
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_must_be_one() {
    let states = json!({ "A": { "Type": "Wait", "Timestamp": "{% 'soon' %}", "End": true } });
    let view = play(echo(), states, json!({})).await;
    assert_eq!(view.error.as_deref(), Some("States.QueryEvaluationError"));
    assert!(
        view.cause
            .unwrap()
            .ends_with("extended offset date-time format string: soon")
    );
}

#[tokio::test(start_paused = true)]
async fn a_fail_fails_with_its_words() {
    let states = json!({ "A": { "Type": "Fail", "Error": "Broken", "Cause": "{% 'by ' & $states.input %}" } });
    let view = play(echo(), states, json!("hand")).await;
    assert_eq!(view.status, ExecutionStatus::Failed);
    assert_eq!(
        (view.error.as_deref(), view.cause.as_deref()),
        (Some("Broken"), Some("by hand"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_parallel_joins_its_branches_in_order() {
    let states = json!({ "P": {
        "Type": "Parallel",
        "Arguments": "{% $states.input.x %}",
        "Branches": [
            { "StartAt": "W", "States": { "W": { "Type": "Wait", "Seconds": 9, "End": true } } },
            { "StartAt": "Q", "States": { "Q": { "Type": "Pass", "Output": "{% $states.input * 2 %}", "End": true } } },
        ],
        "End": true,
    } });
    assert_eq!(output(states, json!({ "x": 21 })).await, json!([21, 42]));
}

#[tokio::test(start_paused = true)]
async fn variables_change_after_the_state_and_reach_into_inner_scopes() {
    let states = json!({
        "A": { "Type": "Pass", "Assign": { "x": 3, "a": 6 }, "Next": "B" },
        "B": { "Type": "Pass", "Assign": { "x": "{% $a %}", "nextX": "{% $x %}" }, "Output": "{% $x %}", "Next": "P" },
        "P": {
            "Type": "Parallel",
            "Branches": [ { "StartAt": "I", "States": {
                "I": { "Type": "Pass", "Assign": { "own": "{% $x + 1 %}" }, "Next": "J" },
                "J": { "Type": "Pass", "Output": "{% [$x, $nextX, $own, $states.input] %}", "End": true },
            } } ],
            "End": true,
        },
    });
    assert_eq!(output(states, json!({})).await, json!([[6, 3, 7, 3]]));
}

#[tokio::test(start_paused = true)]
async fn the_execution_times_out_and_keeps_no_error() {
    let cloud = cloud(echo());
    let mut definition =
        super::support::machine(json!({ "A": { "Type": "Wait", "Seconds": 100, "End": true } }));
    definition["TimeoutSeconds"] = 60.into();
    let arn = cloud.start_machine(&definition, json!({}));
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(view.status, ExecutionStatus::TimedOut);
    assert_eq!((view.error, view.cause), (None, None));
    assert_eq!(
        view.stopped
            .unwrap()
            .duration_since(view.started)
            .unwrap()
            .as_secs(),
        60
    );
    let last = cloud.sfn.history(&arn).pop().unwrap();
    assert_eq!(last["type"], "ExecutionTimedOut");
    assert_eq!(last["previousEventId"], 0);
    assert_eq!(
        last["executionTimedOutEventDetails"]["error"],
        "States.Timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn payloads_are_limited_to_256_kib() {
    let states = json!({
        "A": { "Type": "Pass", "Output": "{% $pad('x', 262145) %}", "Next": "B" },
        "B": { "Type": "Pass", "End": true },
    });
    let view = play(echo(), states, json!({})).await;
    assert_eq!(view.error.as_deref(), Some("States.DataLimitExceeded"));
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_full_fails_the_execution() {
    let cloud = cloud(echo());
    let view = cloud
        .run(json!({
            "A": { "Type": "Choice", "Choices": [ { "Condition": "{% $states.input = 1 %}", "Next": "B" } ], "Default": "A" },
            "B": { "Type": "Succeed" },
        }), json!({}))
        .await;
    assert_eq!(view.error.as_deref(), Some("States.Runtime"));
    assert_eq!(cloud.sfn.history(&view.arn).len(), 25_000);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_more_than_24855_days_fails() {
    // Recorded on AWS: 2^31 - 1 seconds at most, and no Catch would help.
    let wait = |days: u64| async move {
        let cloud = cloud(echo());
        let until = cloud.now() + Duration::from_secs(days * 24 * 3600);
        let states =
            json!({ "A": { "Type": "Wait", "Timestamp": "{% $states.input %}", "End": true } });
        cloud.run(states, json!(rfc3339(until))).await
    };
    assert_eq!(wait(24_855).await.status, ExecutionStatus::Succeeded);
    let view = wait(24_856).await;
    assert_eq!(view.error.as_deref(), Some("States.Runtime"));
    assert_eq!(
        view.cause.as_deref(),
        Some(
            "An error occurred while executing the state 'A' (entered at the event id #2). Wait state delay is too long."
        )
    );
}
