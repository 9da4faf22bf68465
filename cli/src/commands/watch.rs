//! `watch`: follows an execution live.

mod lines;
mod screen;
mod wait;

use super::explain;
use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs},
    history::{self, path::Path},
    output::{self, Output, paint},
};
use clap::Args;
use lines::Lines;
use screen::Screen;
use serde_json::Value;
use std::time::Duration;
use workers::ids::ExecutionArn;

const AFTER_HELP: &str = "\
On a terminal it draws the graph with the way taken, times, retries, and what is waited for with its bound. With \
--lines, and to a pipe or a file, it writes a line for each state, as `drill` does, and nothing is drawn over.

Examples:
  gpu-recovery watch llama-7b
  gpu-recovery watch arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME && ./next-step
  gpu-recovery watch llama-7b --lines

Exit codes:
  0  it SUCCEEDED, and the job was recovered, is complete, or nothing was to be done
  1  it ended FAILED, TIMED_OUT or ABORTED: an operator is needed; or AWS failed
  2  bad arguments; standard error says which
  4  it SUCCEEDED and declared the job FAILED
  130  Ctrl-C: it was looked at, and goes on";

/// Exit code of a job that is given up.
const GIVEN_UP: u8 = 4;

/// Follows an execution until it ends, and exits with what came of it.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// ARN of the execution, or the id of a job: the recovery at work on it, else its last one.
    #[arg(value_name = "EXECUTION|JOB", value_parser = account::recovery)]
    name: Named,

    #[command(flatten)]
    manner: Manner,

    #[command(flatten)]
    account: Account,
}

/// How an execution is followed.
#[derive(Args)]
pub struct Manner {
    /// Asks every so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,

    /// Writes a line for each state instead of drawing the graph.
    #[arg(long)]
    lines: bool,
}

/// Follows.
///
/// # Errors
/// When AWS fails, or no execution is known of the job.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Nothing, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let execution = match &arguments.name {
        Named::Execution(arn) => arn.clone(),
        Named::Job(job) => desk.recovery_of(job).await?,
        Named::Instance(id) => return Err(Failure::BadInput(format!("{id} has no execution"))),
    };
    output.progress("asking AWS");
    let path = follow(desk, output, &execution, &arguments.manner).await?;
    let given_up = path.answer("FailJob").is_some();
    let code = match (path.status, given_up) {
        ("SUCCEEDED", false) => 0,
        ("SUCCEEDED", true) => GIVEN_UP,
        _ => 1,
    };
    output.line("");
    let style = if code == 0 { output::GOOD } else { output::BAD };
    output.text("", &paint(style, explain::headline(&path)));
    if code == 1 {
        output.text(
            "",
            &format!("next: gpu-recovery replay {execution} --dry-run"),
        );
    }
    Ok(code)
}

/// Shows every event until the execution has ended.
///
/// # Errors
/// When AWS fails.
pub async fn follow(
    desk: &Desk,
    output: &Output,
    execution: &ExecutionArn,
    manner: &Manner,
) -> Result<Path, Failure> {
    let mut events: Vec<Value> = Vec::new();
    let definition = match history::definition_of(&desk.sfn, execution.as_str()).await {
        Some(definition) => definition,
        None => serde_json::from_str(simulator::cloud::RECOVERY)
            .map_err(|error| Failure::Broken(error.to_string()))?,
    };
    let mut view = if output.watched() && !manner.lines {
        output.still();
        View::Graph(Screen::new(output, &definition))
    } else {
        View::Lines(Lines::new(output, &definition))
    };
    loop {
        let known = events
            .last()
            .and_then(|event| event["id"].as_u64())
            .unwrap_or_default();
        let new = history::newer_than(&desk.sfn, execution.as_str(), known).await?;
        let seen = events.len();
        events.extend(new);
        let path = Path::of(&events);
        view.show(execution, &events[seen..], &path, desk.now());
        if path.status != "RUNNING" {
            return Ok(path);
        }
        for _ in 0..manner.every {
            tokio::time::sleep(Duration::from_secs(1)).await;
            view.tick(&path, desk.now());
        }
    }
}

/// How it is shown.
enum View<'a> {
    Graph(Screen<'a>),
    Lines(Lines<'a>),
}

impl View<'_> {
    /// What has come since the last look.
    fn show(&mut self, execution: &ExecutionArn, new: &[Value], path: &Path, now: f64) {
        match self {
            Self::Graph(screen) => screen.draw(path, now),
            Self::Lines(lines) => lines.show(execution, new, path, now),
        }
    }

    /// A second has passed.
    fn tick(&mut self, path: &Path, now: f64) {
        match self {
            Self::Graph(screen) => screen.draw(path, now),
            Self::Lines(lines) => lines.tick(path, now),
        }
    }
}
