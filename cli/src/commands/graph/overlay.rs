//! The path of an execution, laid over the picture.

use crate::{
    commands::explain,
    graph::{Overlay, Status, Tally},
    history::{
        self,
        path::{Path, Visit},
    },
    output::span,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// The path laid over the picture; of a running execution, as it stands `now` if that is told, else at its last event.
pub fn overlay(path: &Path, definition: &Value, now: Option<f64>) -> Overlay {
    let mut overlay = Overlay {
        heading: Some(heading(path)),
        ..Overlay::default()
    };
    let mut times: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for (number, seen) in path.visits.iter().enumerate() {
        let status = status(path, number, definition);
        let retries = seen.tries.saturating_sub(1);
        let entered = history::clock(seen.entered);
        let standing = usize::from(seen.exited.is_none());
        let end = seen.exited.or(path.ended).or(now).unwrap_or(path.last);
        times
            .entry(&seen.name)
            .or_default()
            .push((seen.entered, end));
        match overlay.states.get_mut(&seen.name) {
            Some(visit) => {
                visit.worst = match worse(visit.status, status) {
                    worst if worst == visit.status && worst == status => visit.worst + 1,
                    worst if worst == visit.status => visit.worst,
                    _ => 1,
                };
                visit.status = worse(visit.status, status);
                visit.entered.push(entered);
                visit.retries += retries;
                visit.standing += standing;
            }
            None => {
                let visit = Tally {
                    status,
                    entered: vec![entered],
                    retries,
                    label: None,
                    worst: 1,
                    standing,
                };
                overlay.states.insert(seen.name.clone(), visit);
            }
        }
        if let Some(from) = seen.from {
            let way = (path.visits[from].name.clone(), seen.name.clone());
            overlay.taken.insert(way);
        }
    }
    for (name, times) in times {
        let seconds = together(times);
        if let Some(visit) = overlay.states.get_mut(name).filter(|_| seconds >= 1.0) {
            visit.label = Some(span(seconds));
        }
    }
    overlay
}

/// Whose path it is and what came of it; then when, how long, and which execution.
fn heading(path: &Path) -> [String; 2] {
    let mut when = history::date_and_clock(path.started);
    let took = span(path.seconds());
    when += &match (path.ended, path.redriven.len()) {
        (None, _) => format!(", {took} so far"),
        (Some(_), 0) => format!(", {took}"),
        (Some(_), 1) => format!(", {took}, redriven once"),
        (Some(_), times) => format!(", {took}, redriven {times} times"),
    };
    if let Some(name) = &path.name {
        when += &format!(", execution {name}");
    }
    [explain::headline(path), when]
}

/// The seconds in which at least one of them lasted: items of a Map go on side by side.
fn together(mut times: Vec<(f64, f64)>) -> f64 {
    times.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut seconds = 0.0;
    let mut reached = f64::MIN;
    for (from, to) in times {
        seconds += (to - from.max(reached)).max(0.0);
        reached = reached.max(to);
    }
    seconds
}

/// How a visit came out, or stands.
pub fn status(path: &Path, number: usize, definition: &Value) -> Status {
    let seen = &path.visits[number];
    let timed_out = |seen: &Visit| {
        let last = seen.failures.last();
        seen.unwell && last.is_some_and(|failed| failed.error == "States.Timeout")
    };
    if seen.exited.is_none() {
        return match path.status {
            "RUNNING" => Status::InProgress,
            "TIMED_OUT" => Status::TimedOut,
            _ if timed_out(seen) => Status::TimedOut,
            "ABORTED" => Status::Aborted,
            _ => Status::Failed,
        };
    }
    // A Fail state is left, too, and is what failed.
    if seen.kind == "Fail" || (seen.unwell && !catches(definition, &seen.name)) {
        Status::Failed
    } else if seen.unwell {
        Status::Caught
    } else {
        Status::Succeeded
    }
}

/// Whether the state has a Catch.
fn catches(level: &Value, name: &str) -> bool {
    let states = level["States"].as_object().into_iter().flatten();
    states.into_iter().any(|(known, state)| {
        (known == name && state["Catch"].is_array())
            || catches(&state["ItemProcessor"], name)
            || state["Branches"]
                .as_array()
                .is_some_and(|branches| branches.iter().any(|branch| catches(branch, name)))
    })
}

/// Of several visits the one that an operator must see.
fn worse(one: Status, other: Status) -> Status {
    let weight = |status| match status {
        Status::Succeeded => 0,
        Status::Caught => 1,
        Status::InProgress => 2,
        Status::Aborted => 3,
        Status::TimedOut => 4,
        Status::Failed => 5,
    };
    if weight(other) > weight(one) {
        other
    } else {
        one
    }
}

#[cfg(test)]
mod tests {
    use super::together;

    #[test]
    fn what_goes_on_side_by_side_lasts_only_once() {
        assert_eq!(together(vec![(0.0, 2.0), (5.0, 6.0)]), 3.0);
        assert_eq!(together(vec![(1.0, 4.0), (0.0, 2.0), (1.0, 3.0)]), 4.0);
    }
}
