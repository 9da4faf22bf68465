//! The operations, without the SDK.

use super::support::{Cloud, cloud, echo, machine, parse};
use crate::ApiError;
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

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

#[tokio::test(start_paused = true)]
async fn what_describes_and_lists_executions_may_lag_behind() {
    let lag = Arc::new(Mutex::new(Duration::ZERO));
    let asked = lag.clone();
    let cloud = cloud(echo());
    cloud.sfn.set_lag(move || *asked.lock().unwrap());
    let definition = machine(json!({
        "A": { "Type": "Wait", "Seconds": 60, "Next": "B" },
        "B": { "Type": "Fail", "Error": "E" },
    }));
    cloud
        .sfn
        .create_state_machine("m", parse(&definition).unwrap());
    let arn = cloud.sfn.start(MACHINE, Some("x"), json!({})).unwrap();
    let described = |late: u64| {
        *lag.lock().unwrap() = Duration::from_secs(late);
        cloud
            .sfn
            .api("DescribeExecution", &json!({ "executionArn": arn }))
    };
    let listed = |late: u64| -> Vec<Value> {
        *lag.lock().unwrap() = Duration::from_secs(late);
        let body = json!({ "stateMachineArn": MACHINE });
        let page = cloud.sfn.api("ListExecutions", &body).unwrap();
        let executions = page["executions"].as_array().unwrap().iter();
        executions
            .map(|execution| execution["status"].clone())
            .collect()
    };
    assert_eq!(described(1).unwrap_err().code, "ExecutionDoesNotExist");
    assert_eq!(described(0).unwrap()["status"], "RUNNING");
    assert!(listed(1).is_empty());
    assert_eq!(listed(0), ["RUNNING"]);

    cloud.sfn.finished(&arn).await;
    sleep(Duration::from_secs(2)).await;
    let before = described(3).unwrap();
    assert_eq!(before["status"], "RUNNING");
    assert_eq!((before.get("error"), before.get("stopDate")), (None, None));
    assert_eq!(before["redriveStatus"], "NOT_REDRIVABLE");
    let after = described(2).unwrap();
    assert_eq!(
        (&after["status"], &after["error"]),
        (&json!("FAILED"), &json!("E"))
    );
    assert_eq!(listed(3), ["RUNNING"]);
    assert_eq!(listed(2), ["FAILED"]);

    // The engine itself knows better: it redrives what its callers may not see as failed yet.
    cloud.sfn.redrive(&arn).unwrap();
    sleep(Duration::from_secs(2)).await;
    let before = described(3).unwrap();
    assert_eq!(
        (&before["status"], &before["redriveCount"]),
        (&json!("FAILED"), &json!(0))
    );
    let after = described(0).unwrap();
    assert_eq!(
        (&after["status"], &after["redriveCount"]),
        (&json!("FAILED"), &json!(1))
    );
}
