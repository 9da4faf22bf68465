//! Redrive.

use super::support::{cloud, failure, machine, runner, script, task};
use crate::{Answer, ExecutionStatus, TaskRunner};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn a_redrive_goes_on_at_the_failed_state_with_its_input_and_variables() {
    let (tasks, calls) = script(vec![
        Ok(json!("first")),
        Err(failure("Own")),
        Err(failure("Own")),
        Err(failure("Own")),
        Err(failure("Own")),
        Ok(json!("second")),
    ]);
    let cloud = cloud(tasks);
    let arn = cloud.start(json!({
        "A": task(json!({ "Assign": { "kept": "{% $states.result %}" }, "Next": "B" })),
        "B": task(json!({
            "Arguments": ["{% $kept %}", "{% $states.input %}", "{% $states.context.Execution.RedriveCount %}"],
            "Retry": [ { "ErrorEquals": ["Own"], "MaxAttempts": 1 } ] })),
    }), json!({}));
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().status,
        ExecutionStatus::Failed
    );
    let before = cloud.types(&arn).len();
    cloud.sfn.redrive(&arn).unwrap();
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().status,
        ExecutionStatus::Failed
    );
    // Retries count from 0 again.
    assert_eq!(calls.lock().unwrap().len(), 5);
    cloud.sfn.redrive(&arn).unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        (view.status, view.redrive_count),
        (ExecutionStatus::Succeeded, 2)
    );
    assert_eq!(
        calls.lock().unwrap()[5].arguments,
        json!(["first", "first", 2])
    );
    // The state is not entered again.
    assert_eq!(
        cloud.types(&arn)[before..before + 4],
        [
            "ExecutionRedriven",
            "TaskScheduled",
            "TaskStarted",
            "TaskFailed"
        ]
    );
    assert_eq!(
        cloud.sfn.history(&arn)[before]["executionRedrivenEventDetails"]["redriveCount"],
        1
    );
}

#[tokio::test(start_paused = true)]
async fn finished_iterations_keep_their_results_and_others_go_on_at_their_state() {
    let broken = Arc::new(Mutex::new(true));
    let calls: Arc<Mutex<BTreeMap<(String, usize), u32>>> = Arc::default();
    let (is_broken, seen) = (broken.clone(), calls.clone());
    let tasks: TaskRunner = Arc::new(move |request| {
        let index = request.map_index.unwrap();
        *seen
            .lock()
            .unwrap()
            .entry((request.state.clone(), index))
            .or_default() += 1;
        let fails = *is_broken.lock().unwrap() && request.state == "Second" && index == 1;
        Box::pin(async move {
            sleep(Duration::from_secs([1, 5, 20][index])).await;
            if fails {
                return Err(failure("Own"));
            }
            Ok(Answer::Result(json!(format!("{} {index}", request.state))))
        })
    });
    let cloud = cloud(tasks);
    let arn = cloud.start(json!({ "M": {
        "Type": "Map",
        "ItemProcessor": { "StartAt": "First", "States": {
            "First": task(json!({ "Assign": { "seen": "{% $states.result %}" }, "Next": "Second" })),
            "Second": task(json!({ "Output": "{% [$seen, $states.result] %}" })),
        } },
        "End": true,
    } }), json!(["a", "b", "c"]));
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().error.as_deref(),
        Some("Own")
    );
    *broken.lock().unwrap() = false;
    cloud.sfn.redrive(&arn).unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        *view.output.unwrap(),
        json!([
            ["First 0", "Second 0"],
            ["First 1", "Second 1"],
            ["First 2", "Second 2"]
        ])
    );
    let calls = calls.lock().unwrap();
    let of = |state: &str, index| calls.get(&(state.to_owned(), index)).copied();
    // 0 had finished; 1 failed at Second; 2 was cut off in First.
    assert_eq!(
        [
            of("First", 0),
            of("Second", 0),
            of("First", 1),
            of("Second", 1),
            of("First", 2),
            of("Second", 2)
        ],
        [Some(1), Some(1), Some(1), Some(2), Some(2), Some(1)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_executions_time_starts_again() {
    let cloud = cloud(runner(|_| Ok(Answer::Result(json!(1)))));
    let mut definition = machine(json!({
        "A": { "Type": "Wait", "Seconds": 50, "Next": "B" },
        "B": { "Type": "Wait", "Seconds": 50, "End": true },
    }));
    definition["TimeoutSeconds"] = 60.into();
    let arn = cloud.start_machine(&definition, json!({}));
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().status,
        ExecutionStatus::TimedOut
    );
    cloud.sfn.redrive(&arn).unwrap();
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().status,
        ExecutionStatus::Succeeded
    );
}

#[tokio::test(start_paused = true)]
async fn only_what_did_not_succeed_is_redriven_and_for_14_days() {
    let (tasks, _) = script(vec![Err(failure("Own")), Ok(json!(1))]);
    let cloud = cloud(tasks);
    let arn = cloud.start(json!({ "A": task(json!({})) }), json!({}));
    let refusal = cloud.sfn.redrive(&arn).unwrap_err();
    assert_eq!(
        (refusal.code.as_str(), refusal.message.as_str()),
        (
            "ExecutionNotRedrivable",
            "Execution is RUNNING and cannot be redriven"
        )
    );
    cloud.sfn.finished(&arn).await;
    sleep(Duration::from_secs(15 * 24 * 3600)).await;
    assert_eq!(
        cloud.sfn.redrive(&arn).unwrap_err().message,
        "Execution redrivable period exceeded"
    );
    assert_eq!(
        cloud
            .sfn
            .redrive("arn:aws:states:us-east-1:123456789012:execution:m:x")
            .unwrap_err()
            .code,
        "ExecutionDoesNotExist"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_goes_on_too_and_a_fail_fails_again() {
    let cloud = cloud(runner(|_| Ok(Answer::Result(json!(1)))));
    let arn = cloud.start(
        json!({
            "A": { "Type": "Wait", "Seconds": 50, "Next": "B" },
            "B": { "Type": "Fail", "Error": "Own" },
        }),
        json!({}),
    );
    sleep(Duration::from_secs(1)).await;
    cloud.sfn.stop(&arn, None, None).unwrap();
    cloud.sfn.redrive(&arn).unwrap();
    assert_eq!(
        cloud.sfn.finished(&arn).await.unwrap().error.as_deref(),
        Some("Own")
    );
    cloud.sfn.redrive(&arn).unwrap();
    let view = cloud.sfn.finished(&arn).await.unwrap();
    assert_eq!(
        (view.error.as_deref(), view.redrive_count),
        (Some("Own"), 2)
    );
}
