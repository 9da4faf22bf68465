//! Retry and Catch (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).

use super::{
    analysis::Available,
    fields::{Fields, MAX_SECONDS, Notes},
    model::{Catcher, ErrorName, Handling, Jitter, Retrier},
    read::Edge,
};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Longest `MaxDelaySeconds`: "greater than 0 and less than 31622400".
const MAX_DELAY_SECONDS: u64 = 31_622_400;

/// Error names that Step Functions has; it refuses others that start with `States.`.
const RESERVED: [&str; 17] = [
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];

/// A state's Retry and Catch, the edges of its Catch, and the variables that its Catch reads.
pub(super) fn read(
    state: &mut Fields<'_>,
    names: &BTreeMap<&str, usize>,
    available: Available,
    edges: &mut Vec<Edge>,
    notes: &mut Notes,
) -> Handling {
    let retry = list(state, "Retry", notes)
        .into_iter()
        .filter_map(|entry| retrier(&entry, notes))
        .collect();
    let caught = Available {
        result: false,
        error_output: true,
        ..available
    };
    let mut catch = Vec::new();
    for entry in list(state, "Catch", notes) {
        catch.extend(catcher(&entry, state, names, caught, edges, notes));
    }
    Handling { retry, catch }
}

struct Entry<'a> {
    members: &'a serde_json::Map<String, Value>,
    pointer: String,
    location: String,
    last: bool,
}

fn list<'a>(state: &Fields<'a>, field: &str, notes: &mut Notes) -> Vec<Entry<'a>> {
    let pointer = state.at(field);
    let Some(value) = state.members.get(field) else {
        return Vec::new();
    };
    let Some(entries) = value.as_array() else {
        notes.error(pointer, format!("{field} must be an array of objects"));
        return Vec::new();
    };
    let mut read = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match entry.as_object() {
            Some(members) => read.push(Entry {
                members,
                pointer,
                location: format!("{field}[{index}]/"),
                last: index + 1 == entries.len(),
            }),
            None => notes.error(pointer, format!("an entry of {field} must be an object")),
        }
    }
    read
}

fn retrier(entry: &Entry<'_>, notes: &mut Notes) -> Option<Retrier> {
    let fields = Fields::new(entry.members, &entry.pointer, &entry.location);
    fields.only(
        &[
            "ErrorEquals",
            "IntervalSeconds",
            "MaxAttempts",
            "BackoffRate",
            "MaxDelaySeconds",
            "JitterStrategy",
            "Comment",
        ],
        "Retry",
        notes,
    );
    let errors = error_equals(&fields, entry.last, notes)?;
    let interval = whole(&fields, "IntervalSeconds", 1..=MAX_SECONDS, notes).unwrap_or(1);
    let max_attempts = whole(&fields, "MaxAttempts", 0..=MAX_SECONDS, notes).unwrap_or(3);
    let max_delay = whole(&fields, "MaxDelaySeconds", 1..=MAX_DELAY_SECONDS - 1, notes);
    let backoff = match entry.members.get("BackoffRate") {
        None => 2.0,
        Some(value) => match value.as_f64().filter(|rate| *rate >= 1.0) {
            Some(rate) => rate,
            None => {
                notes.error(
                    fields.at("BackoffRate"),
                    "BackoffRate must be a number of at least 1.0",
                );
                2.0
            }
        },
    };
    let jitter = match entry.members.get("JitterStrategy").map(Value::as_str) {
        None | Some(Some("NONE")) => Jitter::None,
        Some(Some("FULL")) => Jitter::Full,
        Some(_) => {
            notes.error(
                fields.at("JitterStrategy"),
                "JitterStrategy must be FULL or NONE",
            );
            Jitter::None
        }
    };
    Some(Retrier {
        errors,
        interval: Duration::from_secs(interval),
        max_attempts: u32::try_from(max_attempts).unwrap_or(u32::MAX),
        backoff,
        max_delay: max_delay.map(Duration::from_secs),
        jitter,
    })
}

fn catcher(
    entry: &Entry<'_>,
    state: &mut Fields<'_>,
    names: &BTreeMap<&str, usize>,
    available: Available,
    edges: &mut Vec<Edge>,
    notes: &mut Notes,
) -> Option<Catcher> {
    let mut fields = Fields::new(entry.members, &entry.pointer, &entry.location);
    fields.only(
        &["ErrorEquals", "Next", "Assign", "Output", "Comment"],
        "Catch",
        notes,
    );
    let errors = error_equals(&fields, entry.last, notes);
    let exit = fields.exit(available, notes);
    state.uses.append(&mut fields.uses);
    let next = super::read::target(&fields, "Next", names, notes)?;
    edges.push(Edge {
        caught: true,
        ..Edge::new(next, &exit, fields.at("Assign"))
    });
    Some(Catcher {
        errors: errors?,
        next,
        exit,
    })
}

fn error_equals(fields: &Fields<'_>, last: bool, notes: &mut Notes) -> Option<Vec<ErrorName>> {
    const FIELD: &str = "ErrorEquals";
    let pointer = fields.at(FIELD);
    let Some(value) = fields.members.get(FIELD) else {
        notes.error(fields.pointer, "the field ErrorEquals is required");
        return None;
    };
    let texts: Option<Vec<&str>> = value
        .as_array()
        .filter(|list| !list.is_empty())
        .and_then(|list| list.iter().map(Value::as_str).collect());
    let Some(texts) = texts else {
        notes.error(
            pointer,
            "ErrorEquals must be a non-empty array of error names",
        );
        return None;
    };
    for text in &texts {
        if text.starts_with("States.") && !RESERVED.contains(text) {
            let message = format!(
                "{text} is no error of Step Functions; expected one of {}",
                RESERVED.join(", ")
            );
            notes.error(pointer.clone(), message);
        }
    }
    if texts.contains(&"States.ALL") && texts.len() > 1 {
        notes.error(
            pointer.clone(),
            "States.ALL must stand alone in its ErrorEquals",
        );
    }
    if texts.contains(&"States.ALL") && !last {
        notes.error(pointer, "States.ALL must stand in the last entry");
    }
    Some(texts.into_iter().map(ErrorName::parse).collect())
}

fn whole(
    fields: &Fields<'_>,
    field: &str,
    range: std::ops::RangeInclusive<u64>,
    notes: &mut Notes,
) -> Option<u64> {
    let value = fields.members.get(field)?;
    let number = value.as_u64().filter(|number| range.contains(number));
    if number.is_none() {
        let message = format!(
            "{field} must be a whole number from {} to {}",
            range.start(),
            range.end()
        );
        notes.error(fields.at(field), message);
    }
    number
}

impl Edge {
    /// An edge on which `exit` is evaluated.
    pub(super) fn new(to: usize, exit: &super::model::Exit, pointer: String) -> Self {
        Self {
            to: Some(to),
            assigned: assigned(exit),
            pointer,
            caught: false,
        }
    }
}

/// The variables that an exit assigns.
pub(super) fn assigned(exit: &super::model::Exit) -> Vec<Arc<str>> {
    exit.assign.iter().map(|(name, _)| name.clone()).collect()
}
