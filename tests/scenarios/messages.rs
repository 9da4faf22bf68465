//! What the operators get to read in each scenario, as one text file: `cat tests/scenarios/messages/*.txt` is all of it.
//! UPDATE_MESSAGES=1 writes the files anew.

use simulator::scenario::{Report, builtins};
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/messages")
}

/// The messages are those of the scenario's file; a scenario that tells nobody has none.
pub fn are_as_written(report: &Report) {
    let file = folder().join(format!("{}.txt", report.scenario));
    let told = text(report);
    if std::env::var_os("UPDATE_MESSAGES").is_some() {
        if told.is_empty() {
            let _ = fs::remove_file(&file);
        } else {
            fs::write(&file, told).unwrap();
        }
        return;
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        told,
        written,
        "{} differs: read the messages aloud, then UPDATE_MESSAGES=1 cargo test -p tests --test scenarios",
        file.display()
    );
}

fn text(report: &Report) -> String {
    let messages = report.notifications.iter().map(|message| {
        let attribute = |name: &str| message.attributes.get(name).map_or("", String::as_str);
        format!(
            "Subject: {}\nEvent: {}, severity {}\n\n{}",
            message.subject,
            attribute("event"),
            attribute("severity"),
            message.message
        )
    });
    let all: Vec<String> = messages.map(|message| without_ids(&message)).collect();
    all.join(&format!("\n{}\n\n", "-".repeat(72)))
}

/// Ids of tasks and executions are drawn: they would change with every draw before them.
fn without_ids(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let is_id = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| !is_id(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(length.max(first.len_utf8()));
        let digits = run.chars().filter(char::is_ascii_hexdigit).count();
        match digits {
            // The dash before it is the name's.
            32.. => plain += if run.starts_with('-') { "-ID" } else { "ID" },
            _ => plain += run,
        }
        rest = after;
    }
    plain
}

#[test]
fn every_file_of_messages_is_of_a_scenario() {
    let scenarios = builtins().unwrap();
    for file in fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let known = scenarios.iter().any(|s| format!("{}.txt", s.name) == name);
        assert!(known, "{name} is of no scenario: delete it");
    }
}

/// The page that a message names is in the runbook.
#[test]
fn every_page_that_a_message_names_is_in_the_runbook() {
    let runbook = include_str!("../../docs/runbook.md");
    for file in fs::read_dir(folder()).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for (_, named) in text
            .match_indices("docs/runbook.md, \"")
            .map(|(at, found)| text[at..].split_at(found.len()))
        {
            let (page, _) = named.split_once('"').unwrap();
            assert!(runbook.contains(&format!("\n## {page}\n")), "{page}");
        }
    }
}

#[test]
fn ids_are_left_out_and_instances_are_not() {
    let arn = "task/gpu/0f3a9c5d7e00000030f3a9c5d7e0000003 on i-0f3a9c5d7e0000003.";
    assert_eq!(without_ids(arn), "task/gpu/ID on i-0f3a9c5d7e0000003.");
}
