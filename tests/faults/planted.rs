//! The bugs of `tests/planted/` still fit the tree, and docs/faults.md says what has seen each; `.ci/planted/run.sh` hunts them.

use simulator::cloud::RECOVERY;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use tests::planted::{Bug, bugs, planted, seen_in, table};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_planted_bug_still_finds_its_place() {
    let all = bugs(&root());
    let names: BTreeSet<&str> = all.iter().map(|bug| bug.name.as_str()).collect();
    assert!(names.len() == all.len() && all.len() >= 30, "{names:?}");
    let in_workers = planted(&root(), &all).err().unwrap_or_default();
    let in_machine = all.iter().filter(|bug| bug.is_in_definition());
    let in_machine = in_machine.filter_map(|bug| bug.in_definition(RECOVERY).err());
    let wrong: Vec<String> = in_workers.into_iter().chain(in_machine).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_says_of_every_planted_bug_what_has_seen_it() {
    let (_, table, _) = table(&root());
    let all = bugs(&root());
    let rows = table.lines().skip(2).count();
    assert_eq!(rows, all.len(), "{HINT}");
    for bug in &all {
        let seen = seen_in(&table, bug);
        let by_test = test_of(bug).is_some_and(|(_, test)| seen.contains(test));
        assert!(seen.contains("seed") || by_test, "{}: {HINT}", bug.name);
    }
}

const HINT: &str = ".ci/planted/run.sh writes the table of docs/faults.md";

fn test_of(bug: &Bug) -> Option<(&str, &str)> {
    bug.test.as_deref()?.split_once(' ')
}

#[test]
fn every_test_that_a_planted_bug_names_is_there() {
    for bug in bugs(&root()) {
        let Some((target, test)) = test_of(&bug) else {
            continue;
        };
        let (module, name) = test.split_once("::").expect("a module and a test");
        let path = root().join(format!("tests/{target}/{module}.rs"));
        let source = fs::read_to_string(path).unwrap_or_default();
        assert!(
            source.contains(&format!("fn {name}(")),
            "{}: {test}",
            bug.name
        );
        // Nobody but the test itself can give the definition's bug to a test.
        let itself = !bug.is_in_definition() || source.contains(&format!("\"{}\"", bug.name));
        assert!(itself, "{test} does not plant {}", bug.name);
    }
}
