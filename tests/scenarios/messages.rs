//! What the operators get to read in each scenario, as one text file: `cat tests/scenarios/messages/*.txt` is all of it.
//! UPDATE_MESSAGES=1 writes anew what differs by more than a time.

use simulator::scenario::{Report, builtins};
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/messages")
}

/// The messages are those of the scenario's file; a scenario that tells nobody has none.
pub fn are_as_written(report: &Report) {
    let file = folder().join(format!("{}.txt", report.scenario));
    let told = text(report);
    let written = fs::read_to_string(&file).unwrap_or_default();
    let same = without_times(&told) == without_times(&written);
    if !same && std::env::var_os("UPDATE_MESSAGES").is_some() {
        if told.is_empty() {
            fs::remove_file(&file).unwrap();
        } else {
            fs::write(&file, told).unwrap();
        }
        return;
    }
    assert!(
        same,
        "{} differs: UPDATE_MESSAGES=1 cargo test -p tests --test scenarios, then read it aloud; now it is\n{told}",
        file.display()
    );
}

/// A word without what is around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The words but for clocks and durations: a call more anywhere before moves them by a second.
fn without_times(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = |word: &str| bare(word).bytes().all(|b| b.is_ascii_digit());
    let unit = |word: &str| matches!(bare(word), "s" | "min" | "h");
    let clock = |word: &str| bare(word).len() == 8 && bare(word).split(':').count() == 3;
    let mut kept = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).is_some_and(|next| unit(next));
        let before = at.checked_sub(1).is_some_and(|at| number(words[at]));
        if !(clock(word) || (number(word) && next) || (unit(word) && before)) {
            kept.push(*word);
        }
    }
    kept
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
fn a_second_more_is_no_difference_and_another_word_is() {
    let read = |text| without_times(text);
    let said = read("At 03:10:07 UTC rank 3 ended, 13 min 2 s later.");
    assert_eq!(
        said,
        read("At 03:10:08 UTC rank 3 ended, 14 min 1 s later.")
    );
    assert_ne!(
        said,
        read("At 03:10:07 UTC rank 4 ended, 13 min 2 s later.")
    );
}

#[test]
fn ids_are_left_out_and_instances_are_not() {
    let arn = "task/gpu/0f3a9c5d7e00000030f3a9c5d7e0000003 on i-0f3a9c5d7e0000003.";
    assert_eq!(without_ids(arn), "task/gpu/ID on i-0f3a9c5d7e0000003.");
}
