//! StartExecution.

use super::support::{Cloud, cloud, echo, machine, parse};
use crate::ApiError;
use serde_json::json;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:m";

fn waiting_cloud() -> Cloud {
    let cloud = cloud(echo());
    let definition = machine(json!({ "A": { "Type": "Wait", "Seconds": 60, "End": true } }));
    cloud
        .sfn
        .create_state_machine("m", parse(&definition).unwrap());
    cloud
}

#[tokio::test(start_paused = true)]
async fn starting_is_idempotent_while_it_runs_with_the_same_input() {
    let cloud = waiting_cloud();
    let first = cloud
        .sfn
        .start(MACHINE, Some("x"), json!({ "a": 1 }))
        .unwrap();
    assert_eq!(
        cloud
            .sfn
            .start(MACHINE, Some("x"), json!({ "a": 1 }))
            .unwrap(),
        first
    );
    assert_eq!(cloud.sfn.executions().len(), 1);
    let other = cloud
        .sfn
        .start(MACHINE, Some("x"), json!({ "a": 2 }))
        .unwrap_err();
    assert_eq!(other.code, "ExecutionAlreadyExists");
    cloud.sfn.finished(&first).await;
    let over = cloud
        .sfn
        .start(MACHINE, Some("x"), json!({ "a": 1 }))
        .unwrap_err();
    assert_eq!(over.code, "ExecutionAlreadyExists");
    assert_ne!(
        cloud.sfn.start(MACHINE, None, json!({})),
        cloud.sfn.start(MACHINE, None, json!({}))
    );
}

#[tokio::test(start_paused = true)]
async fn names_arns_and_inputs_are_checked() {
    let cloud = waiting_cloud();
    let code = |result: Result<String, ApiError>| result.unwrap_err().code;
    assert_eq!(
        code(cloud.sfn.start(MACHINE, Some("a b"), json!({}))),
        "InvalidName"
    );
    assert_eq!(
        code(cloud.sfn.start(MACHINE, Some(&"x".repeat(81)), json!({}))),
        "InvalidName"
    );
    assert_eq!(code(cloud.sfn.start("m", None, json!({}))), "InvalidArn");
    assert_eq!(
        code(cloud.sfn.start(&format!("{MACHINE}2"), None, json!({}))),
        "StateMachineDoesNotExist"
    );
    assert_eq!(
        code(cloud.sfn.start(MACHINE, None, json!("x".repeat(262_144)))),
        "InvalidExecutionInput"
    );
    assert!(
        cloud
            .sfn
            .start(&format!("{MACHINE}:live"), None, json!({}))
            .is_ok()
    );
}
