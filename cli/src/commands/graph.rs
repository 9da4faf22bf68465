//! `graph`: draws the state machine, plain or with an execution's path.

use super::Told;
use crate::{
    Failure, files,
    graph::{self, GraphError, Overlay, Status, Visit},
    history::{
        self,
        path::{Path, Visit as Seen},
    },
    output::span,
};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  gpu-recovery graph --output recovery.svg
  gpu-recovery graph arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME --output recovery.svg
  gpu-recovery drill isolate --history history.json && gpu-recovery graph --history history.json > isolate.svg
  gpu-recovery graph --format mermaid

An SVG follows the reader's light or dark mode. For a PNG: rsvg-convert -z 2 recovery.svg -o recovery.png

Exit codes:
  0  drawn
  1  AWS did not give the history
  2  bad arguments, or a file that cannot be used; standard error says what and where";

/// Draws the state machine, plain or with the path that an execution took, its times and failures.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(flatten)]
    pub told: Told,

    /// Draws this definition instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,

    #[arg(long, value_enum, default_value_t = Format::Svg)]
    format: Format,

    /// Writes the picture to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Svg,
    Mermaid,
}

/// Draws.
///
/// # Errors
/// When the definition or the history cannot be used.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    files::writable(arguments.output.as_deref())?;
    at(arguments, arguments.told.events()?)
}

/// The same with the history.
pub fn at(arguments: &Arguments, events: Option<Vec<Value>>) -> Result<u8, Failure> {
    let definition = match &arguments.definition {
        Some(file) => files::json(file)?,
        None => serde_json::from_str(simulator::cloud::RECOVERY)
            .map_err(|error| Failure::Broken(error.to_string()))?,
    };
    let overlay = events.map(|events| overlay(&Path::of(&events), &definition));
    let drawn = match arguments.format {
        Format::Svg => graph::svg(&definition, overlay.as_ref()),
        Format::Mermaid => graph::mermaid(&definition, overlay.as_ref()),
    };
    let drawn = drawn.map_err(|error| worded(&error, arguments))?;
    let file = arguments.output.clone().unwrap_or_else(|| "-".into());
    files::write_text(&file, drawn.trim_end())?;
    Ok(0)
}

fn worded(error: &GraphError, arguments: &Arguments) -> Failure {
    let place = match &arguments.definition {
        Some(file) => files::name(file),
        None => "the built-in definition".to_owned(),
    };
    let mend = match error {
        GraphError::NotInDefinition { .. } => {
            "\n  give the one it ran with --definition: aws stepfunctions describe-state-machine-for-execution \
             --execution-arn ARN --query definition --output text > FILE"
        }
        _ => "",
    };
    Failure::BadInput(format!("{place}: {error}{mend}"))
}

/// The path laid over the picture.
fn overlay(path: &Path, definition: &Value) -> Overlay {
    let mut overlay = Overlay::default();
    let mut seconds: std::collections::BTreeMap<&str, f64> = std::collections::BTreeMap::new();
    for (number, seen) in path.visits.iter().enumerate() {
        let status = status(path, number, definition);
        let retries = seen.tries.saturating_sub(1);
        let entered = history::clock(seen.entered);
        let end = seen.exited.or(path.ended).unwrap_or(path.last);
        *seconds.entry(&seen.name).or_default() += end - seen.entered;
        match overlay.states.get_mut(&seen.name) {
            Some(visit) => {
                visit.status = worse(visit.status, status);
                visit.entered.push(entered);
                visit.retries += retries;
            }
            None => {
                let visit = Visit {
                    status,
                    entered: vec![entered],
                    retries,
                    label: None,
                };
                overlay.states.insert(seen.name.clone(), visit);
            }
        }
        if let Some(from) = seen.from {
            let way = (path.visits[from].name.clone(), seen.name.clone());
            overlay.taken.insert(way);
        }
    }
    for (name, seconds) in seconds {
        if let Some(visit) = overlay.states.get_mut(name).filter(|_| seconds >= 1.0) {
            visit.label = Some(span(seconds));
        }
    }
    overlay
}

fn status(path: &Path, number: usize, definition: &Value) -> Status {
    let seen = &path.visits[number];
    let timed_out = |seen: &Seen| {
        let last = seen.failures.last();
        seen.unwell && last.is_some_and(|failed| failed.error == "States.Timeout")
    };
    if seen.exited.is_none() {
        return match path.status {
            "RUNNING" => Status::InProgress,
            "TIMED_OUT" => Status::TimedOut,
            _ if timed_out(seen) => Status::TimedOut,
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

/// Of several visits the one that a person must see.
fn worse(one: Status, other: Status) -> Status {
    let weight = |status| match status {
        Status::Succeeded => 0,
        Status::Caught => 1,
        Status::InProgress => 2,
        Status::TimedOut => 3,
        Status::Failed => 4,
    };
    if weight(other) > weight(one) {
        other
    } else {
        one
    }
}
