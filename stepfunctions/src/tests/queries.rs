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

#[tokio::test(start_paused = true)]
async fn hashes_are_those_of_the_algorithms() {
    let states = json!({ "A": { "Type": "Pass", "End": true, "Output": [
        "{% $hash('input data', 'MD5') %}",
        "{% $hash('input data', 'SHA-1') %}",
        "{% $hash('input data', 'SHA-256') %}",
        "{% $length($hash('input data', 'SHA-384')) %}",
        "{% $length($hash('input data', 'SHA-512')) %}",
    ] } });
    // The SHA-1 is the developer guide's example of States.Hash (intrinsic-functions); coreutils agree on all.
    assert_eq!(
        output(states, json!({})).await,
        json!([
            "812f45842bc6d66ee14572ce20db8e86",
            "aaff4a450a104cd177d28d18d74485e8cae074b7",
            "b4a697a057313163aee33cd8d40c66e9f0f177e00cac2de32475ffff6169c3e3",
            96,
            128,
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn a_function_that_does_not_exist_fails_its_state_and_can_be_caught() {
    // Recorded on AWS of $randomSeeded.
    let states = json!({ "A": { "Type": "Pass", "Output": { "x": "{% $doesNotExist(1) %}" }, "End": true } });
    let view = play(echo(), states, json!({})).await;
    assert_eq!(view.error.as_deref(), Some("States.QueryEvaluationError"));
    assert_eq!(
        view.cause.as_deref(),
        Some(
            "An error occurred while executing the state 'A' (entered at the event id #2). The JSONata expression \
             '$doesNotExist(1)' specified for the field 'Output/x' threw an error during evaluation. T1006: Attempted to \
             invoke a non-function"
        )
    );
    let caught = json!({
        "A": super::support::task(json!({ "Arguments": "{% $doesNotExist(1) %}",
            "Catch": [ { "ErrorEquals": ["States.QueryEvaluationError"], "Next": "B" } ] })),
        "B": { "Type": "Pass", "Output": "caught", "End": true },
    });
    assert_eq!(output(caught, json!({})).await, "caught");
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_was_never_assigned_fails_its_state_in_a_map_too() {
    // Recorded on AWS: '$stateError' in the handler of a Map's error.
    let states = json!({ "M": { "Type": "Map", "Items": [1], "End": true, "ItemProcessor": {
        "StartAt": "I", "States": {
            "I": { "Type": "Pass", "Output": { "error": "{% $stateError %}" }, "End": true } } } } });
    let view = play(echo(), states, json!({})).await;
    let cause = view.cause.unwrap();
    let expected = "The JSONata expression '$stateError' specified for the field 'Output/error' returned nothing \
                    (undefined).";
    assert!(cause.ends_with(expected), "{cause}");
}

#[tokio::test(start_paused = true)]
async fn a_variable_may_have_a_functions_name() {
    let states = json!({
        "A": { "Type": "Pass", "Assign": { "error": { "n": 7 } }, "Next": "B" },
        "B": { "Type": "Pass", "End": true, "Output": [
            "{% $error.n %}", "{% $map([1, 2], $string) %}", "{% $count([1, 2]) %}" ] },
    });
    assert_eq!(output(states, json!({})).await, json!([7, ["1", "2"], 2]));
}

#[tokio::test(start_paused = true)]
async fn literals_that_look_like_jsonpath_or_jsonata_stay_as_they_are() {
    let given = json!({ "a.$": "$.x", "b": " {% x %} " });
    let states = json!({ "A": { "Type": "Pass", "Output": given, "End": true } });
    assert_eq!(output(states, json!({})).await, given);
}

#[tokio::test(start_paused = true)]
async fn a_time_without_a_date_is_of_the_virtual_day() {
    let states = json!({ "A": { "Type": "Pass", "End": true, "Output": [
        "{% $fromMillis($toMillis('14:30', '[H01]:[m01]')) %}",
        "{% $toMillis('2018-03-01', '[Y0001]-[M01]-[D01]') %}",
        "{% $toMillis('2018-03-01T00:00:00Z') %}",
        "{% $exists($toMillis($states.input.missing)) %}",
    ] } });
    assert_eq!(
        output(states, json!({})).await,
        json!([
            "2026-01-05T14:30:00.000Z",
            1_519_862_400_000_u64,
            1_519_862_400_000_u64,
            false
        ])
    );
}
