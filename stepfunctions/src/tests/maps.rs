//! Maps: order, concurrency, failure.

use super::support::{cloud, echo, failure, output, play, runner, task};
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

fn map(fields: Value, states: Value) -> Value {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    let mut map = json!({
        "Type": "Map",
        "ItemProcessor": { "ProcessorConfig": { "Mode": "INLINE" }, "StartAt": start, "States": states },
        "End": true,
    });
    for (name, value) in fields.as_object().unwrap() {
        map[name] = value.clone();
    }
    json!({ "M": map })
}

#[tokio::test(start_paused = true)]
async fn results_keep_the_order_of_the_items() {
    let states = map(
        json!({ "Items": "{% $states.input.list %}", "Output": "{% $states.result %}" }),
        json!({
            "W": { "Type": "Wait", "Seconds": "{% $states.input %}", "Next": "P" },
            "P": { "Type": "Pass", "Output": "{% [$states.context.Map.Item.Index, $states.input] %}", "End": true },
        }),
    );
    assert_eq!(
        output(states, json!({ "list": [9, 1, 5] })).await,
        json!([[0, 9], [1, 1], [2, 5]])
    );
}

#[tokio::test(start_paused = true)]
async fn the_input_is_the_items_and_a_selector_shapes_them() {
    let states = map(
        json!({ "ItemSelector": {
            "i": "{% $states.context.Map.Item.Index %}", "v": "{% $states.context.Map.Item.Value %}", "all": "{% $count($states.input) %}" } }),
        json!({ "P": { "Type": "Pass", "End": true } }),
    );
    assert_eq!(
        output(states, json!(["a", "b"])).await,
        json!([{ "i": 0, "v": "a", "all": 2 }, { "i": 1, "v": "b", "all": 2 }])
    );
    let empty = map(
        json!({ "Items": [] }),
        json!({ "P": { "Type": "Pass", "End": true } }),
    );
    assert_eq!(output(empty, json!({})).await, json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_array_is_refused_in_aws_words() {
    let pass = json!({ "P": { "Type": "Pass", "End": true } });
    let items = map(json!({ "Items": "{% 1 %}" }), pass.clone());
    let cause = play(echo(), items, json!({})).await.cause.unwrap();
    assert!(cause.ends_with(
        "The JSONata expression '1' specified for the field 'Items' returned an unexpected result type. Expected 'array', \
         but was 'number' for value: 1"
    ));
    let cause = play(echo(), map(json!({}), pass), json!("x"))
        .await
        .cause
        .unwrap();
    assert!(cause.ends_with("Map state input must be an array but was: \"x\""));
}

/// The most calls at once, with this many items.
async fn most_at_once(fields: Value, items: usize) -> usize {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let tasks: TaskRunner = Arc::new(move |_| {
        let (now, most) = (now.clone(), most.clone());
        Box::pin(async move {
            most.fetch_max(1 + now.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(Answer::Result(json!(1)))
        })
    });
    let view = play(
        tasks,
        map(fields, json!({ "T": task(json!({})) })),
        json!(vec![0; items]),
    )
    .await;
    assert_eq!(view.output.unwrap().as_array().unwrap().len(), items);
    seen.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn at_most_forty_iterations_run_at_once() {
    assert_eq!(most_at_once(json!({}), 100).await, 40);
    assert_eq!(most_at_once(json!({ "MaxConcurrency": 0 }), 50).await, 40);
    assert_eq!(
        most_at_once(json!({ "MaxConcurrency": 1000 }), 50).await,
        40
    );
    assert_eq!(
        most_at_once(json!({ "MaxConcurrency": "{% 3 %}" }), 10).await,
        3
    );
}

#[tokio::test(start_paused = true)]
async fn one_failed_iteration_aborts_the_others_and_fails_the_map() {
    let tasks: TaskRunner = Arc::new(|request| {
        Box::pin(async move {
            let index = request.map_index.unwrap() as u64;
            sleep(Duration::from_secs(10 - index)).await;
            if index == 1 {
                return Err(failure("Own"));
            }
            Ok(Answer::Result(json!(index)))
        })
    });
    let cloud = cloud(tasks);
    let view = cloud
        .run(
            map(json!({}), json!({ "T": task(json!({})) })),
            json!([0, 1, 2]),
        )
        .await;
    assert_eq!(view.error.as_deref(), Some("Own"));
    let history = cloud.sfn.history(&view.arn);
    let told: Vec<_> = history[15..]
        .iter()
        .map(|event| {
            let index = [
                "mapIterationFailedEventDetails",
                "mapIterationAbortedEventDetails",
            ]
            .iter()
            .find_map(|member| event[*member]["index"].as_u64());
            (
                event["type"].as_str().unwrap(),
                index,
                event["previousEventId"].as_u64().unwrap(),
            )
        })
        .collect();
    // As recorded on AWS: everything follows the failure, 19.
    assert_eq!(
        told,
        [
            ("TaskSucceeded", None, 15),
            ("TaskStateExited", None, 16),
            ("MapIterationSucceeded", None, 17),
            ("TaskFailed", None, 12),
            ("MapIterationFailed", Some(1), 19),
            ("TaskStateAborted", None, 19),
            ("MapIterationAborted", Some(0), 19),
            ("TaskStateAborted", None, 19),
            ("MapStateFailed", None, 19),
            ("ExecutionFailed", None, 24),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_map_is_retried_as_a_whole_and_caught() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let tasks = runner(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Err(failure("Own"))
    });
    let mut states = map(
        json!({
            "MaxConcurrency": 1,
            "Retry": [ { "ErrorEquals": ["Own"], "MaxAttempts": 2 } ],
            "Catch": [ { "ErrorEquals": ["Own"], "Next": "Caught" } ] }),
        json!({ "T": task(json!({})) }),
    );
    states["Caught"] = json!({ "Type": "Succeed", "Output": "{% $states.input.Error %}" });
    let view = play(tasks, states, json!([1, 2, 3])).await;
    assert_eq!(view.status, ExecutionStatus::Succeeded);
    assert_eq!(*view.output.unwrap(), json!("Own"));
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
