//! Mocked results in the format of Step Functions Local.

use super::support::{cloud, task};
use crate::{ExecutionStatus, Mocks};
use serde_json::json;

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

fn states() -> serde_json::Value {
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
    let view = cloud(mocks.runner("Orders", "Happy").unwrap())
        .run(states(), json!({}))
        .await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    assert_eq!(*view.output.unwrap(), json!({ "signed": true }));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_mocked_fails_with_a_clear_cause() {
    let mocks = Mocks::parse(CONFIG).unwrap();
    let view = cloud(mocks.runner("Orders", "Short").unwrap())
        .run(states(), json!({}))
        .await;
    assert_eq!(view.error.as_deref(), Some("States.Runtime"));
    assert_eq!(
        view.cause.as_deref(),
        Some("the state 'Wait' is not mocked in this test case")
    );
    let view = cloud(mocks.runner("Orders", "Unhappy").unwrap())
        .run(states(), json!({}))
        .await;
    assert_eq!(
        view.cause.as_deref(),
        Some("try 1 of the state 'Call' is not mocked: 'Empty' has no response \"0\"")
    );
    assert!(
        mocks
            .runner("Orders", "None")
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
            "line 5: /MockedResponses/R/x: expected the number of a try, \"0\", or a range, \"1-2\"",
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
