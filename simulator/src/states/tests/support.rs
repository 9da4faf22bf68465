//! The engine by itself, on a bus.

use crate::{
    clock::Clock,
    eventbridge::Bus,
    states,
    stepfunctions::{Definition, StepFunctions, TaskRunner},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn cloud(tasks: TaskRunner) -> (StepFunctions, Bus) {
    let clock = Clock::default();
    let bus = Bus::new(clock, 7);
    (states::service(clock, 7, bus.clone(), tasks), bus)
}

/// A machine of these states that starts at the first.
pub(super) fn definition(states: Value) -> Definition {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    let machine = json!({ "QueryLanguage": "JSONata", "StartAt": start, "States": states });
    Definition::parse(&machine.to_string(), &BTreeMap::new()).unwrap()
}
