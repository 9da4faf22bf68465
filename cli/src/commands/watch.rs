//! `watch`: follows an execution live.

use super::{explain, status::unknown_job};
use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs},
    drill::live::{Audience, Live},
    history::{self, path::Path},
    output::{self, Output, paint},
};
use clap::Args;
use serde_json::Value;
use std::time::Duration;
use workers::ids::ExecutionArn;

const AFTER_HELP: &str = "\
Each state is a line, as in `drill`: time since the start, name, what came of it. A state that waits is shown below
with its bound, on a terminal.

Examples:
  gpu-recovery watch llama-7b
  gpu-recovery watch arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME && ./next-step

Exit codes:
  0  it SUCCEEDED, and the job was recovered, is complete, or nothing was to be done
  1  it ended FAILED, TIMED_OUT or ABORTED: a person is needed; or AWS failed
  2  bad arguments; standard error says which
  4  it SUCCEEDED and declared the job FAILED";

/// Exit code of a job that is given up.
const GIVEN_UP: u8 = 4;

/// Follows an execution until it ends, and exits with what came of it.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// ARN of the execution, or the id of the job that it is at work on.
    #[arg(value_name = "EXECUTION|JOB", value_parser = target)]
    name: Named,

    /// Asks every so many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,

    #[command(flatten)]
    account: Account,
}

fn target(text: &str) -> Result<Named, String> {
    match account::named(text)? {
        Named::Instance(_) => Err(
            "an instance has no execution; give its job, or the execution that holds it (status INSTANCE names both)"
                .to_owned(),
        ),
        named => Ok(named),
    }
}

/// Follows.
///
/// # Errors
/// When AWS fails, or nothing is at work on the job.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let output = Output::new();
    account::run(async {
        let desk = Desk::open(&arguments.account, Needs::Nothing).await?;
        at(arguments, &desk, &output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let execution = match &arguments.name {
        Named::Execution(arn) => arn.clone(),
        Named::Job(job) => match desk.context.jobs.get(job).await? {
            None => return Err(unknown_job(job)),
            Some(record) => record.holder.clone().ok_or_else(|| {
                Failure::Broken(format!(
                    "no execution is at work on job {job}: it is {} in attempt {}",
                    record.status, record.attempt
                ))
            })?,
        },
        Named::Instance(id) => return Err(Failure::BadInput(format!("{id} has no execution"))),
    };
    let path = follow(
        desk,
        output,
        &execution,
        Duration::from_secs(arguments.every),
    )
    .await?;
    let decision = explain::decision(&path);
    let given_up = path.answer("FailJob").is_some();
    let code = match (path.status, given_up) {
        ("SUCCEEDED", false) => 0,
        ("SUCCEEDED", true) => GIVEN_UP,
        _ => 1,
    };
    output.line("");
    let decision = decision.unwrap_or_else(|| "a person is needed".to_owned());
    let style = if code == 0 { output::GOOD } else { output::BAD };
    output.text("", &paint(style, format!("{}: {decision}", path.status)));
    if code == 1 {
        output.text(
            "",
            &format!("next: gpu-recovery replay {execution} --dry-run"),
        );
    }
    Ok(code)
}

/// Shows every event until the execution has ended.
async fn follow(
    desk: &Desk,
    output: &Output,
    execution: &ExecutionArn,
    every: Duration,
) -> Result<Path, Failure> {
    let live = Live::new(output.clone(), simulator::cloud::RECOVERY, Audience::Mocks);
    let observer = live.observer();
    let mut events: Vec<Value> = Vec::new();
    loop {
        let known = events
            .last()
            .and_then(|event| event["id"].as_u64())
            .unwrap_or_default();
        let new = history::newer_than(&desk.sfn, execution.as_str(), known).await?;
        let started = events
            .first()
            .or(new.first())
            .map(history::at)
            .unwrap_or_default();
        for event in &new {
            let at = Duration::try_from_secs_f64(history::at(event) - started).unwrap_or_default();
            observer(at, execution.as_str(), event);
        }
        events.extend(new);
        let path = Path::of(&events);
        if path.status != "RUNNING" {
            live.finish();
            output.still();
            return Ok(path);
        }
        if let Some(visit) = path.standing().last() {
            let bound = bound(&events, &visit.name);
            let since = output::span((desk.now() - visit.entered).max(0.0));
            output.progress(&format!("{} for {since}{bound}", visit.name));
        }
        tokio::time::sleep(every).await;
    }
}

/// How long the task that was scheduled last may take, if it is told.
fn bound(events: &[Value], state: &str) -> String {
    let entered = events
        .iter()
        .rposition(|event| event["stateEnteredEventDetails"]["name"] == state)
        .unwrap_or_default();
    let scheduled = events[entered..].iter().rev();
    let seconds = scheduled
        .filter_map(|event| event["taskScheduledEventDetails"]["timeoutInSeconds"].as_f64())
        .next();
    seconds.map_or(String::new(), |seconds| {
        format!(", at most {}", output::span(seconds))
    })
}
