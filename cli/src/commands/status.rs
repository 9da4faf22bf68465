//! `status`: the jobs and the fleet at a glance, or one of them closely.

mod failed;
pub mod read;
mod show;

use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs},
    files,
    output::Output,
};
use clap::Args;
use std::time::Duration;

const AFTER_HELP: &str = "\
Without an argument it reads the whole table of instances and, of the table of jobs, at most --pages pages of 1 MB \
(some thousand items), and says so when that was not all. A job that works on a recorded instance is always shown. \
An instance that a recovery holds is marked (held); status INSTANCE names the execution. \
Beside the records it shows what ECS says: the tasks that run, and instances that have not worked for a job yet; and \
executions of the last 24 hours that ended badly without a job.

Examples:
  gpu-recovery status
  gpu-recovery status llama-7b
  gpu-recovery status i-0f3a9c5d7e0000003
  gpu-recovery status --json | jq -r '.instances[] | select(.status == \"QUARANTINED\") | .instanceId'
  gpu-recovery status --watch --every 10

Exit codes:
  0  shown
  1  AWS did not answer; or no such job or instance is recorded
  2  bad arguments; standard error says which
  130  Ctrl-C, with --watch";

/// Shows jobs with the state that their recovery is in, and instances with who holds them.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A job's id, or an instance's; everything when left out.
    #[arg(value_name = "JOB|INSTANCE", value_parser = target)]
    name: Option<Named>,

    /// Writes JSON, and nothing else.
    #[arg(long, conflicts_with = "watch")]
    json: bool,

    /// Shows it again and again, until Ctrl-C.
    #[arg(long)]
    watch: bool,

    /// With --watch: so many seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600), requires = "watch")]
    every: u64,

    /// Shows jobs that have ended, too.
    #[arg(long)]
    all: bool,

    /// Reads at most so many pages of 1 MB of the table of jobs.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pages: u16,

    #[command(flatten)]
    account: Account,
}

fn target(text: &str) -> Result<Named, String> {
    match account::named(text)? {
        Named::Execution(_) => Err(
            "status is of a job or an instance; for an execution use explain or watch".to_owned(),
        ),
        named => Ok(named),
    }
}

/// Shows.
///
/// # Errors
/// When AWS does not answer, or nothing is recorded under the name.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    loop {
        output.progress("asking AWS");
        look(arguments, desk, output).await?;
        if !arguments.watch {
            return Ok(0);
        }
        let every = arguments.every;
        output.progress(&format!("again every {every} s, until Ctrl-C"));
        tokio::time::sleep(Duration::from_secs(every)).await;
    }
}

/// One look.
async fn look(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<(), Failure> {
    match &arguments.name {
        Some(Named::Job(id)) => {
            let job = read::job(desk, id).await?;
            publish(arguments, output, &job, || show::job(output, &job))
        }
        Some(Named::Instance(id)) => {
            let instance = read::instance(desk, id).await?;
            publish(arguments, output, &instance, || {
                show::instance(output, &instance);
            })
        }
        _ => {
            let all = read::everything(desk, arguments.pages.into(), arguments.all).await?;
            let now = desk.now();
            publish(arguments, output, &all, || {
                show::everything(output, &all, now)
            })
        }
    }
}

fn publish(
    arguments: &Arguments,
    output: &Output,
    what: &impl serde::Serialize,
    show: impl FnOnce(),
) -> Result<(), Failure> {
    if arguments.watch {
        output.clear();
    } else {
        output.still();
    }
    if arguments.json {
        output.raw(&files::pretty(what)?);
    } else {
        show();
    }
    Ok(())
}
