//! What is read, and what is refused by name.

use super::support::{machine, parse, task};
use crate::Definition;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// All messages of a definition that is refused.
pub(super) fn refused(definition: &Value) -> Vec<String> {
    match parse(definition) {
        Ok(_) => panic!("not refused: {definition}"),
        Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
pub(super) fn assert_refused(definition: &Value, expected: &[&str]) {
    let errors = refused(definition);
    for expected in expected {
        assert!(
            errors.iter().any(|error| error.contains(expected)),
            "{expected:?} is not in {errors:#?}"
        );
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

/// The definition is read, with these warnings.
#[track_caller]
pub(super) fn assert_warned(definition: &Value, expected: &[&str]) {
    let read = parse(definition).unwrap_or_else(|errors| panic!("{errors}"));
    let warnings: Vec<String> = read.warnings().iter().map(ToString::to_string).collect();
    for expected in expected {
        assert!(
            warnings.iter().any(|warning| warning.contains(expected)),
            "{expected:?} is not in {warnings:#?}"
        );
    }
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
}

#[test]
fn every_error_is_told_at_once_with_its_line() {
    let text = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "A",
  "States": {
    "A": {
      "Type": "Task",
      "Resource": "arn:aws:states:::sms:publish",
      "InputPath": "$.x",
      "Next": "Nowhere"
    },
    "B": {
      "Type": "Pass",
      "Output": "{% $states.input. %}",
      "End": true
    }
  }
}"#;
    let errors = Definition::parse(text, &BTreeMap::new()).unwrap_err().0;
    let places: Vec<_> = errors
        .iter()
        .map(|error| (error.line, error.pointer.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (7, "/States/A/Resource"),
            (8, "/States/A/InputPath"),
            (9, "/States/A/Next"),
            (13, "/States/B/Output"),
        ]
    );
    assert!(
        errors[0]
            .message
            .contains("no optimized integration 'sms' (did you mean 'sns'?)"),
        "{}",
        errors[0]
    );
    assert!(errors[1].message.contains("JSONPath only"));
}

#[test]
fn an_unknown_substitution_is_told_with_its_line() {
    let text = "{\n\"Comment\": \"${Known} ${Another}\"}";
    let known = BTreeMap::from([("Known".to_owned(), "x".to_owned())]);
    let errors = Definition::parse(text, &known).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "line 2: /: no substitution is given for ${Another}"
    );
}

#[test]
fn jsonpath_and_unknown_types_and_fields_are_refused_by_name() {
    let mut jsonpath = machine(json!({ "A": { "Type": "Succeed" } }));
    jsonpath["QueryLanguage"] = "JSONPath".into();
    assert_refused(&jsonpath, &["QueryLanguage must be JSONata"]);
    assert_refused(
        &machine(json!({ "A": { "Type": "Loop", "End": true } })),
        &["no state type 'Loop'"],
    );
    assert_refused(
        &machine(json!({ "A": { "Type": "Pass", "Retry": [], "Result": 1, "End": true } })),
        &["Pass has no field Retry", "with JSONata write Output"],
    );
}

#[test]
fn targets_that_do_not_exist_and_states_that_nobody_reaches_are_refused() {
    assert_refused(
        &machine(json!({
            "A": { "Type": "Pass", "Next": "A" },
            "B": { "Type": "Succeed" },
        })),
        &["no path from StartAt reaches 'B'"],
    );
    assert_refused(
        &machine(json!({ "A": { "Type": "Pass", "Next": "A" } })),
        &["no state ends the flow"],
    );
    assert_refused(
        &machine(json!({ "A": { "Type": "Pass" } })),
        &["either Next"],
    );
    let long = "x".repeat(81);
    assert_refused(
        &machine(json!({ long: { "Type": "Succeed" } })),
        &["1 to 80 characters"],
    );
}

#[test]
fn jsonata_that_aws_would_refuse_is_refused() {
    let output = |source: &str| {
        machine(
            json!({ "A": { "Type": "Pass", "Output": format!("{{% {source} %}}"), "End": true } }),
        )
    };
    for (source, expected) in [
        ("$states.input[", "JSONata does not parse"),
        ("phone", "reference to 'phone' at the top level"),
        (
            "$map([1], function($x) { b })",
            "reference to 'b' at the top level",
        ),
        ("$$.phone", "`$$` is not supported"),
        ("$eval('1')", "no $eval"),
        ("count([1])", "expected $count("),
        ("$states.result", "$states.result exists only"),
        ("$states.errorOutput", "$states.errorOutput exists only"),
        ("$states.output", "$states has no 'output'"),
        ("$states.context.Task.Token", "waits for a task token"),
        ("$states.context.Map.Item.Value", "only inside a Map"),
        ("$states.inputs", "(did you mean 'input'?)"),
        ("1 == 2", "S0211 at position 4: The symbol \"=\""),
        ("1 := 2", "S0212: The left side of :="),
        ("$x ?? 1", "?? came with JSONata 2.1"),
        ("$x ?: 1", "?: came with JSONata 2.1"),
        ("$match('ab', /a(?=b)/)", "look-around"),
    ] {
        assert_refused(&output(source), &[expected]);
    }
    for source in [
        "$states.input.items[value > 3].name",
        "($f := function($n) { $n < 2 ? 1 : $n * $f($n - 1) }; $f(5))",
        "$states.input.a ~> $sum()",
        "$map([1, 2], $string)",
        "$states.input.a.{'k': b}",
        "$states.input.a^(b)",
        "$reduce([1, 2], function($a, $b) { $a + $b })",
    ] {
        assert!(
            parse(&output(source)).is_ok(),
            "{source}: {:?}",
            refused(&output(source))
        );
    }
    let open = machine(json!({ "A": { "Type": "Pass", "Output": " {% 1 %}", "End": true } }));
    assert_refused(&open, &["without spaces around them"]);
}

#[test]
fn a_variable_is_known_only_after_a_path_that_assigns_it() {
    let states = |next: &str| {
        machine(json!({
            "A": { "Type": "Choice", "Choices": [
                { "Condition": true, "Next": "B", "Assign": { "x": 1 } } ], "Default": next },
            "B": { "Type": "Pass", "Output": "{% $x %}", "Next": "C" },
            "C": { "Type": "Pass", "Output": "{% $x %}", "End": true },
        }))
    };
    assert!(parse(&states("C")).is_ok());
    let before = machine(json!({
        "A": { "Type": "Pass", "Output": "{% $x %}", "Assign": { "x": 1 }, "End": true } }));
    assert_warned(&before, &["$x is read, but assigned on no path"]);
}

#[test]
fn an_inner_scope_cannot_assign_an_outer_scopes_variable() {
    let outer = machine(json!({
        "A": { "Type": "Pass", "Assign": { "x": 1 }, "Next": "M" },
        "M": { "Type": "Map", "Items": [1], "End": true, "ItemProcessor": {
            "StartAt": "I", "States": { "I": {
                "Type": "Pass", "Assign": { "x": 2, "y": "{% $x %}" }, "End": true } } } },
    }));
    assert_refused(&outer, &["$x belongs to the scope around this one"]);
    let leaked = machine(json!({
        "M": { "Type": "Map", "Items": [1], "Next": "A", "ItemProcessor": {
            "StartAt": "I", "States": { "I": { "Type": "Pass", "Assign": { "y": 2 }, "End": true } } } },
        "A": { "Type": "Pass", "Output": "{% $y %}", "End": true },
    }));
    assert_warned(&leaked, &["$y is read, but assigned on no path"]);
}

#[test]
fn retry_and_catch_have_their_shape_and_bounds() {
    let with = |field: &str, entry: Value| machine(json!({ "A": task(json!({ field: [entry] })) }));
    for (entry, expected) in [
        (json!({}), "ErrorEquals is required"),
        (json!({ "ErrorEquals": [] }), "non-empty array"),
        (
            json!({ "ErrorEquals": ["States.ALL", "X"] }),
            "must stand alone",
        ),
        (
            json!({ "ErrorEquals": ["States.Nonsense"] }),
            "no error of Step Functions",
        ),
        (
            json!({ "ErrorEquals": ["X"], "IntervalSeconds": 0 }),
            "IntervalSeconds must be a whole number from 1",
        ),
        (
            json!({ "ErrorEquals": ["X"], "MaxAttempts": -1 }),
            "MaxAttempts must be a whole number from 0",
        ),
        (
            json!({ "ErrorEquals": ["X"], "BackoffRate": 0.5 }),
            "at least 1.0",
        ),
        (
            json!({ "ErrorEquals": ["X"], "MaxDelaySeconds": 31_622_400 }),
            "from 1 to 31622399",
        ),
        (
            json!({ "ErrorEquals": ["X"], "JitterStrategy": "SOME" }),
            "FULL or NONE",
        ),
        (
            json!({ "ErrorEquals": ["X"], "Attempts": 1 }),
            "Retry has no field Attempts",
        ),
    ] {
        assert_refused(&with("Retry", entry), &[expected]);
    }
    assert_refused(
        &with("Catch", json!({ "ErrorEquals": ["X"] })),
        &["the field Next is required"],
    );
    let order = machine(json!({ "A": task(json!({ "Retry": [
        { "ErrorEquals": ["States.ALL"] }, { "ErrorEquals": ["X"] } ] })) }));
    assert_refused(&order, &["States.ALL must stand in the last entry"]);
}

#[test]
fn other_shapes_are_checked() {
    assert_refused(
        &machine(json!({ "A": task(json!({ "TimeoutSeconds": 10, "HeartbeatSeconds": 10 })) })),
        &["HeartbeatSeconds must be smaller"],
    );
    assert_refused(
        &machine(json!({ "A": { "Type": "Wait", "Seconds": 1, "Timestamp": "x", "End": true } })),
        &["either Seconds or Timestamp"],
    );
    assert_refused(
        &machine(
            json!({ "A": { "Type": "Map", "End": true, "ItemProcessor": {
            "ProcessorConfig": { "Mode": "DISTRIBUTED" }, "StartAt": "B",
            "States": { "B": { "Type": "Succeed" } } } } }),
        ),
        &["only {\"Mode\": \"INLINE\"}"],
    );
    assert_refused(
        &machine(
            json!({ "A": { "Type": "Pass", "Assign": { "states": 1, "a.b": 1 }, "End": true } }),
        ),
        &["$states is reserved", "'a.b' is no variable"],
    );
    let twice = "{\"QueryLanguage\": \"JSONata\", \"StartAt\": \"A\",\n\"States\": {\"A\": {\"Type\": \"Succeed\"},\n\"A\": {\"Type\": \"Succeed\"}}}";
    let errors = Definition::parse(twice, &BTreeMap::new()).unwrap_err().0;
    assert_eq!(
        (errors[0].line, errors[0].pointer.as_str()),
        (3, "/States/A")
    );
}
