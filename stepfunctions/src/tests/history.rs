//! The history, and that one seed gives one.

use super::support::{Cloud, cloud, echo, seeded_cloud, task};
use crate::Answer;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

#[tokio::test(start_paused = true)]
async fn the_history_of_a_small_machine_is_that_of_aws() {
    let cloud = cloud(echo());
    let view = cloud
        .run(json!({
            "Call": task(json!({
                "Arguments": { "FunctionName": "f" }, "TimeoutSeconds": 60,
                "Assign": { "name": "{% $states.result.FunctionName %}" }, "Next": "Each" })),
            "Each": { "Type": "Map", "Items": [7], "MaxConcurrency": 1, "End": true, "ItemProcessor": {
                "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } } },
        }), json!({}))
        .await;
    let at = 1_767_582_000.0;
    let later = 1_767_582_001.0;
    let lambda = |rest: Value| {
        let mut details = json!({ "resourceType": "lambda", "resource": "invoke" });
        for (name, value) in rest.as_object().unwrap() {
            details[name] = value.clone();
        }
        details
    };
    let all = json!({ "truncated": false });
    let function = "{\"FunctionName\":\"f\"}";
    let expected = json!([
        { "timestamp": at, "type": "ExecutionStarted", "id": 1, "previousEventId": 0, "executionStartedEventDetails": {
            "input": "{}", "inputDetails": all, "roleArn": "arn:aws:iam::123456789012:role/StepFunctionsRole" } },
        { "timestamp": at, "type": "TaskStateEntered", "id": 2, "previousEventId": 0, "stateEnteredEventDetails": {
            "name": "Call", "input": "{}", "inputDetails": all } },
        { "timestamp": at, "type": "TaskScheduled", "id": 3, "previousEventId": 2, "taskScheduledEventDetails":
            lambda(json!({ "region": "us-east-1", "parameters": function, "timeoutInSeconds": 60 })) },
        { "timestamp": at, "type": "TaskStarted", "id": 4, "previousEventId": 3, "taskStartedEventDetails": lambda(json!({})) },
        { "timestamp": later, "type": "TaskSucceeded", "id": 5, "previousEventId": 4, "taskSucceededEventDetails":
            lambda(json!({ "output": function, "outputDetails": all })) },
        { "timestamp": later, "type": "TaskStateExited", "id": 6, "previousEventId": 5, "stateExitedEventDetails": {
            "name": "Call", "output": function, "outputDetails": all,
            "assignedVariables": { "name": "\"f\"" }, "assignedVariablesDetails": all } },
        { "timestamp": later, "type": "MapStateEntered", "id": 7, "previousEventId": 6, "stateEnteredEventDetails": {
            "name": "Each", "input": function, "inputDetails": all } },
        { "timestamp": later, "type": "MapStateStarted", "id": 8, "previousEventId": 7, "mapStateStartedEventDetails": { "length": 1 } },
        { "timestamp": later, "type": "MapIterationStarted", "id": 9, "previousEventId": 8, "mapIterationStartedEventDetails": {
            "name": "Each", "index": 0 } },
        { "timestamp": later, "type": "PassStateEntered", "id": 10, "previousEventId": 9, "stateEnteredEventDetails": {
            "name": "P", "input": "7", "inputDetails": all } },
        { "timestamp": later, "type": "PassStateExited", "id": 11, "previousEventId": 10, "stateExitedEventDetails": {
            "name": "P", "output": "7", "outputDetails": all } },
        { "timestamp": later, "type": "MapIterationSucceeded", "id": 12, "previousEventId": 11, "mapIterationSucceededEventDetails": {
            "name": "Each", "index": 0 } },
        { "timestamp": later, "type": "MapStateSucceeded", "id": 13, "previousEventId": 12 },
        { "timestamp": later, "type": "MapStateExited", "id": 14, "previousEventId": 12, "stateExitedEventDetails": {
            "name": "Each", "output": "[7]", "outputDetails": all } },
        { "timestamp": later, "type": "ExecutionSucceeded", "id": 15, "previousEventId": 14, "executionSucceededEventDetails": {
            "output": "[7]", "outputDetails": all } },
    ]);
    let history = Value::Array(cloud.sfn.history(&view.arn));
    for (event, expected) in history
        .as_array()
        .unwrap()
        .iter()
        .zip(expected.as_array().unwrap())
    {
        assert_eq!(event, expected);
    }
    assert_eq!(history.as_array().unwrap().len(), 15);
}

#[tokio::test(start_paused = true)]
async fn hooks_see_every_event_as_it_happens() {
    let cloud = cloud(echo());
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let events = seen.clone();
    cloud
        .sfn
        .on_event(move |_, event| events.lock().unwrap().push(event.clone()));
    let view = cloud.run(json!({ "A": task(json!({})) }), json!({})).await;
    assert_eq!(*seen.lock().unwrap(), cloud.sfn.history(&view.arn));
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_history() {
    async fn trace(seed: u64) -> String {
        let tasks: crate::TaskRunner = Arc::new(|request| {
            Box::pin(async move {
                let n = request.map_index.unwrap_or_default() as u64;
                tokio::time::sleep(std::time::Duration::from_millis(n * 37 % 11)).await;
                if request.retry_count < 2 {
                    return Err(super::support::failure("Own"));
                }
                Ok(Answer::Result(request.arguments))
            })
        });
        let cloud: Cloud = seeded_cloud(tasks, seed);
        let view = cloud
            .run(json!({ "M": { "Type": "Map", "Items": "{% [1..50] %}", "End": true, "ItemProcessor": {
                "StartAt": "T", "States": { "T": task(json!({
                    "Arguments": { "id": "{% $uuid() %}" },
                    "Retry": [ { "ErrorEquals": ["Own"], "JitterStrategy": "FULL" } ] })) } } } }), json!({}))
            .await;
        Value::Array(cloud.sfn.history(&view.arn)).to_string()
    }
    let first = trace(3).await;
    assert!(first.contains("ExecutionSucceeded"));
    assert_eq!(first, trace(3).await);
    assert_ne!(first, trace(4).await);
}

#[tokio::test(start_paused = true)]
async fn every_status_change_is_told() {
    let cloud = cloud(echo());
    let view = cloud
        .run(
            json!({ "A": { "Type": "Fail", "Error": "E", "Cause": "C" } }),
            json!({ "a": 1 }),
        )
        .await;
    let told = cloud.told.lock().unwrap();
    let details: Vec<_> = told.iter().map(|change| &change.detail).collect();
    assert_eq!(details[0]["status"], "RUNNING");
    assert_eq!(details[0]["stopDate"], Value::Null);
    assert_eq!(told[1].execution_arn, view.arn);
    assert_eq!(
        *details[1],
        json!({
            "executionArn": view.arn,
            "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:m",
            "name": "e", "status": "FAILED", "startDate": 1_767_582_000_000_u64, "stopDate": 1_767_582_000_000_u64,
            "input": "{\"a\":1}", "output": null, "stateMachineVersionArn": null, "stateMachineAliasArn": null,
            "redriveCount": 0, "redriveDate": null, "redriveStatus": "REDRIVABLE", "redriveStatusReason": null,
            "inputDetails": { "included": true }, "outputDetails": null, "error": "E", "cause": "C",
        })
    );
}
