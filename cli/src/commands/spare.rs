//! `spare`: the nodes that stand by for jobs, by their marks.

mod warm;

use super::submit::pick;
use crate::{
    Failure,
    account::{self, Account, Desk, Needs},
    files,
    output::{self, GOOD, Output, paint, table::table},
};
use aws_sdk_ecs::types::ContainerInstance;
use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;
use workers::{
    aws::marks::pool_of,
    ids::{InstanceId, JobId, Pool},
    records::{InstanceRecord, InstanceStatus},
};

const AFTER_HELP: &str = "\
A spare is a node with the ECS attribute gpu-recovery.spare; its value is the pool. A job's recovery takes spares of the job's \
pool (submit --pool) and of no other; submit takes none.

Examples:
  gpu-recovery spare add i-0f3a9c5d7e0000008 --task-definition train:7
  gpu-recovery spare list
  gpu-recovery spare remove i-0f3a9c5d7e0000008

Exit codes:
  0  done, or it was so already
  1  AWS failed, or the image could not be pulled
  2  bad arguments; standard error says which
  3  refused; the reason is given";

/// Marks nodes as spares, which recoveries take in place of bad ones.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Marks a free node whose last health check passed.
    Add(Add),
    /// Takes the mark from a node; a job that runs on it goes on.
    Remove(Remove),
    /// Lists the spares, with what stands against each.
    List(List),
}

#[derive(Args)]
struct Add {
    /// The instance's id.
    instance: InstanceId,

    /// Pool; a spare is of one pool at a time.
    #[arg(long, value_name = "NAME", default_value_t)]
    pool: Pool,

    /// Pulls the images of this task definition first, by running it once with the command `true`: family, family:revision or ARN.
    #[arg(long, value_name = "NAME")]
    task_definition: Option<String>,

    /// Subnets, where that is awsvpc.
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        requires = "security_groups"
    )]
    subnets: Vec<String>,

    /// Security groups, where that is awsvpc.
    #[arg(long, value_name = "ID", value_delimiter = ',', requires = "subnets")]
    security_groups: Vec<String>,

    #[command(flatten)]
    account: Account,
}

#[derive(Args)]
struct Remove {
    /// The instance's id.
    instance: InstanceId,

    #[command(flatten)]
    account: Account,
}

#[derive(Args)]
struct List {
    /// Those of one pool.
    #[arg(long, value_name = "NAME")]
    pool: Option<Pool>,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    account: Account,
}

/// What `spare list --json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spares {
    spares: Vec<Spare>,
}

/// One spare.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Spare {
    instance_id: InstanceId,
    pool: Pool,
    /// What keeps a recovery from taking it now; none where nothing does.
    not_ready: Option<String>,
    /// The job that it works for.
    job_id: Option<JobId>,
    /// When its last health check ended, RFC 3339.
    last_check_at: Option<String>,
}

/// Runs a subcommand.
///
/// # Errors
/// When AWS fails, or it is refused.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let account = match &arguments.what {
        What::Add(add) => &add.account,
        What::Remove(remove) => &remove.account,
        What::List(list) => &list.account,
    };
    account::at_desk(account, Needs::Cluster, async |desk, output| {
        at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    match &arguments.what {
        What::Add(arguments) => add(arguments, desk, output).await,
        What::Remove(arguments) => remove(arguments, desk, output).await,
        What::List(arguments) => list(arguments, desk, output).await,
    }
}

async fn add(arguments: &Add, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let (id, pool) = (&arguments.instance, &arguments.pool);
    let (arn, instance) = desk.place(id).await?;
    let record = desk.context.instances.get(id).await?;
    if let Some(why) = not_ready(&instance, record.as_ref()) {
        return Err(Failure::Refused(format!("{id} was not marked: {why}")));
    }
    match &arguments.task_definition {
        Some(name) => warm::pull(arguments, desk, output, name).await?,
        None => output::warning(
            "without --task-definition no image was pulled: the first job that moves here waits for that",
        ),
    }
    let marked = desk.context.fleet.mark(&arn, pool).await?;
    output.still();
    if !marked {
        return Err(Failure::Broken(format!(
            "{id} has left the cluster, so it was not marked"
        )));
    }
    let text = format!("{id} is a spare of pool {pool}");
    output.text("", &paint(GOOD, text));
    Ok(0)
}

async fn remove(arguments: &Remove, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    let id = &arguments.instance;
    let (arn, instance) = desk.place(id).await?;
    let Some(pool) = pool_of(&instance) else {
        output.line(&format!("{id} is no spare"));
        return Ok(0);
    };
    desk.context.fleet.unmark(&arn).await?;
    output.line(&format!("{id} is no spare of pool {pool} any more"));
    Ok(0)
}

async fn list(arguments: &List, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("asking AWS");
    let marked = desk.context.fleet.marked(arguments.pool.as_ref()).await?;
    let mut spares = Vec::with_capacity(marked.len());
    for instance in marked.values() {
        let Some((id, pool)) = instance.ec2_instance_id().zip(pool_of(instance)) else {
            continue;
        };
        let instance_id = InstanceId::new(id);
        let record = desk.context.instances.get(&instance_id).await?;
        spares.push(Spare {
            pool,
            not_ready: not_ready(instance, record.as_ref()),
            job_id: record.as_ref().and_then(|record| record.job_id.clone()),
            last_check_at: record.and_then(|record| record.last_check_at),
            instance_id,
        });
    }
    spares.sort_by(|a, b| (&a.pool, &a.instance_id).cmp(&(&b.pool, &b.instance_id)));
    output.still();
    let spares = Spares { spares };
    if arguments.json {
        output.raw(&files::pretty(&spares)?);
        return Ok(0);
    }
    if spares.spares.is_empty() {
        output.line("no node is marked as a spare");
        return Ok(0);
    }
    let rows = spares.spares.into_iter().map(|spare| {
        vec![
            spare.instance_id.to_string(),
            spare.pool.to_string(),
            spare.not_ready.unwrap_or_else(|| "ready".to_owned()),
            spare.last_check_at.unwrap_or_default(),
        ]
    });
    let head = ["instance", "pool", "state", "last check"];
    table(output, head, &[2], rows.collect());
    Ok(0)
}

/// Why no recovery would take the instance in place of another now.
fn not_ready(instance: &ContainerInstance, record: Option<&InstanceRecord>) -> Option<String> {
    let id = instance.ec2_instance_id().unwrap_or_default();
    let status = instance.status().unwrap_or("of unknown status");
    let job = |record: &InstanceRecord| {
        let job = record.job_id.as_ref();
        job.map_or(String::new(), |job| format!(" for job {job}"))
    };
    let all = pick::gpus(instance.registered_resources());
    match record {
        Some(record) if record.status != InstanceStatus::Available => {
            Some(format!("it is {}{}", record.status, job(record)))
        }
        Some(record) if !pick::is_free(record) => Some("a recovery holds it".to_owned()),
        _ if status != "ACTIVE" => Some(format!("it is {status} in ECS")),
        _ if !instance.agent_connected() => Some("its ECS agent is not connected".to_owned()),
        _ if all == 0 => Some("ECS knows no GPU of it".to_owned()),
        _ if pick::gpus(instance.remaining_resources()) < all => {
            Some("a task holds a GPU of it".to_owned())
        }
        Some(record) if record.last_check_passed() => None,
        _ => Some(format!(
            "no health check has passed on it since it was in use; run gpu-recovery check {id}"
        )),
    }
}
