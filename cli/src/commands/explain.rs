//! `explain`: the story of one recovery in plain sentences.

mod story;

use super::Told;
use crate::{
    Failure,
    history::{self, path::Path},
    output::{self, Output, paint},
};
use clap::Args;
use serde_json::Value;
use story::Story;
pub use story::{decision, headline};

const AFTER_HELP: &str = "\
Examples:
  gpu-recovery explain arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME
  gpu-recovery explain --markdown ARN >> incident.md
  gpu-recovery drill isolate --history history.json && gpu-recovery explain --history history.json

All times are UTC.

Exit codes:
  0  told
  1  AWS did not give the history
  2  bad arguments, or a file that cannot be used; standard error says what and where";

/// Tells one recovery in plain sentences with times, from its history: fit for an incident report.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Writes Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Writes JSON: headline, moments with seconds since the epoch and sentence, ending.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub told: Told,
}

/// Tells.
///
/// # Errors
/// When the history cannot be used.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    at(arguments, arguments.told.events()?, &Output::new())
}

/// The same with the history.
pub fn at(
    arguments: &Arguments,
    events: Option<Vec<Value>>,
    output: &Output,
) -> Result<u8, Failure> {
    let Some(events) = events else {
        return Err(Failure::BadInput(
            "name what to explain: give the ARN of an execution, or --history FILE".to_owned(),
        ));
    };
    let story = Story::of(&Path::of(&events));
    if arguments.json {
        output.raw(&crate::files::pretty(&story)?);
    } else if arguments.markdown {
        output.raw(&markdown(&story));
    } else {
        show(output, &story);
    }
    Ok(0)
}

fn markdown(story: &Story) -> String {
    let mut text = format!("## {}\n\n{}\n\n", story.headline, story.ending);
    for moment in &story.moments {
        let sentence = escaped(&moment.sentence);
        text += &format!("- **{}** {sentence}\n", history::clock(moment.at));
    }
    text += &format!(
        "\nTimes are UTC; it began {}.",
        history::date_and_clock(story.began)
    );
    text
}

/// What Markdown would take for marks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '_' | '`' | '<' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// The duration at its end is not broken over two lines.
fn unbroken(sentence: &str) -> String {
    match sentence.rsplit_once(" (") {
        Some((text, last)) if last.ends_with(").") => {
            format!("{text} ({}", last.replace(' ', "\u{a0}"))
        }
        _ => sentence.to_owned(),
    }
}

fn show(output: &Output, story: &Story) {
    output.line(&paint(output::HEADING, &story.headline));
    output.text("", &story.ending);
    output.line("");
    for moment in &story.moments {
        let time = paint(output::DIM, history::clock(moment.at));
        output.text(&format!("{time}  "), &unbroken(&moment.sentence));
    }
    output.line("");
    let began = history::date_and_clock(story.began);
    output.text("", &format!("Times are UTC; it began {began}."));
}
