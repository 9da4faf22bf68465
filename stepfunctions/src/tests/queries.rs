//! JSONata as Step Functions evaluates it.

use super::support::{cloud, echo, output, play, seeded_cloud};
use serde_json::{Value, json};

async fn value(source: &str) -> Value {
    value_of(source, json!({})).await
}

async fn value_of(source: &str, input: Value) -> Value {
    let states =
        json!({ "A": { "Type": "Pass", "Output": format!("{{% {source} %}}"), "End": true } });
    output(states, input).await
}

/// The end of the cause.
async fn error(source: &str) -> String {
    let states =
        json!({ "A": { "Type": "Pass", "Output": format!("{{% {source} %}}"), "End": true } });
    let view = play(echo(), states, json!({})).await;
    assert_eq!(
        view.error.as_deref(),
        Some("States.QueryEvaluationError"),
        "{source}"
    );
    view.cause.unwrap().split_once("). ").unwrap().1.to_owned()
}

#[tokio::test(start_paused = true)]
async fn step_functions_own_functions_answer_as_on_aws() {
    for (source, expected) in [
        ("$parse('{\"a\": [1, null]}')", json!({ "a": [1, null] })),
        ("$map(['1', '[2]'], $parse)", json!([1, [2]])),
        (
            "$partition([1, 2, 3, 4, 5], 2)",
            json!([[1, 2], [3, 4], [5]]),
        ),
        ("$partition([1, 2, 3], 2.9)", json!([[1, 2], [3]])),
        ("$range(0, 10, 5)", json!([0, 5, 10])),
        ("$range(-1.7, 2, 1)", json!([-1, 0, 1, 2])),
        ("$range(5, 0, -2)", json!([5, 3, 1])),
        ("$range(5, 5, 1)", json!(5)),
        ("$random(7) = $random(7)", json!(true)),
        ("$random() < 1", json!(true)),
        ("$length($uuid())", json!(36)),
        ("$sort($shuffle([3, 1, 2]))", json!([1, 2, 3])),
        (
            "$exists($partition([1], 0)) or $exists($range(1, 2, -1)) or $exists($range(1, 2, 0))",
            json!(false),
        ),
    ] {
        assert_eq!(value(source).await, expected, "{source}");
    }
    assert!(
        error("$parse('{')")
            .await
            .contains("threw an error during evaluation.")
    );
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_virtual() {
    let states = json!({
        "W": { "Type": "Wait", "Seconds": 3600, "Next": "A" },
        "A": { "Type": "Pass", "Output": ["{% $now() %}", "{% $floor($millis() / 1000) %}", "{% $now('[Y]/[M01]') %}"], "End": true },
    });
    assert_eq!(
        output(states, json!({})).await,
        json!(["2026-01-05T04:00:00.000Z", 1_767_585_600, "2026/01"])
    );
}

#[tokio::test(start_paused = true)]
async fn chance_repeats_by_seed() {
    let states = json!({ "A": { "Type": "Pass", "Output": "{% [$uuid(), $random(), $shuffle([1..9])] %}", "End": true } });
    let mut outputs = Vec::new();
    for seed in [1, 1, 2] {
        outputs.push(
            seeded_cloud(echo(), seed)
                .run(states.clone(), json!({}))
                .await
                .output,
        );
    }
    assert_eq!(outputs[0], outputs[1]);
    assert_ne!(outputs[0], outputs[2]);
}

#[tokio::test(start_paused = true)]
async fn the_context_object_is_complete() {
    let states = json!({ "A": { "Type": "Pass", "Output": "{% $states.context %}", "End": true } });
    assert_eq!(
        output(states, json!({ "i": 1 })).await,
        json!({
            "Execution": {
                "Id": "arn:aws:states:us-east-1:123456789012:execution:m:e",
                "Input": { "i": 1 },
                "StartTime": "2026-01-05T03:00:00.000Z",
                "Name": "e",
                "RoleArn": "arn:aws:iam::123456789012:role/StepFunctionsRole",
                "RedriveCount": 0,
            },
            "StateMachine": { "Id": "arn:aws:states:us-east-1:123456789012:stateMachine:m", "Name": "m" },
            "State": { "Name": "A", "EnteredTime": "2026-01-05T03:00:00.000Z" },
        })
    );
    assert_eq!(
        value_of("$states.context.Execution.Input.i", json!({ "i": 2 })).await,
        2
    );
}

#[tokio::test(start_paused = true)]
async fn values_and_errors_are_those_of_aws() {
    assert_eq!(
        value_of("$states.input.x", json!({ "x": null })).await,
        Value::Null
    );
    assert_eq!(
        value("{'n': 1.5 * 2, 'big': 9007199254740991}").await,
        json!({ "n": 3, "big": 9_007_199_254_740_991_i64 })
    );
    assert_eq!(
        value("{'z': 1, 'a': 2}").await.to_string(),
        r#"{"z":1,"a":2}"#
    );
    assert_eq!(
        error("$states.input.missing").await,
        "The JSONata expression '$states.input.missing' specified for the field 'Output' returned nothing (undefined)."
    );
    assert_eq!(
        error("$fn := function($x) { $x }").await,
        "The JSONata expression '$fn := function($x) { $x }' specified for the field 'Output' returned an unsupported result \
         type."
    );
    assert!(
        error("'a' + 1")
            .await
            .contains("threw an error during evaluation. T2001")
    );
    // What AWS's own limit of 100 levels was measured to take; recursion without end ends.
    value("($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(31))").await;
    value(&vec!["1"; 100].join(" + ")).await;
    assert!(
        error("($f := function($n) { 1 + $f($n + 1) }; $f(1))")
            .await
            .contains("threw an error")
    );
}

#[tokio::test(start_paused = true)]
async fn a_condition_that_is_no_boolean_fails() {
    let states = json!({
        "A": { "Type": "Choice", "Choices": [ { "Condition": "{% 1 %}", "Next": "B" } ], "Default": "B" },
        "B": { "Type": "Succeed" },
    });
    let view = cloud(echo()).run(states, json!({})).await;
    assert!(view.cause.unwrap().ends_with(
        "The JSONata expression '1' specified for the field 'Choices[0]/Condition' returned an unexpected result type. \
         Expected 'boolean', but was 'number' for value: 1"
    ));
}
