//! States and flows (<https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html>).

mod choice;
mod inner;
mod states;

use super::{
    error::join,
    fields::{Fields, Notes},
    model::Flow,
};
use crate::nearest;
use serde_json::Value;
use states::StateReader;
use std::{collections::BTreeMap, sync::Arc};

/// Longest name of a state.
const NAME_CHARACTERS: usize = 80;

/// A flow as the checks of its graph and its variables see it.
pub(super) struct FlowFacts {
    pub(super) pointer: String,
    /// Every state could be read; else its ways out are not known.
    pub(super) complete: bool,
    pub(super) start: Option<usize>,
    pub(super) states: Vec<StateFacts>,
}

pub(super) struct StateFacts {
    pub(super) name: String,
    pub(super) pointer: String,
    /// Variables that it reads, with the place.
    pub(super) uses: Vec<(String, Arc<str>)>,
    pub(super) edges: Vec<Edge>,
    pub(super) inner: Vec<FlowFacts>,
}

/// A way out of a state.
pub(super) struct Edge {
    /// `None`: the flow's end.
    pub(super) to: Option<usize>,
    pub(super) assigned: Vec<Arc<str>>,
    /// Where the variables are assigned.
    pub(super) pointer: String,
    /// Of a Catch: taken when the state's flows inside are over.
    pub(super) caught: bool,
}

/// `StartAt` and `States` of the object at the pointer.
pub(super) fn flow(
    members: &serde_json::Map<String, Value>,
    pointer: &str,
    in_map: bool,
    notes: &mut Notes,
) -> (Option<Flow>, FlowFacts) {
    let fields = Fields::new(members, pointer, "");
    let mut facts = FlowFacts {
        pointer: pointer.to_owned(),
        complete: false,
        start: None,
        states: Vec::new(),
    };
    let states = match members.get("States") {
        Some(Value::Object(states)) if !states.is_empty() => states,
        Some(_) => {
            notes.error(
                fields.at("States"),
                "States must be an object with at least one state",
            );
            return (None, facts);
        }
        None => {
            notes.error(pointer, "the field States is required");
            return (None, facts);
        }
    };
    let names: BTreeMap<&str, usize> = states
        .keys()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    facts.start = target(&fields, "StartAt", &names, notes);
    let mut read = Vec::new();
    for (name, value) in states {
        let pointer = join(&fields.at("States"), name);
        check_name(name, &pointer, notes);
        let mut state = StateFacts {
            name: name.clone(),
            pointer: pointer.clone(),
            uses: Vec::new(),
            edges: Vec::new(),
            inner: Vec::new(),
        };
        match value {
            Value::Object(members) => {
                let reader = StateReader {
                    fields: Fields::new(members, &pointer, ""),
                    names: &names,
                    in_map,
                    facts: &mut state,
                    notes,
                };
                read.extend(reader.state(name));
            }
            _ => notes.error(pointer, "a state must be an object"),
        }
        facts.states.push(state);
    }
    facts.complete = read.len() == states.len();
    let flow = facts.start.filter(|_| facts.complete).map(|start| Flow {
        start,
        states: read,
    });
    (flow, facts)
}

fn check_name(name: &str, pointer: &str, notes: &mut Notes) {
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS {
        notes.error(
            pointer,
            format!("a state's name has from 1 to {NAME_CHARACTERS} characters"),
        );
    }
    if let Some(first) = notes.states.insert(name.to_owned(), pointer.to_owned()) {
        let message = format!(
            "the state name '{name}' stands at {first} already; names are unique in the whole machine"
        );
        notes.error(pointer, message);
    }
}

/// The state that a field names.
pub(super) fn target(
    fields: &Fields<'_>,
    field: &str,
    names: &BTreeMap<&str, usize>,
    notes: &mut Notes,
) -> Option<usize> {
    let name = fields.text(field, notes)?;
    let index = names.get(name).copied();
    if index.is_none() {
        let known: Vec<_> = names.keys().copied().collect();
        let message = format!(
            "{field} names no state: '{name}'{}; expected one of {}",
            nearest::hint(name, known.iter().copied()),
            known.join(", ")
        );
        notes.error(fields.at(field), message);
    }
    index
}
