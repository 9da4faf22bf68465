//! Mocked results in the format of Step Functions Local.

use super::support::{Cloud, cloud, echo, machine, parse, task};
use crate::{Definition, ExecutionStatus, ExecutionView, Mocks};
use serde_json::{Value, json};

const CONFIG: &str = r#"{
  "StateMachines": {
    "Orders": { "TestCases": {
      "Happy": { "Call": "FailsTwice", "Wait": "Signed" },
      "Short": { "Call": "FailsTwice" },
      "Unhappy": { "Call": "Empty" }
    } }
  },
  "MockedResponses": {
    "FailsTwice": {
      "0-1": { "Throw": { "Error": "Own", "Cause": "not yet" } },
      "2": { "Return": { "Payload": 42 } }
    },
    "Signed": { "0": { "Return": { "signed": true } } },
    "Empty": {}
  }
}"#;

fn definition(states: &Value) -> Definition {
    parse(&machine(states.clone())).unwrap_or_else(|errors| panic!("{errors}"))
}

/// Plays states whose tasks answer so, by state and number of the call.
async fn play(states: Value, responses: Value) -> (Cloud, ExecutionView) {
    let named: Value = responses
        .as_object()
        .unwrap()
        .keys()
        .map(|state| (state.clone(), json!(state)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let config = json!({
        "StateMachines": { "M": { "TestCases": { "C": named } } }, "MockedResponses": responses });
    let mocks = Mocks::parse(&config.to_string()).unwrap();
    let runner = mocks.runner("M", "C", &definition(&states)).unwrap();
    let cloud = cloud(runner);
    let view = cloud.run(states, json!({})).await;
    (cloud, view)
}

fn states() -> Value {
    let mut wait = task(json!({}));
    wait["Resource"] = "arn:aws:states:::lambda:invoke.waitForTaskToken".into();
    json!({
        "Call": task(json!({ "Retry": [ { "ErrorEquals": ["Own"] } ], "Next": "Wait" })),
        "Wait": wait,
    })
}

#[tokio::test(start_paused = true)]
async fn a_test_case_plays_its_answers_in_turn() {
    let mocks = Mocks::parse(CONFIG).unwrap();
    let cases: Vec<_> = mocks
        .test_cases()
        .into_iter()
        .map(|(_, case)| case)
        .collect();
    assert_eq!(cases, ["Happy", "Short", "Unhappy"]);
    let view = cloud(
        mocks
            .runner("Orders", "Happy", &definition(&states()))
            .unwrap(),
    )
    .run(states(), json!({}))
    .await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    assert_eq!(*view.output.unwrap(), json!({ "signed": true }));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_mocked_fails_with_a_clear_cause() {
    let mocks = Mocks::parse(CONFIG).unwrap();
    let view = cloud(
        mocks
            .runner("Orders", "Short", &definition(&states()))
            .unwrap(),
    )
    .run(states(), json!({}))
    .await;
    assert_eq!(view.error.as_deref(), Some("States.Runtime"));
    assert_eq!(
        view.cause.as_deref(),
        Some("the state 'Wait' is not mocked in this test case")
    );
    let view = cloud(
        mocks
            .runner("Orders", "Unhappy", &definition(&states()))
            .unwrap(),
    )
    .run(states(), json!({}))
    .await;
    assert_eq!(
        view.cause.as_deref(),
        Some("call 1 of the state 'Call' is not mocked: 'Empty' has no response \"0\"")
    );
    assert!(
        mocks
            .runner("Orders", "None", &definition(&states()))
            .err()
            .unwrap()
            .to_string()
            .contains("expected one of Happy, Short, Unhappy")
    );
}

#[test]
fn a_wrong_configuration_is_told_with_line_and_field() {
    let text = r#"{
  "StateMachines": { "M": { "TestCases": { "C": {
    "S": "Missing" } } } },
  "MockedResponses": {
    "R": { "x": { "Return": 1 },
           "1": { "Return": 1, "Throw": {} },
           "2": { "Throw": { "Cause": "" } } }
  }
}"#;
    let errors = Mocks::parse(text).unwrap_err();
    assert_eq!(
        errors.0,
        [
            "line 3: /StateMachines/M/TestCases/C/S: MockedResponses has no 'Missing'",
            "line 5: /MockedResponses/R/x: expected the number of a call, \"0\", or a range, \"1-2\"",
            "line 6: /MockedResponses/R/1: expected either Return or Throw",
            "line 7: /MockedResponses/R/2/Throw: the string Error is required",
        ]
    );
    assert!(
        Mocks::parse("{")
            .unwrap_err()
            .to_string()
            .starts_with("line 1: no JSON")
    );
}

fn returns(answers: &[Value]) -> Value {
    let numbered = answers.iter().enumerate();
    numbered
        .map(|(nth, answer)| (nth.to_string(), json!({ "Return": answer })))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[tokio::test(start_paused = true)]
async fn a_poll_loop_sees_one_answer_after_the_other() {
    let states = json!({
        "Look": task(json!({ "Output": "{% $states.result %}", "Next": "Done?" })),
        "Done?": { "Type": "Choice", "Default": "Pause", "Choices": [
            { "Condition": "{% $states.input = 'running' %}", "Next": "End" } ] },
        "Pause": { "Type": "Wait", "Seconds": 30, "Next": "Look" },
        "End": { "Type": "Succeed" },
    });
    let answers = returns(&[json!("pending"), json!("pending"), json!("running")]);
    let (cloud, view) = play(states.clone(), json!({ "Look": answers })).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    let looks = cloud.types(&view.arn);
    let looks = looks.iter().filter(|kind| *kind == "TaskSucceeded").count();
    assert_eq!(looks, 3);

    // A loop that is not mocked to its end says so, and does not play on for ever.
    let (_, view) = play(states, json!({ "Look": returns(&[json!("pending")]) })).await;
    assert_eq!(
        view.cause.as_deref(),
        Some("call 2 of the state 'Look' is not mocked: 'Look' has no response \"1\"")
    );
}

#[tokio::test(start_paused = true)]
async fn iterations_and_retries_of_a_map_share_one_counter() {
    let states = json!({ "M": { "Type": "Map", "Items": [1, 2], "MaxConcurrency": 1, "End": true, "ItemProcessor": {
        "StartAt": "Call", "States": { "Call": task(json!({ "Retry": [ { "ErrorEquals": ["Boom"] } ] })) } } } });
    // The example of floci#3254, played there with Step Functions Local 2.0.0.
    let responses = json!({ "Call": {
        "0": { "Throw": { "Error": "Boom", "Cause": "attempt0" } },
        "1": { "Return": "idx1" }, "2": { "Return": "idx2" }, "3": { "Return": "idx3" } } });
    let (cloud, view) = play(states.clone(), responses).await;
    assert_eq!(*view.output.unwrap(), json!(["idx1", "idx2"]));
    // Another execution counts from 0 again.
    let machine = view.state_machine_arn;
    let second = cloud.sfn.start(&machine, None, json!({})).unwrap();
    let view = cloud.sfn.finished(&second).await.unwrap();
    assert_eq!(*view.output.unwrap(), json!(["idx1", "idx2"]));
}

#[tokio::test(start_paused = true)]
async fn mocked_jobs_and_callbacks_tell_of_what_was_submitted() {
    for resource in [
        "arn:aws:states:::ecs:runTask.sync",
        "arn:aws:states:::states:startExecution.sync:2",
        "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    ] {
        let mut call = task(json!({ "TimeoutSeconds": 60 }));
        call["Resource"] = resource.into();
        let states = json!({ "Call": call });
        let (cloud, view) = play(
            states.clone(),
            json!({ "Call": returns(&[json!({ "a": 1 })]) }),
        )
        .await;
        let kinds = [
            "TaskScheduled",
            "TaskStarted",
            "TaskSubmitted",
            "TaskSucceeded",
        ];
        assert_eq!(cloud.types(&view.arn)[2..6], kinds, "{resource}");
        let submitted = &cloud.sfn.history(&view.arn)[4]["taskSubmittedEventDetails"]["output"];
        assert_eq!(*submitted, "{\"a\":1}");

        let throw = |error: &str| json!({ "Call": { "0": { "Throw": { "Error": error } } } });
        let (cloud, view) = play(states.clone(), throw("States.TaskFailed")).await;
        let kinds = ["TaskStarted", "TaskSubmitted", "TaskFailed"];
        assert_eq!(cloud.types(&view.arn)[3..6], kinds, "{resource}");
        let (cloud, view) = play(states, throw("States.Timeout")).await;
        let kinds = ["TaskStarted", "TaskSubmitted", "TaskTimedOut"];
        assert_eq!(cloud.types(&view.arn)[3..6], kinds, "{resource}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_submits_nothing() {
    for (resource, error) in [
        ("ecs:runTask.sync", "ECS.AmazonECSException"),
        ("ecs:runTask.sync", "AmazonECS.Unknown"),
        (
            "states:startExecution.sync",
            "StepFunctions.ExecutionLimitExceededException",
        ),
        (
            "lambda:invoke.waitForTaskToken",
            "Lambda.TooManyRequestsException",
        ),
        (
            "aws-sdk:ssm:sendCommand.waitForTaskToken",
            "Ssm.SsmException",
        ),
    ] {
        let mut call = task(json!({}));
        call["Resource"] = format!("arn:aws:states:::{resource}").into();
        let throw = json!({ "Call": { "0": { "Throw": { "Error": error } } } });
        let (cloud, view) = play(json!({ "Call": call }), throw).await;
        let kinds = ["TaskStarted", "TaskFailed", "ExecutionFailed"];
        assert_eq!(cloud.types(&view.arn)[3..], kinds, "{resource}");
    }
}

#[test]
fn a_mock_for_what_is_no_task_names_the_nearest_one() {
    let text = r#"{
  "StateMachines": { "M": { "TestCases": { "C": {
    "Cal": "R",
    "Pause": "R" } } } },
  "MockedResponses": { "R": { "0": { "Return": 1 } } }
}"#;
    let states = json!({
        "Call": task(json!({ "Next": "Pause" })),
        "Pause": { "Type": "Wait", "Seconds": 1, "End": true },
    });
    let mocks = Mocks::parse(text).unwrap();
    let refused = mocks.runner("M", "C", &definition(&states)).err().unwrap();
    assert_eq!(
        refused.0,
        [
            "line 3: the definition has no state 'Cal' (did you mean 'Call'?)",
            "line 4: 'Pause' is a Wait; only a Task calls what can be mocked",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn every_integration_plays_when_a_mock_answers_it() {
    for resource in [
        "sns:publish",
        "sqs:sendMessage",
        "dynamodb:getItem",
        "events:putEvents",
        "states:startExecution",
        "http:invoke",
        "bedrock:invokeModel",
        "aws-sdk:s3:listBuckets",
        "aws-sdk:autoscaling:setInstanceHealth.waitForTaskToken",
    ] {
        let mut call = task(json!({}));
        call["Resource"] = format!("arn:aws:states:::{resource}").into();
        let states = json!({ "Call": call });
        let (cloud, view) = play(states.clone(), json!({ "Call": returns(&[json!(1)]) })).await;
        assert_eq!(view.status, ExecutionStatus::Succeeded, "{resource}");
        let scheduled = &cloud.sfn.history(&view.arn)[2]["taskScheduledEventDetails"];
        let written = format!(
            "{}:{}",
            scheduled["resourceType"].as_str().unwrap(),
            scheduled["resource"].as_str().unwrap()
        );
        assert_eq!(written, resource);
        let (_, view) = play(states, json!({})).await;
        let cause = "the state 'Call' is not mocked in this test case";
        assert_eq!(view.cause.as_deref(), Some(cause));
    }
}

#[tokio::test(start_paused = true)]
async fn states_without_a_mock_may_be_done_by_others() {
    let states = json!({
        "Real": task(json!({ "Arguments": "real", "Next": "Call" })),
        "Call": task(json!({ "Output": ["{% $states.input %}", "{% $states.result.Payload %}"] })),
    });
    let config = CONFIG
        .replace("\"0-1\"", "\"8-9\"")
        .replace("\"2\"", "\"0\"");
    let mocks = Mocks::parse(&config).unwrap();
    let definition = definition(&states);
    let runner = mocks.runner_beside(echo(), "Orders", "Short", &definition);
    let view = cloud(runner.unwrap()).run(states, json!({})).await;
    assert_eq!(*view.output.unwrap(), json!(["real", 42]));
}
