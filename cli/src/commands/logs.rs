//! `logs`: where the log of a rank, or of an instance's health checks, stands.

mod checks;
mod streams;

use crate::{
    Failure,
    account::{self, Account, Desk, Named, Needs},
    files,
    output::{self, Output, paint},
};
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;
use streams::{Stream, streams};
use workers::{
    ids::{InstanceId, JobId, TaskArn},
    records::RankRecord,
};

const AFTER_HELP: &str = "\
It does not read the log itself: it prints the log group and stream, the command of the AWS CLI that reads them, and the \
link into the console. Where they are follows from the task definition's awslogs options; a container that logs \
elsewhere is named with its log driver.

Examples:
  gpu-recovery logs llama-7b 3                     rank 3 of the current attempt
  gpu-recovery logs llama-7b 3 --attempt 1         as it ran before the recovery
  gpu-recovery logs i-0f3a9c5d7e0000003            the health checks of the last recovery that checked the instance
  eval \"$(gpu-recovery logs llama-7b 3 --json | jq -r '.logs[0].streams[0].command')\"

Exit codes:
  0  told
  1  AWS failed, or the rank or a check of the instance is not known
  2  bad arguments; standard error says which";

/// Shows where the log of a rank, or the report of an instance's health check, stands.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The id of a job, or of an instance.
    #[arg(value_name = "JOB|INSTANCE", value_parser = account::recorded)]
    name: Named,

    /// The rank, of a job.
    #[arg(value_name = "RANK")]
    rank: Option<u32>,

    /// An earlier attempt of the job; the current one when left out.
    #[arg(long, value_name = "N", requires = "rank")]
    attempt: Option<u32>,

    /// Only this container.
    #[arg(long, value_name = "NAME")]
    container: Option<String>,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// What `logs --json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// Of a rank one, of an instance one for each check, oldest first.
    logs: Vec<Log>,
}

/// The log of one task.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// Whose it is, in words.
    about: String,
    task: TaskArn,
    instance_id: Option<InstanceId>,
    /// One for each container that logs to CloudWatch.
    streams: Vec<Stream>,
    /// Containers that log elsewhere, and where.
    elsewhere: Vec<String>,
}

/// Tells.
///
/// # Errors
/// When AWS fails, or nothing is known of it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("asking AWS");
    let logs = match (&arguments.name, arguments.rank) {
        (Named::Job(job), Some(rank)) => vec![of_rank(arguments, desk, job, rank).await?],
        (Named::Instance(instance), None) => {
            checks::of(desk, instance, arguments.container.as_deref()).await?
        }
        (Named::Instance(_), Some(_)) => {
            return Err(Failure::BadInput(
                "an instance has no ranks; give its job and the rank".to_owned(),
            ));
        }
        _ => {
            return Err(Failure::BadInput(
                "which rank? give it after the job, as in `gpu-recovery logs llama-7b 3`"
                    .to_owned(),
            ));
        }
    };
    output.still();
    let logs = Logs { logs };
    if arguments.json {
        output.raw(&files::pretty(&logs)?);
    } else {
        show(output, &logs);
    }
    Ok(0)
}

async fn of_rank(
    arguments: &Arguments,
    desk: &Desk,
    job: &JobId,
    rank: u32,
) -> Result<Log, Failure> {
    let jobs = &desk.context.jobs;
    let Some(record) = jobs.get(job).await? else {
        return Err(account::unknown_job(job));
    };
    let attempt = arguments.attempt.unwrap_or(record.attempt);
    let key = workers::aws::jobs::RankKey {
        job_id: job.clone(),
        attempt,
        rank,
    };
    let Some(found) = jobs.rank(&key).await? else {
        return Err(Failure::Broken(format!(
            "rank {rank} of job {job} is not recorded for attempt {attempt}; it has {} ranks and is in attempt {}",
            record.nodes, record.attempt
        )));
    };
    let RankRecord {
        task_arn,
        instance_id,
        launch,
        ..
    } = found;
    let definition = launch.map(|launch| launch.task_definition);
    let only = arguments.container.as_deref();
    let (streams, elsewhere) = streams(desk, &task_arn, definition.as_deref(), only).await?;
    Ok(Log {
        about: format!("rank {rank} of job {job}, attempt {attempt}"),
        task: task_arn,
        instance_id,
        streams,
        elsewhere,
    })
}

fn show(output: &Output, logs: &Logs) {
    for (place, log) in logs.logs.iter().enumerate() {
        if place > 0 {
            output.line("");
        }
        let on = log.instance_id.as_ref();
        let on = on.map_or(String::new(), |id| format!(", on {id}"));
        output.text("", &paint(output::HEADING, format!("{}{on}", log.about)));
        output.line(&format!("  task     {}", log.task));
        for stream in &log.streams {
            output.line(&format!("  group    {}", stream.group));
            output.line(&format!("  stream   {}", stream.stream));
            output.line(&format!("  console  {}", stream.console));
            output.line(&format!("  {}", stream.command));
            output.line(&format!("  {}    # AWS CLI 2", stream.follow));
        }
        for elsewhere in &log.elsewhere {
            output.text("  ", elsewhere);
        }
    }
}
