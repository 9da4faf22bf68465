//! `submit` and `adopt`: jobs that can be recovered.

mod again;
pub mod pick;
mod told;

use crate::{
    Failure,
    account::{self, Account, Desk, Needs},
    files,
    output::{self, Output, counted, paint},
};
use clap::{ArgGroup, Args};
use std::collections::BTreeMap;
pub use told::{Planned, Submitted};
use workers::{
    aws::address::ADDRESS,
    decisions::relaunchable,
    desk::submit::{self, Adoption, Submission, SubmitError},
    ids::{InstanceId, JobId, Pool, TaskArn},
    records::{
        JobRecord,
        launch::{ContainerOverrides, LaunchSpec, Network, Overrides},
        master::MASTER,
    },
    settings::{HealthyPolicy, JobPolicies, PersonStop, SpareUse},
};

const SUBMIT_HELP: &str = "\
One task a rank, one rank an instance: all of them, or none. In --env and in the command {rank}, {world_size}, \
{master_addr} and {job} stand for the rank's own; RANK, WORLD_SIZE and GPU_RECOVERY_ATTEMPT are always set. A job id is used \
once.

MASTER_ADDR and {master_addr} are rank 0's address: of its task with awsvpc, else the ECS attribute gpu-recovery.address of its \
instance, looked up at every launch, so that rank 0 may move to a spare. --master-addr gives one that stays, and keeps rank 0 where it is.

--again JOB starts a job that has ended once more, under a new id: its task definition, command, environment, network, tags and policies, as its last attempt was started, on the same instances unless --instances or --nodes says others.

Examples:
  gpu-recovery submit llama-7b --task-definition train:7 --nodes 8
  gpu-recovery submit llama-7b --task-definition train:7 --instances i-0f3a9c5d7e0000000,i-0f3a9c5d7e0000001 --dry-run
  gpu-recovery submit --again llama-7b llama-7b-2 --nodes 8
  gpu-recovery submit eval-3 --task-definition eval --nodes 1 --env SHARD={rank} --tag team=vision -- python eval.py

Exit codes:
  0  the job runs and is recorded; its id is on standard output
  1  it was not started, and no task is left running
  2  bad arguments; standard error says which
  3  refused: an instance that was given is not free or a spare, or the job of --again has not ended";

const ADOPT_HELP: &str = "\
The tasks run on untouched. Tasks that were started with RANK in their environment overrides have that rank, in whatever \
order they are given (--rank-variable names another variable); without it, give them in the order of their ranks.

Examples:
  gpu-recovery adopt llama-7b --tasks ARN0,ARN1
  gpu-recovery adopt llama-7b --tasks \"$(aws ecs list-tasks --cluster training --family train --query 'taskArns' --output text | tr '\\t' ',')\"

Exit codes:
  0  the job is recorded; its id is on standard output
  1  it was not, and nothing was written
  2  bad arguments; standard error says which";

/// What both have.
#[derive(Args)]
struct Common {
    /// Id of the job: letters, digits, dots, underscores, hyphens.
    #[arg(value_name = "JOB")]
    job: JobId,

    /// Subnets of awsvpc tasks.
    #[arg(
        long,
        value_name = "ID",
        value_delimiter = ',',
        requires = "security_groups"
    )]
    subnets: Vec<String>,

    /// Security groups of awsvpc tasks.
    #[arg(long, value_name = "ID", value_delimiter = ',', requires = "subnets")]
    security_groups: Vec<String>,

    /// Gives awsvpc tasks a public address.
    #[arg(long, requires = "subnets")]
    assign_public_ip: bool,

    /// How often the job may be relaunched; the functions' setting when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100))]
    recovery_attempts: Option<u32>,

    /// What an exit code of this job leads to: recover, fail (no recovery), tell or ignore; `other` is every other end.
    #[arg(long, value_name = "CODE=POLICY")]
    on_exit: Vec<String>,

    /// What follows when a rank failed and no GPU fault is found: fail or relaunch; HEALTHY_POLICY when left out.
    #[arg(long, value_name = "POLICY")]
    healthy_policy: Option<HealthyPolicy>,

    /// What becomes of the other ranks when an operator stops one: gang (they are stopped too) or leave; PERSON_STOP when left out.
    #[arg(long, value_name = "POLICY")]
    person_stop: Option<PersonStop>,

    /// Whose spares the job may have; the pool default when left out (see `gpu-recovery spare`).
    #[arg(long, value_name = "NAME")]
    pool: Option<Pool>,

    /// Whether bad nodes are replaced by spares before they are repaired: first or off; SPARES when left out.
    #[arg(long, value_name = "WHEN")]
    spares: Option<SpareUse>,

    /// Writes JSON, and nothing else.
    #[arg(long)]
    json: bool,
}

impl Common {
    fn policies(&self) -> Result<JobPolicies, Failure> {
        let mut policies = JobPolicies {
            healthy: self.healthy_policy,
            person_stop: self.person_stop,
            pool: self.pool.clone(),
            spares: self.spares,
            ..JobPolicies::default()
        };
        for text in &self.on_exit {
            policies
                .add_on_exit(text)
                .map_err(|why| Failure::BadInput(format!("--on-exit: {why}")))?;
        }
        Ok(policies)
    }

    fn network(&self) -> Option<Network> {
        (!self.subnets.is_empty()).then(|| Network {
            subnets: self.subnets.clone(),
            security_groups: self.security_groups.clone(),
            assign_public_ip: self.assign_public_ip,
        })
    }
}

/// Starts a job so that it can be recovered: every rank or none, and its records.
#[derive(Args)]
#[command(after_help = SUBMIT_HELP, group = ArgGroup::new("where").args(["nodes", "instances"]))]
pub struct Submit {
    #[command(flatten)]
    common: Common,

    /// Task definition: family, family:revision or ARN.
    #[arg(long, value_name = "NAME", required_unless_present = "again")]
    task_definition: Option<String>,

    /// Starts once more what this job was, which has ended.
    #[arg(long, value_name = "JOB", conflicts_with_all = ["task_definition", "container", "env", "master_addr", "tag",
        "group", "enable_execute_command", "command", "subnets", "security_groups"])]
    again: Option<JobId>,

    /// The instances, rank 0's first.
    #[arg(long, value_name = "ID", value_delimiter = ',', required_unless_present_any = ["nodes", "again"])]
    instances: Vec<InstanceId>,

    /// Chooses so many instances that are ACTIVE, connected, no spares, free in their record, and have the GPUs free.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    nodes: Option<u32>,

    /// The container that trains; of a task definition with one container, that one.
    #[arg(long, value_name = "NAME")]
    container: Option<String>,

    /// Sets a variable of the container.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,

    /// Address of rank 0, where nothing else says it.
    #[arg(long, value_name = "ADDRESS")]
    master_addr: Option<String>,

    /// Tags of the tasks.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    tag: Vec<(String, String)>,

    /// Task group.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Allows `aws ecs execute-command` in the tasks.
    #[arg(long)]
    enable_execute_command: bool,

    /// Shows what would be started, and starts nothing.
    #[arg(long)]
    dry_run: bool,

    /// The container's command, instead of the task definition's.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    account: Account,
}

/// Records tasks that run already as a job, so that it can be recovered.
#[derive(Args)]
#[command(after_help = ADOPT_HELP)]
pub struct Adopt {
    #[command(flatten)]
    common: Common,

    /// ARNs of the tasks; rank 0's first where they do not say their ranks themselves.
    #[arg(long, value_name = "ARN", value_delimiter = ',', required = true)]
    tasks: Vec<TaskArn>,

    /// The variable of a task's overrides that says its rank.
    #[arg(long, value_name = "NAME", default_value = "RANK")]
    rank_variable: String,

    #[command(flatten)]
    account: Account,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is no NAME=VALUE")),
    }
}

/// Submits.
///
/// # Errors
/// When the job could not be started whole.
pub fn submit(arguments: &Submit) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        submit_at(arguments, desk, output).await
    })
}

/// Adopts.
///
/// # Errors
/// When the tasks cannot be adopted.
pub fn adopt(arguments: &Adopt) -> Result<u8, Failure> {
    account::at_desk(&arguments.account, Needs::Cluster, async |desk, output| {
        adopt_at(arguments, desk, output).await
    })
}

/// The same with what it works with.
pub async fn submit_at(arguments: &Submit, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("looking at the task definition and the instances");
    let submission = match &arguments.again {
        Some(again) => again::submission(arguments, desk, again).await?,
        None => as_given(arguments, desk).await?,
    };
    if arguments.dry_run {
        let planned = submit::planned(&desk.context, &submission).await;
        output.still();
        let ranks = planned.map_err(worded)?;
        show(
            output,
            arguments,
            &Submission {
                ranks,
                ..submission
            },
        )?;
        return Ok(0);
    }
    let ranks = counted(submission.ranks.len() as u64, "task");
    output.progress(&format!("starting {ranks}"));
    let job = submit::submit(&desk.context, &submission)
        .await
        .map_err(worded)?;
    recorded(&job, arguments.common.json, desk, output).await
}

/// A submission by the flags.
async fn as_given(arguments: &Submit, desk: &Desk) -> Result<Submission, Failure> {
    // Without --again the command line must have it.
    let name = arguments.task_definition.as_deref().unwrap_or_default();
    let definition = pick::definition(desk, name).await?;
    let network = arguments.common.network();
    if definition.awsvpc && network.is_none() {
        return Err(Failure::BadInput(format!(
            "{name} uses awsvpc; give --subnets and --security-groups: a relaunch needs them, too, and ECS does not tell them"
        )));
    }
    if let Some(volume) = &definition.volume_at_launch {
        let why = relaunchable::volume_at_launch(volume);
        return Err(Failure::BadInput(format!("{name}: {why}")));
    }
    let container = definition.container(arguments.container.as_deref())?;
    let instances = match arguments.nodes {
        Some(nodes) => pick::instances(desk, nodes as usize, definition.gpus).await?,
        None => arguments.instances.clone(),
    };
    let world = instances.len();
    let master = master(arguments, desk, definition.awsvpc, &instances).await?;
    let mut ranks = Vec::with_capacity(world);
    for (rank, instance) in instances.into_iter().enumerate() {
        let mut launch = launch(arguments, &container, master.as_deref(), rank, world)?;
        launch.network = network.clone();
        ranks.push((instance, launch));
    }
    pick::refuse_taken(desk, &arguments.instances).await?;
    Ok(Submission {
        job_id: arguments.common.job.clone(),
        ranks,
        recovery_attempts: arguments.common.recovery_attempts,
        policies: arguments.common.policies()?,
    })
}

/// The same with what it works with.
pub async fn adopt_at(arguments: &Adopt, desk: &Desk, output: &Output) -> Result<u8, Failure> {
    output.progress("looking at the tasks");
    let adoption = Adoption {
        job_id: arguments.common.job.clone(),
        tasks: arguments.tasks.clone(),
        rank_variable: arguments.rank_variable.clone(),
        network: arguments.common.network(),
        recovery_attempts: arguments.common.recovery_attempts,
        policies: arguments.common.policies()?,
    };
    let adopted = submit::adopt(&desk.context, &adoption).await;
    output.still();
    recorded(
        &adopted.map_err(worded)?,
        arguments.common.json,
        desk,
        output,
    )
    .await
}

/// Says which job is recorded, and which of its ranks did not live to see it.
async fn recorded(
    job: &JobRecord,
    as_json: bool,
    desk: &Desk,
    output: &Output,
) -> Result<u8, Failure> {
    let look = submit::look_again(&desk.context, job).await;
    output.still();
    match look {
        Ok(look) => {
            if !look.stopped.is_empty() {
                let ranks: Vec<String> = look.stopped.iter().map(u32::to_string).collect();
                output::warning(&format!(
                    "stopped already: rank {}. What follows begins within ten minutes by itself, also where the event \
                     came before the record; see gpu-recovery watch {}",
                    ranks.join(", "),
                    job.job_id
                ));
            }
            for difference in &look.differences {
                output::warning(difference);
            }
        }
        Err(error) => output::warning(&format!(
            "the job is recorded, but its tasks could not be looked at once more: {error}"
        )),
    }
    if as_json {
        output.raw(&files::pretty(&Submitted::from(job))?);
    } else {
        output.raw(job.job_id.as_str());
    }
    Ok(0)
}

fn worded(error: SubmitError) -> Failure {
    match error {
        SubmitError::Aws(error) => error.into(),
        SubmitError::NoRanks | SubmitError::InstanceTwice(_) | SubmitError::NoAddress(_) => {
            Failure::BadInput(error.to_string())
        }
        other => Failure::Broken(other.to_string()),
    }
}

/// What stands for rank 0's address: the one that was given; else what each launch fills in, where something says the address.
async fn master(
    arguments: &Submit,
    desk: &Desk,
    awsvpc: bool,
    instances: &[InstanceId],
) -> Result<Option<String>, Failure> {
    if arguments.master_addr.is_some() {
        return Ok(arguments.master_addr.clone());
    }
    let Some(first) = instances.first() else {
        return Ok(None);
    };
    let known = awsvpc || desk.context.fleet.address_of(first).await?.is_some();
    Ok(known.then(|| MASTER.to_owned()))
}

/// How a rank is started.
fn launch(
    arguments: &Submit,
    container: &str,
    master: Option<&str>,
    rank: usize,
    world: usize,
) -> Result<LaunchSpec, Failure> {
    let fill = |text: &str| -> Result<String, Failure> {
        let mut text = text
            .replace("{rank}", &rank.to_string())
            .replace("{world_size}", &world.to_string())
            .replace("{job}", arguments.common.job.as_str());
        if text.contains(MASTER) {
            let Some(address) = master else {
                return Err(Failure::BadInput(format!(
                    "'{text}' needs the address of rank 0; give --master-addr ADDRESS, or set the attribute {ADDRESS} of the \
                     instances (docs/launcher.md)"
                )));
            };
            text = text.replace(MASTER, address);
        }
        Ok(text)
    };
    let mut environment: BTreeMap<String, String> = BTreeMap::from([
        ("RANK".to_owned(), rank.to_string()),
        ("WORLD_SIZE".to_owned(), world.to_string()),
    ]);
    if let Some(address) = master {
        environment.insert("MASTER_ADDR".to_owned(), address.to_owned());
    }
    for (name, value) in &arguments.env {
        environment.insert(name.clone(), fill(value)?);
    }
    let command: Result<Vec<String>, Failure> = arguments.command.iter().map(|w| fill(w)).collect();
    Ok(LaunchSpec {
        task_definition: arguments.task_definition.clone().unwrap_or_default(),
        overrides: Some(Overrides {
            container_overrides: vec![ContainerOverrides {
                name: container.to_owned(),
                command: command?,
                environment: environment.into_iter().collect(),
                ..ContainerOverrides::default()
            }],
            ..Overrides::default()
        }),
        tags: arguments.tag.iter().cloned().collect(),
        group: arguments.group.clone(),
        network: None,
        enable_execute_command: arguments.enable_execute_command,
        managed_tags: false,
    })
}

fn show(output: &Output, arguments: &Submit, submission: &Submission) -> Result<(), Failure> {
    if arguments.common.json {
        output.raw(&files::pretty(&Planned::from(submission))?);
        return Ok(());
    }
    let ranks = counted(submission.ranks.len() as u64, "rank");
    output.line(&format!(
        "job {} of {ranks} would be started:",
        submission.job_id
    ));
    for (rank, (instance, launch)) in submission.ranks.iter().enumerate() {
        let container = launch
            .overrides
            .iter()
            .flat_map(|o| &o.container_overrides)
            .next();
        let variables: Vec<String> = container
            .iter()
            .flat_map(|container| &container.environment)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let place = paint(output::NAME, instance);
        output.text(&format!("  rank {rank}  {place}  "), &variables.join(" "));
    }
    Ok(())
}
