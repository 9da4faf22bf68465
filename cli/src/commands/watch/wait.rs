//! What an execution waits for, and how long at most.

use crate::{drill::words, history::path::Visit, output::span};
use serde_json::Value;

/// In a sentence: the state, its instance, how long it waits, its bound and its tries.
pub fn told(visit: &Visit, definition: &Value, now: f64) -> String {
    let about = visit
        .instance()
        .map_or(String::new(), |id| format!(" ({id})"));
    let state = state(definition, &visit.name).unwrap_or(&Value::Null);
    let waited = |since: f64| span((now - since).max(0.0));
    let tries = match tries(state, visit) {
        Some(most) if most > 1 => format!(", try {} of {most}", visit.tries.max(1)),
        _ => String::new(),
    };
    let text = match (visit.failures.last(), visit.timeout) {
        (Some(failed), _) if visit.unwell => format!(
            "try {} failed with {}; it is tried again",
            visit.tries,
            words::named(&failed.error, &failed.cause)
        ),
        (_, Some(most)) => {
            format!("{} of at most {}{tries}", waited(visit.tried), span(most))
        }
        _ => match state["Seconds"].as_f64() {
            Some(most) => format!("{} of {}", waited(visit.entered), span(most)),
            None => waited(visit.entered),
        },
    };
    format!("{}{about}: {text}", visit.name)
}

/// How often it is tried at most: after the last error, or, before one, after a time-out.
fn tries(state: &Value, visit: &Visit) -> Option<u64> {
    let error = visit
        .failures
        .last()
        .map_or("States.Timeout", |failed| failed.error.as_str());
    let matches = |retrier: &&Value| {
        let mut errors = retrier["ErrorEquals"].as_array().into_iter().flatten();
        errors.any(|known| known == error || known == "States.ALL")
    };
    let retrier = state["Retry"].as_array()?.iter().find(matches)?;
    // "MaxAttempts: ... The default value is 3" (Step Functions developer guide, error handling).
    Some(1 + retrier["MaxAttempts"].as_u64().unwrap_or(3))
}

/// A state of any level.
fn state<'a>(level: &'a Value, name: &str) -> Option<&'a Value> {
    let states = level["States"].as_object()?;
    states.get(name).or_else(|| {
        states.values().find_map(|inner| {
            let branches = inner["Branches"].as_array().into_iter().flatten();
            let mut levels = std::iter::once(&inner["ItemProcessor"]).chain(branches);
            levels.find_map(|level| state(level, name))
        })
    })
}
