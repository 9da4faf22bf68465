//! docs/design.md names what the code has: each attribute of the records, each variable of an execution, each promise.

use crate::definition::states;
use serde_json::Value;
use std::{collections::BTreeSet, path::Path};

const PAGE: &str = include_str!("../../docs/design.md");
const README: &str = include_str!("../../README.md");
const RECORDS: &str = concat!(
    include_str!("../../workers/src/records.rs"),
    include_str!("../../workers/src/records/event.rs")
);

/// The cells of each row of the table under a heading, without its head.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    section
        .lines()
        .skip_while(|line| !line.starts_with("| ---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The name in the first cell of each row.
fn names(rows: &[Vec<&'static str>]) -> BTreeSet<&'static str> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_eq!(names.len(), rows.len(), "a name stands twice");
    names
}

/// The fields of a record, which serde writes by their own names.
fn fields(record: &str) -> BTreeSet<&'static str> {
    let (_, text) = RECORDS
        .split_once(&format!("pub struct {record} {{\n"))
        .unwrap_or_else(|| panic!("no {record}"));
    text.lines()
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next())
        .collect()
}

#[test]
fn every_attribute_of_the_records_is_in_the_design() {
    assert!(!RECORDS.contains("rename ="), "fields have their own names");
    let job = table("### Table of jobs: the job's item");
    assert_eq!(names(&job), fields("JobRecord"));
    let rank = table("### Table of jobs: a rank's item");
    assert_eq!(names(&rank), fields("RankRecord"));
    let event = table("### Table of jobs: an event");
    assert_eq!(names(&event), fields("EventRecord"));
    let instance = table("### Table of instances");
    let mut known = fields("InstanceRecord");
    // Kept beside the record: no worker reads it.
    known.insert("by_hand");
    assert_eq!(names(&instance), known);
}

#[test]
fn whoever_writes_or_reads_an_attribute_is_a_worker_or_an_operators_command() {
    let known: BTreeSet<&str> = workers::all().iter().map(|w| w.name).collect();
    for heading in [
        "### Table of jobs: the job's item",
        "### Table of jobs: a rank's item",
        "### Table of jobs: an event",
        "### Table of instances",
    ] {
        for row in table(heading) {
            let [_, _, written, _, read] = row[..] else {
                panic!("five cells: {row:?}");
            };
            assert!(!written.is_empty() && !read.is_empty(), "{row:?}");
            let named = [written, read]
                .into_iter()
                .flat_map(|cell| cell.split(|c: char| !(c.is_ascii_lowercase() || c == '-')));
            for name in named.filter(|name| name.contains('-')) {
                assert!(known.contains(name), "{name} is no worker: {row:?}");
            }
        }
    }
}

/// The state without the states inside it.
fn own(state: &Value) -> Value {
    let mut own = state.clone();
    own.as_object_mut().unwrap().remove("ItemProcessor");
    own
}

fn assigned(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if name == "Assign" {
                    found.extend(value.as_object().unwrap().keys().cloned());
                }
                assigned(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assigned(item, found)),
        _ => {}
    }
}

/// True when an expression of the state reads the variable, and not a name of its own like it.
fn reads(state: &Value, variable: &str) -> bool {
    let text = state.to_string();
    let named = format!("${variable}");
    let own = [format!("function({named})"), format!("{named} :=")];
    let mut places = text.match_indices(&named).map(|(at, _)| at + named.len());
    !own.iter().any(|own| text.contains(own))
        && places.any(|end| !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn every_variable_of_an_execution_is_in_the_design_with_the_states_that_assign_and_read_it() {
    let states: Vec<(String, Value)> = states()
        .into_iter()
        .map(|(name, state)| (name, own(&state)))
        .collect();
    let rows = table("### Variables of the execution");
    let mut variables = BTreeSet::new();
    states.iter().for_each(|(_, s)| assigned(s, &mut variables));
    let variables: BTreeSet<&str> = variables.iter().map(String::as_str).collect();
    assert_eq!(names(&rows), variables);
    for row in rows {
        let variable = row[0].trim_matches('`');
        let those = |holds: &dyn Fn(&Value) -> bool| {
            let names = states.iter().filter(|(_, state)| holds(state));
            let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
            names.join(", ")
        };
        let assigned_in = those(&|state| {
            let mut found = BTreeSet::new();
            assigned(state, &mut found);
            found.contains(variable)
        });
        let read_in = those(&|state| reads(state, variable));
        assert_eq!(
            row[2..],
            [assigned_in.as_str(), read_in.as_str()],
            "{variable}"
        );
    }
}

#[test]
fn every_state_that_the_design_explains_is_in_the_definition() {
    let known = states();
    let rows = table("## The states");
    assert!(rows.len() > 15, "{} rows", rows.len());
    for name in rows.iter().flat_map(|row| row[0].split(", ")) {
        assert!(
            known.iter().any(|(state, _)| state == name),
            "no state {name}"
        );
    }
}

#[test]
fn the_promises_are_the_same_in_the_design_and_in_the_readme() {
    let (_, rest) = PAGE.split_once("<!-- promises -->\n").unwrap();
    let (promises, _) = rest.split_once("\n<!-- end -->").unwrap();
    assert!(README.contains(promises), "README has other promises");
    let numbers = promises
        .lines()
        .filter(|l| l.starts_with(|c: char| c.is_ascii_digit()));
    assert!(numbers.count() >= 6);
}

/// A comment that cites a page cites one that is here, and a heading that it has.
#[test]
fn what_the_code_cites_of_the_design_stands_in_it() {
    fn walk(folder: &Path, cited: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, cited);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let places = text.split("docs/design.md, \"").skip(1);
                cited.extend(places.map(|p| p.split('"').next().unwrap().to_owned()));
            }
        }
    }
    let mut cited = Vec::new();
    for crate_ in ["workers", "simulator", "stepfunctions", "cli"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(crate_);
        walk(&source.join("src"), &mut cited);
    }
    assert!(!cited.is_empty());
    for heading in cited {
        let stands = PAGE
            .lines()
            .any(|l| l.trim_start_matches('#').trim() == heading && l.starts_with('#'));
        assert!(stands, "docs/design.md has no \"{heading}\"");
    }
}
