//! `stop`: ends a job that runs.

use crate::{
    Failure,
    account::{self, Account, Desk, Needs, OperatorsTopic},
    output::{self, Output, counted, paint},
};
use clap::Args;
use workers::{
    desk::{
        stop::{self, StopError, Stopped},
        stop_message,
    },
    ids::JobId,
};

const AFTER_HELP: &str = "\
The job becomes USER_STOPPED first, so that no rank's end starts a recovery; then every task is stopped, and the instances \
are freed when their tasks are STOPPED, and the operators' topic is told once. PERSON_STOP has no say: it is about the other \
ranks when one is stopped, and this stops all. It is refused while an execution holds the job. To repeat it is safe: it goes \
on where it was.

Examples:
  gpu-recovery stop llama-7b --reason 'wrong data'

Exit codes:
  0  stopped, every task is STOPPED and the instances are free
  1  AWS failed, the job is not recorded, a task did not stop within 15 minutes, or the operators could not be told
  2  bad arguments; standard error says which
  3  refused; the reason is given";

/// Stops every rank of a job, for good.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The job's id.
    job: JobId,

    /// Why; it is kept.
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,

    /// Who; the user's name when left out.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,

    #[command(flatten)]
    topic: OperatorsTopic,

    #[command(flatten)]
    account: Account,
}

/// Stops.
///
/// # Errors
/// When AWS fails, or it is refused.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let job = &arguments.job;
    let who = arguments.by.clone().unwrap_or_else(account::whoami);
    output.progress("stopping every task");
    let stopped = stop::stop(&desk.context, job, &who, &arguments.reason).await;
    output.still();
    let stopped = stopped.map_err(|error| worded(error, job))?;
    let told = tell(arguments, desk, &stopped, &who).await;
    if stopped.left.is_empty() {
        let ranks = counted(u64::from(stopped.ranks), "rank");
        let freed = counted(stopped.freed.len() as u64, "instance");
        let text = format!("job {job} is USER_STOPPED: {ranks} stopped, {freed} freed");
        output.text("", &paint(output::GOOD, text));
        return told.map(|()| 0);
    }
    for (rank, instance) in &stopped.left {
        let place = instance
            .as_ref()
            .map_or("an unknown instance", |id| id.as_str());
        output.text(
            "",
            &paint(output::BAD, format!("rank {rank} on {place} does not stop")),
        );
    }
    Err(Failure::Broken(format!(
        "job {job} is USER_STOPPED, but not every task has stopped; repeat it, or take the instance out of service: \
         gpu-recovery quarantine INSTANCE --reason TEXT"
    )))
}

async fn tell(
    arguments: &Arguments,
    desk: &Desk,
    stopped: &Stopped,
    who: &str,
) -> Result<(), Failure> {
    let topic = desk.topic(&arguments.topic).await?;
    let (job, why) = (&arguments.job, &arguments.reason);
    stop_message::tell(&desk.context, &topic, job, stopped, who, why)
        .await
        .map_err(account::not_told)
}

fn worded(error: StopError, job: &JobId) -> Failure {
    match error {
        StopError::Unknown(job) => account::unknown_job(&job),
        StopError::Held { .. } => Failure::Refused(format!(
            "{error}; follow it: gpu-recovery watch {job}, or, if it has ended badly: gpu-recovery replay {job} --dry-run"
        )),
        StopError::Over { .. } => Failure::Refused(error.to_string()),
        StopError::Aws(error) => error.into(),
    }
}
