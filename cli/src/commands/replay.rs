//! `replay`: goes on with a recovery that ended badly, when that is safe.

mod act;
mod assess;

use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs, refused},
    files,
    output::{self, Output, counted, paint},
};
use act::Done;
pub use act::replay_of;
use assess::{Assessment, Way};
use aws_sdk_sfn::types::ExecutionStatus;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use workers::ids::ExecutionArn;

const AFTER_HELP: &str = "\
It shows what failed, where, and what a replay does. It redrives the execution (it goes on at the step that failed) \
where Step Functions allows that; else it starts a new execution from the original event, marked with \"replayOf\". \
It refuses what could relaunch a job twice or reboot an instance in use. To repeat a replay is safe.

Examples:
  gpu-recovery replay llama-7b --dry-run
  gpu-recovery replay llama-7b
  gpu-recovery replay arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME
  gpu-recovery replay --all-failed --since 24h --dry-run

Exit codes:
  0  replayed, or it runs already; with --dry-run: it would be
  1  AWS failed, or there is nothing to replay
  2  bad arguments; standard error says which
  3  refused; the reason is given, and --force overrides it";

/// Exit code of a refusal.
const REFUSED: u8 = 3;

/// Goes on with a recovery that ended FAILED, TIMED_OUT or ABORTED.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// ARN of the execution, or the id of the job that it holds.
    #[arg(value_name = "EXECUTION|JOB", value_parser = account::recovery, required_unless_present = "all_failed", conflicts_with = "all_failed")]
    name: Option<Named>,

    /// Replays every execution that ended badly within --since.
    #[arg(long)]
    all_failed: bool,

    /// With --all-failed: how far back, as 30m, 24h or 7d.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = super::seconds, requires = "all_failed")]
    since: f64,

    /// Shows what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,

    /// Replays although it is refused. The workers' own conditions still hold.
    #[arg(long)]
    force: bool,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// One execution, and what was done about it.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    #[serde(flatten)]
    assessment: Assessment,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<Done>,
}

impl Outcome {
    fn code(&self, arguments: &Arguments) -> u8 {
        match self.assessment.way {
            Way::Refuse if arguments.force && self.done.is_some() => 0,
            Way::Refuse => REFUSED,
            Way::Redrive | Way::StartAnew | Way::Nothing => 0,
        }
    }
}

/// Replays.
///
/// # Errors
/// When AWS fails, or there is nothing to replay.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("asking AWS");
    let executions = match &arguments.name {
        Some(Named::Execution(arn)) => vec![arn.clone()],
        Some(Named::Job(job)) => vec![assess::execution_of(desk, job).await?],
        _ => {
            let failed = failed_since(desk, arguments.since).await?;
            failed.into_iter().map(|one| one.execution).collect()
        }
    };
    let mut outcomes = Vec::new();
    let mut code = 0;
    for execution in &executions {
        output.progress(&format!("looking at {}", execution.name()));
        let assessment = assess::assess(desk, execution).await?;
        output.still();
        if !arguments.json {
            show(output, &assessment);
        }
        let done = if arguments.dry_run {
            None
        } else {
            act::replay(desk, &assessment, arguments.force).await?
        };
        let outcome = Outcome { assessment, done };
        if !arguments.json {
            tell(output, &outcome, arguments);
        }
        code = code.max(outcome.code(arguments));
        outcomes.push(outcome);
    }
    output.still();
    if arguments.json {
        output.raw(&files::pretty(&outcomes)?);
    } else if arguments.all_failed {
        summary(output, &outcomes);
    }
    Ok(code)
}

/// An execution that ended badly.
pub struct Failed {
    pub execution: ExecutionArn,
    pub status: String,
    /// Seconds since the epoch.
    pub ended: f64,
}

/// Every execution that ended badly within so many seconds, oldest first.
///
/// # Errors
/// When Step Functions does not list them.
pub async fn failed_since(desk: &Desk, since: f64) -> Result<Vec<Failed>, Failure> {
    let machine = desk.machine().await?;
    let oldest = desk.now() - since;
    let mut found = Vec::new();
    for status in [
        ExecutionStatus::Failed,
        ExecutionStatus::TimedOut,
        ExecutionStatus::Aborted,
    ] {
        // Started at most six hours, its own bound, before it ended; a redrive later than that makes it an exception.
        let mut pages = desk
            .sfn
            .list_executions()
            .state_machine_arn(&machine)
            .status_filter(status)
            .into_paginator()
            .items()
            .send();
        while let Some(execution) = pages.next().await {
            let execution = execution.map_err(refused("states:ListExecutions", &machine))?;
            let stopped = execution.stop_date().map(|date| date.as_secs_f64());
            if let Some(ended) = stopped.filter(|at| *at >= oldest) {
                found.push(Failed {
                    execution: ExecutionArn::new(execution.execution_arn()),
                    status: execution.status().as_str().to_owned(),
                    ended,
                });
            }
        }
    }
    found.sort_by(|one, other| one.ended.total_cmp(&other.ended));
    Ok(found)
}

fn show(output: &Output, found: &Assessment) {
    let title = format!("Execution {}", found.execution.name());
    output.line(&paint(output::HEADING, title));
    output.text("  ended   ", &found.ended);
    if let Some(failed) = &found.failed {
        output.text("  failed  ", failed);
    }
    if let Some(job) = &found.job {
        output.text("  job     ", job);
    }
    for instance in &found.instances {
        output.text("  node    ", instance);
    }
    let style = match found.way {
        Way::Refuse => output::WARNING,
        _ => output::GOOD,
    };
    let word = match found.way {
        Way::Redrive => "redrive",
        Way::StartAnew => "start anew",
        Way::Nothing => "nothing to do",
        Way::Refuse => "refused",
    };
    output.text(
        "  replay  ",
        &format!("{}: {}", paint(style, word), found.why),
    );
    for step in &found.again {
        output.text("          ", &format!("- {step}"));
    }
}

fn tell(output: &Output, outcome: &Outcome, arguments: &Arguments) {
    let text = match &outcome.done {
        Some(Done::Redriven) => paint(output::GOOD, "redriven"),
        Some(Done::Started { execution }) => paint(output::GOOD, format!("started {execution}")),
        Some(Done::Already { execution }) => format!("replayed before: {execution}"),
        None if arguments.dry_run => "nothing was done (--dry-run)".to_owned(),
        None => "nothing was done".to_owned(),
    };
    output.text("  done    ", &text);
    let running = match &outcome.done {
        Some(Done::Redriven) => Some(&outcome.assessment.execution),
        Some(Done::Started { execution } | Done::Already { execution }) => Some(execution),
        None => None,
    };
    if let Some(execution) = running {
        output.text("  follow  ", &format!("gpu-recovery watch {execution}"));
    }
}

fn summary(output: &Output, outcomes: &[Outcome]) {
    let count = |fits: &dyn Fn(&Outcome) -> bool| outcomes.iter().filter(|o| fits(o)).count();
    let replayed = count(&|o| o.done.is_some());
    let refused = count(&|o| o.assessment.way == Way::Refuse && o.done.is_none());
    let all = counted(outcomes.len() as u64, "execution");
    output.line(&format!(
        "{all} ended badly: {replayed} replayed, {refused} refused"
    ));
}
