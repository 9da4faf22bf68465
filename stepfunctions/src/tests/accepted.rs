//! What AWS accepts is read, with a warning where it may not be meant; slips are told the nearest name.

use super::{
    definitions::{assert_refused, assert_warned},
    support::{machine, task},
};
use serde_json::{Value, json};

#[test]
fn what_aws_accepts_is_read_with_a_warning_where_it_may_not_be_meant() {
    let pass = |fields: Value| {
        let mut state = json!({ "Type": "Pass", "End": true });
        for (name, value) in fields.as_object().unwrap() {
            state[name] = value.clone();
        }
        machine(json!({ "A": state }))
    };
    for (definition, warning) in [
        (
            pass(json!({ "Assign": { "error": 1, } })),
            "$error is a function of JSONata, too",
        ),
        (
            pass(json!({ "Assign": { "count": 1 } })),
            "$count is a function of JSONata, too",
        ),
        (
            pass(json!({ "Output": "{% $stateError %}" })),
            "$stateError is read, but assigned on no path",
        ),
        (
            pass(json!({ "Output": "{% $doesNotExist(1) %}" })),
            "a function $doesNotExist; AWS accepts this, and the state fails",
        ),
        (
            pass(json!({ "Output": "{% $strin(1) %}" })),
            "(did you mean $string?)",
        ),
        (
            pass(json!({ "Output": "States.Format('{}', 1)" })),
            "a literal: JSONata states have no intrinsic functions",
        ),
        (
            pass(json!({ "Output": " {% x %} " })),
            "a literal: JSONata must start with",
        ),
        (
            pass(json!({ "Output": { "a.$": "$.x" } })),
            "`.$` is JSONPath",
        ),
    ] {
        assert_warned(&definition, &[warning]);
    }
    assert_warned(
        &pass(json!({ "Output": "{% $hash('x', 'SHA-256') %}" })),
        &[],
    );
    let tolerant = machine(json!({ "M": {
        "Type": "Map", "Items": [1], "ToleratedFailureCount": 1, "ToleratedFailurePercentage": 50, "End": true,
        "ItemProcessor": { "StartAt": "I", "States": { "I": { "Type": "Succeed" } } } } }));
    assert_warned(
        &tolerant,
        &[
            "ToleratedFailureCount counts in distributed Maps only",
            "ToleratedFailurePercentage counts",
        ],
    );
    let misspelt = machine(json!({
        "A": { "Type": "Pass", "Assign": { "instance": 1 }, "Next": "B" },
        "B": { "Type": "Pass", "Output": "{% $instnce %}", "End": true },
    }));
    assert_warned(&misspelt, &["(did you mean $instance?)"]);
}

#[test]
fn a_catch_of_a_parallel_may_assign_what_a_branch_assigned() {
    let states = |name: &str| {
        machine(json!({
            "P": { "Type": "Parallel", "Next": "End", "Assign": { name: 1 },
                "Catch": [ { "ErrorEquals": ["States.ALL"], "Assign": { "why": 1 }, "Next": "End" } ],
                "Branches": [ { "StartAt": "I", "States": {
                    "I": { "Type": "Pass", "Assign": { "why": 2 }, "End": true } } } ] },
            "End": { "Type": "Succeed" },
        }))
    };
    assert_warned(&states("other"), &[]);
    assert_refused(
        &states("why"),
        &["$why belongs to the scope around this one"],
    );
}

#[test]
fn a_misspelt_state_field_or_service_is_told_the_nearest_one() {
    assert_refused(
        &machine(json!({
            "Check": { "Type": "Pass", "Next": "Chekc" },
            "End": { "Type": "Succeed", "Outptu": 1 },
        })),
        &[
            "'Chekc' (did you mean 'Check'?)",
            "no field Outptu (did you mean 'Output'?)",
        ],
    );
    let resource = |arn: &str| {
        let mut state = task(json!({}));
        state["Resource"] = arn.into();
        machine(json!({ "A": state }))
    };
    for (arn, expected) in [
        ("arn:aws:states:::lamda:invoke", "(did you mean 'lambda'?)"),
        (
            "arn:aws:states:::sns:publish.sync",
            "sns:publish has no .sync",
        ),
        ("arn:aws:states:::aws-sdk:ecs:runTask.sync", "has no .sync"),
        (
            "arn:aws:states:::ecs:runTask.waitForTaskTokens",
            "names no integration",
        ),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "call the function by arn:aws:states:::lambda:invoke",
        ),
    ] {
        assert_refused(&resource(arn), &[expected]);
    }
}
