//! `explain`: the story of one recovery in plain sentences.

mod filmed;
mod now;
mod story;

use super::Told;
use crate::{
    Failure,
    account::{self, Desk, Needs},
    history::{self, path::Path},
    output::{self, Output, paint},
};
use clap::Args;
use now::Now;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::path::PathBuf;
pub use story::{Story, decision, headline, job};

const AFTER_HELP: &str = "\
Examples:
  gpu-recovery explain llama-7b
  gpu-recovery explain arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME
  gpu-recovery explain --markdown ARN >> incident.md
  gpu-recovery explain llama-7b --html incident.html
  gpu-recovery drill isolate --history history.json && gpu-recovery explain --history history.json

All times are UTC. After the story of an execution, not of a file, it says under \"Now\" what the records of the job and \
of the instances say at this moment: an operator or another recovery may have been there since.

Exit codes:
  0  told
  1  AWS did not give the history, or no execution is known of the job
  2  bad arguments, or a file that cannot be used; standard error says what and where";

/// Tells one recovery in plain sentences with times, from its history and the records: fit for an incident report.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Writes Markdown.
    #[arg(long, conflicts_with = "json")]
    markdown: bool,

    /// Writes JSON: headline, moments with seconds since the epoch and sentence, ending, and now what the records say.
    #[arg(long)]
    json: bool,

    /// Writes a page to this file that shows it in a browser, moment by moment: one document that loads nothing, with the
    /// sentences and the path, not with what the states were given.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "markdown"])]
    html: Option<PathBuf>,

    #[command(flatten)]
    pub told: Told,
}

/// What is told.
#[derive(Serialize, JsonSchema)]
pub struct Report {
    #[serde(flatten)]
    story: Story,
    /// None of a history in a file.
    now: Option<Now>,
}

/// Tells.
///
/// # Errors
/// When the history cannot be used.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let output = Output::new();
    filmed::check(arguments.html.as_deref())?;
    if arguments.told.name.is_none() {
        return tell(arguments, arguments.told.of_file()?, None, None, &output);
    }
    account::run(async {
        let desk = Desk::open(&arguments.told.account, Needs::Nothing).await?;
        at(arguments, &desk, &output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("asking AWS");
    let execution = arguments.told.execution(desk).await?;
    let events = arguments.told.events(desk, execution.as_ref()).await?;
    let now = match (&execution, &events) {
        (Some(execution), Some(events)) => {
            let now = Now::read(desk, execution, &Path::of(events)).await;
            // The story can be told without.
            now.inspect_err(|error| output::warning(&format!("the records were not read: {error}")))
                .ok()
        }
        _ => None,
    };
    // The machine may have another definition since.
    let own = match (&arguments.html, &execution) {
        (Some(_), Some(execution)) => history::definition_of(&desk.sfn, execution.as_str()).await,
        _ => None,
    };
    output.still();
    let ran = execution.map(|execution| (execution.name().to_owned(), own));
    tell(arguments, events, now, ran, output)
}

/// `ran` is the execution's name, and the definition that it ran when that is known.
fn tell(
    arguments: &Arguments,
    events: Option<Vec<Value>>,
    now: Option<Now>,
    ran: Option<(String, Option<Value>)>,
    output: &Output,
) -> Result<u8, Failure> {
    let Some(events) = events else {
        return Err(Failure::BadInput(
            "name what to explain: give a job, the ARN of an execution, or --history FILE"
                .to_owned(),
        ));
    };
    if let Some(file) = &arguments.html {
        return filmed::write(file, &events, now.as_ref(), ran);
    }
    let story = Story::of(&Path::of(&events));
    let report = Report { story, now };
    if arguments.json {
        output.raw(&crate::files::pretty(&report)?);
    } else if arguments.markdown {
        output.raw(&markdown(&report));
    } else {
        show(output, &report);
    }
    Ok(0)
}

fn markdown(Report { story, now }: &Report) -> String {
    let mut text = format!("## {}\n\n{}\n\n", story.headline, story.ending);
    for moment in &story.moments {
        let sentence = escaped(&moment.sentence);
        text += &format!("- **{}** {sentence}\n", history::clock(moment.at));
    }
    if let Some(now) = now {
        let at = history::date_and_clock(now.at);
        text += &format!("\nNow, at {at}:\n\n");
        for sentence in now.sentences() {
            text += &format!("- {}\n", escaped(&sentence));
        }
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

fn show(output: &Output, Report { story, now }: &Report) {
    output.text("", &paint(output::HEADING, &story.headline));
    output.text("", &story.ending);
    output.line("");
    for moment in &story.moments {
        let time = paint(output::DIM, history::clock(moment.at));
        output.text(&format!("{time}  "), &unbroken(&moment.sentence));
    }
    if let Some(now) = now {
        let at = history::date_and_clock(now.at);
        output.heading(&format!("Now, at {at}"));
        for sentence in now.sentences() {
            output.text("  ", &sentence);
        }
    }
    output.line("");
    let began = history::date_and_clock(story.began);
    output.text("", &format!("Times are UTC; it began {began}."));
}
