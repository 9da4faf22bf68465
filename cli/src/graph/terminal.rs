//! The graph as rows of a terminal: the states from top to bottom, with the way taken as a rail on their left.
//!
//! ```text
//! ✓ Classify
//! ┃ ○ RecordCompletion
//! ✓ CheckGpus               2 min 17 s
//! ┃ ! RunDcgm               2 min 17 s · error caught
//! ```
//!
//! A state stands below all that lead to it, but for ways back, so the way taken never leads up, but for loops, which
//! are counted. It passes the states that were not entered, which stand aside. The states of a Map are indented, and
//! left out until it is entered.

use super::{
    Overlay, Status, Tally,
    layout::Walk,
    model::{Scope, State},
};
use std::collections::{HashMap, HashSet};

const PASSED: &str = "┃ ";
const NOT_PASSED: &str = "│ ";
const NOT_ENTERED: char = '○';

/// One state.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What passes on the left: two columns a level.
    pub rail: String,
    /// How it came out, as one column.
    pub mark: char,
    pub name: String,
    /// None where it was not entered.
    pub status: Option<Status>,
    /// When it was entered first.
    pub entered: String,
    /// Time, times, retries, and in words what is not well.
    pub says: String,
}

/// The rows of a level and of the entered levels inside it.
pub(super) fn rows(scope: &Scope, overlay: &Overlay) -> Vec<Row> {
    let mut rows = Vec::new();
    level(scope, overlay, "", &mut rows);
    rows
}

fn level(scope: &Scope, overlay: &Overlay, around: &str, rows: &mut Vec<Row>) {
    let states = downwards(scope);
    let visit_of = |state: &State| overlay.states.get(&state.name);
    let entered = |state: &&State| visit_of(state).is_some();
    let first = states.iter().position(entered);
    let last = states.iter().rposition(entered);
    for (place, state) in states.iter().enumerate() {
        let visit = visit_of(state);
        let passed = first.is_some_and(|first| first < place) && last > Some(place);
        let beside = if passed { PASSED } else { NOT_PASSED };
        rows.push(Row {
            rail: match visit {
                Some(_) => around.to_owned(),
                None => format!("{around}{beside}"),
            },
            mark: visit.map_or(NOT_ENTERED, |visit| visit.status.mark()),
            name: state.name.clone(),
            status: visit.map(|visit| visit.status),
            entered: visit
                .and_then(|visit| visit.entered.first().cloned())
                .unwrap_or_default(),
            says: visit.map_or(String::new(), says),
        });
        if let (Some(inner), Some(_)) = (&state.inner, visit) {
            level(inner, overlay, &format!("{around}{PASSED}"), rows);
        }
    }
}

fn says(visit: &Tally) -> String {
    let summary = visit.summary();
    let word = visit.status.word();
    let rest = summary.strip_prefix(word).unwrap_or(&summary);
    let rest = rest.trim_start_matches(" · ");
    match (visit.status, rest) {
        (Status::Succeeded, rest) => rest.to_owned(),
        (_, "") => word.to_lowercase(),
        (_, rest) => format!("{rest} · {}", word.to_lowercase()),
    }
}

impl Status {
    /// One column wide in every terminal, other than [`Status::sign`].
    fn mark(self) -> char {
        match self {
            Self::TimedOut => '✗',
            other => other.sign(),
        }
    }
}

/// The states of one level so that every way leads down, but for ways back. A state where the flow ends stands right
/// below the one that leads to it; else a way is followed as far as it goes, `Next` first.
fn downwards(scope: &Scope) -> Vec<&State> {
    let walk = Walk::through(scope);
    let known: HashMap<&str, &State> = walk.met.iter().map(|s| (s.name.as_str(), *s)).collect();
    let mut led_to: HashMap<&str, usize> = HashMap::new();
    for to in walk.met.iter().flat_map(|state| leads(&walk, state)) {
        *led_to.entry(to).or_default() += 1;
    }
    let names = walk.met.iter().map(|state| state.name.as_str());
    let mut ready: Vec<&str> = names
        .rev()
        .filter(|name| !led_to.contains_key(name))
        .collect();
    let mut states: Vec<&State> = Vec::with_capacity(known.len());
    while let Some(last) = ready.len().checked_sub(1) {
        let ends = |name: &&str| leads(&walk, known[*name]).is_empty();
        let ending = ready.iter().rposition(ends).filter(|_| !states.is_empty());
        let state = known[ready.remove(ending.unwrap_or(last))];
        states.push(state);
        for to in leads(&walk, state).into_iter().rev() {
            let left = led_to.entry(to).or_default();
            *left -= 1;
            if *left == 0 {
                ready.push(to);
            }
        }
    }
    states
}

/// The states that it leads to, but for ways back.
fn leads<'a>(walk: &Walk<'a>, state: &'a State) -> Vec<&'a str> {
    let mut seen = HashSet::new();
    let ways = state.transitions.iter().map(|way| way.to.as_str());
    ways.filter(|to| !walk.back.contains(&(state.name.as_str(), *to)) && seen.insert(*to))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::model;
    use std::collections::BTreeMap;

    fn scope(definition: &str) -> Scope {
        let definition = serde_json::from_str(definition).expect("JSON");
        model::read(&definition).expect("a definition")
    }

    fn every_way_leads_down(scope: &Scope) {
        let states = downwards(scope);
        assert_eq!(states.len(), scope.states.len());
        let walk = Walk::through(scope);
        for (place, state) in states.iter().enumerate() {
            for to in leads(&walk, state) {
                let below = states.iter().position(|state| state.name == to);
                assert!(below > Some(place), "{} leads up to {to}", state.name);
            }
            state.inner.iter().for_each(every_way_leads_down);
        }
    }

    #[test]
    fn a_state_stands_below_all_that_lead_to_it() {
        every_way_leads_down(&scope(simulator::cloud::RECOVERY));
    }

    fn visit(status: Status) -> Tally {
        Tally {
            status,
            entered: vec!["10:00:00".to_owned()],
            retries: 1,
            label: None,
            worst: 1,
            standing: 0,
        }
    }

    /// A choice, a loop, and a Map in a Map.
    const SMALL: &str = r#"{
        "StartAt": "Kind?",
        "States": {
            "Kind?": { "Type": "Choice", "Choices": [{ "Next": "Record" }, { "Next": "Look" }], "Default": "Nothing" },
            "Nothing": { "Type": "Succeed" },
            "Record": { "Type": "Pass", "End": true },
            "Look": { "Type": "Choice", "Choices": [{ "Next": "Again" }], "Default": "Groups" },
            "Again": { "Type": "Wait", "Seconds": 1, "Next": "Look" },
            "Groups": {
                "Type": "Map",
                "ItemProcessor": {
                    "StartAt": "Group",
                    "States": {
                        "Group": {
                            "Type": "Map",
                            "End": true,
                            "ItemProcessor": {
                                "StartAt": "Check",
                                "States": {
                                    "Check": { "Type": "Pass", "Next": "Read" },
                                    "Read": { "Type": "Pass", "End": true }
                                }
                            }
                        }
                    }
                },
                "Next": "Fix"
            },
            "Fix": {
                "Type": "Map",
                "ItemProcessor": { "StartAt": "Reboot", "States": { "Reboot": { "Type": "Pass", "End": true } } },
                "Next": "Tell"
            },
            "Tell": { "Type": "Pass", "End": true }
        }
    }"#;

    #[test]
    fn the_way_taken_passes_what_was_not_entered_and_maps_open_when_they_are_entered() {
        let states = [
            ("Kind?", Status::Succeeded),
            ("Look", Status::Succeeded),
            ("Groups", Status::InProgress),
            ("Group", Status::InProgress),
            ("Check", Status::TimedOut),
        ];
        let states = states.map(|(name, status)| (name.to_owned(), visit(status)));
        let overlay = Overlay {
            states: BTreeMap::from(states),
            ..Overlay::default()
        };
        let rows = rows(&scope(SMALL), &overlay);
        let drawn: Vec<String> = rows
            .iter()
            .map(|row| format!("{}{} {}", row.rail, row.mark, row.name))
            .collect();
        let expected = [
            "✓ Kind?",
            "┃ ○ Record",
            "┃ ○ Nothing",
            "✓ Look",
            "┃ ○ Again",
            "… Groups",
            "┃ … Group",
            "┃ ┃ ✗ Check",
            "┃ ┃ │ ○ Read",
            "│ ○ Fix",
            "│ ○ Tell",
        ];
        assert_eq!(drawn, expected, "{drawn:#?}");
        let says = |name| {
            let row = rows.iter().find(|row| row.name == name);
            row.expect("it is drawn").says.as_str()
        };
        assert_eq!(says("Check"), "1 retry · timed out");
        assert_eq!(says("Look"), "1 retry");
    }
}
