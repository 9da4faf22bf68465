//! Starting a job so that it can be recovered: every rank or none, and the items that a recovery reads.

use crate::{
    Context, WorkerError,
    aws::{
        address::{ADDRESS, ITSELF, Master},
        fleet::{Run, SHOWN_WITHIN_SECONDS},
        jobs::Write,
        launch_names::{client_token, started_by},
        pace,
    },
    decisions::relaunchable,
    ids::{ContainerInstanceArn, InstanceId, JobId, TaskArn},
    records::{
        InstanceStatus, JobRecord, RankRecord, RankStatus,
        launch::{LaunchSpec, Network},
        rank_key,
    },
    settings::JobPolicies,
};
use aws_sdk_ecs::types::Task;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a launch, or its undoing, may wait for an account whose calls are throttled.
const PATIENCE: Duration = Duration::from_secs(1800);
const POLL: Duration = Duration::from_secs(15);

/// A job to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub job_id: JobId,
    /// Where each rank runs, and how; rank 0 first.
    pub ranks: Vec<(InstanceId, LaunchSpec)>,
    /// Overrides RECOVERY_ATTEMPTS for this job.
    pub recovery_attempts: Option<u32>,
    /// Over the stack's.
    pub policies: JobPolicies,
}

/// Why a job was not started.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("job id {0} is in the table already; choose another, a job id is never used twice")]
    JobIdTaken(JobId),
    #[error("the job has no ranks; give at least one instance")]
    NoRanks,
    #[error("instance {0} is given twice; a rank needs an instance of its own")]
    InstanceTwice(InstanceId),
    #[error(
        "the ranks are to be told the address of rank 0 on {0}, which has no attribute {ADDRESS}; set it (docs/launcher.md), or give --master-addr"
    )]
    NoAddress(InstanceId),
    #[error("ECS did not place every rank, so none was left running: {0}")]
    NotPlaced(String),
    #[error("the tasks cannot be adopted, and nothing was written: {0}")]
    NotAdoptable(String),
    #[error(transparent)]
    Aws(#[from] WorkerError),
}

/// Tasks that run already, to be recorded as a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    pub job_id: JobId,
    /// Rank 0 first, unless they say their ranks themselves.
    pub tasks: Vec<TaskArn>,
    /// The variable of a task's overrides that says its rank.
    pub rank_variable: String,
    /// Of awsvpc tasks: ECS does not tell their security groups.
    pub network: Option<Network>,
    /// Overrides RECOVERY_ATTEMPTS for this job.
    pub recovery_attempts: Option<u32>,
    /// Over the stack's.
    pub policies: JobPolicies,
}

/// Starts every rank, or none, and records the job. The job's item comes first: it is what makes the id ours.
///
/// # Errors
/// [`SubmitError`]; no task is left running then, and the item says why the job is FAILED.
pub async fn submit(ctx: &Context, submission: &Submission) -> Result<JobRecord, SubmitError> {
    let mut seen = BTreeSet::new();
    for (instance, _) in &submission.ranks {
        if !seen.insert(instance) {
            return Err(SubmitError::InstanceTwice(instance.clone()));
        }
    }
    let master = master(ctx, submission).await?;
    let job = new_job(
        ctx,
        &submission.job_id,
        submission.ranks.len(),
        submission.recovery_attempts,
        &submission.policies,
        "submitted",
    );
    if let Write::Refused(_) = ctx.jobs.create(&job).await? {
        return Err(SubmitError::JobIdTaken(job.job_id));
    }
    let mut launched = Launched::default();
    match start(ctx, submission, master, &mut launched).await {
        Ok(()) => Ok(job),
        Err(error) => {
            undo(ctx, &job, &launched).await?;
            ctx.jobs
                .not_started(&job.job_id, &error.to_string())
                .await?;
            Err(error)
        }
    }
}

fn new_job(
    ctx: &Context,
    job_id: &JobId,
    ranks: usize,
    recovery_attempts: Option<u32>,
    policies: &JobPolicies,
    reason: &str,
) -> JobRecord {
    let nodes = u32::try_from(ranks).unwrap_or(u32::MAX);
    JobRecord {
        reason: Some(reason.to_owned()),
        recovery_attempts,
        policies: policies.clone(),
        ..JobRecord::new(job_id.clone(), nodes, &ctx.clock.rfc3339())
    }
}

/// Records tasks that run already as a job, so that it can be recovered.
///
/// # Errors
/// [`SubmitError`]; the tasks run on, whatever comes of it.
pub async fn adopt(ctx: &Context, adoption: &Adoption) -> Result<JobRecord, SubmitError> {
    let ranks = adoptable(ctx, adoption).await?;
    let job = new_job(
        ctx,
        &adoption.job_id,
        ranks.len(),
        adoption.recovery_attempts,
        &adoption.policies,
        "adopted",
    );
    if let Write::Refused(_) = ctx.jobs.create(&job).await? {
        return Err(SubmitError::JobIdTaken(job.job_id));
    }
    if let Err(error) = write_ranks(ctx, &ranks).await {
        ctx.jobs
            .not_started(&job.job_id, &error.to_string())
            .await?;
        return Err(error.into());
    }
    Ok(job)
}

/// What a look at a job tells that was recorded just now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecondLook {
    /// Ranks whose tasks have stopped already: their events may have come before the record. A task that ECS does not
    /// show yet has not.
    pub stopped: Vec<u32>,
    /// What a relaunch will do in another way.
    pub differences: BTreeSet<String>,
}

/// Looks once more at a job that was recorded just now.
///
/// # Errors
/// When a call fails.
pub async fn look_again(ctx: &Context, job: &JobRecord) -> Result<SecondLook, WorkerError> {
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    let arns: Vec<TaskArn> = ranks.iter().map(|rank| rank.task_arn.clone()).collect();
    let tasks = ctx.fleet.tasks(&arns).await?;
    let mut look = SecondLook::default();
    for rank in ranks {
        let Some(task) = tasks.get(&rank.task_arn) else {
            continue;
        };
        if task.last_status() == Some("STOPPED") {
            look.stopped.push(rank.rank);
        }
        look.differences.extend(relaunchable::difference(task));
    }
    Ok(look)
}

/// The ranks as they run, or everything that speaks against it.
async fn adoptable(ctx: &Context, adoption: &Adoption) -> Result<Vec<RankRecord>, SubmitError> {
    if adoption.tasks.is_empty() {
        return Err(SubmitError::NoRanks);
    }
    let described = ctx.fleet.tasks(&adoption.tasks).await?;
    let arns: Vec<ContainerInstanceArn> = described
        .values()
        .filter_map(|task| task.container_instance_arn())
        .map(ContainerInstanceArn::new)
        .collect();
    let instances = ctx.fleet.container_instances(&arns).await?;
    let mut against = Vec::new();
    let mut seen = BTreeSet::new();
    let mut ranks = Vec::with_capacity(adoption.tasks.len());
    let tasks = in_order(&adoption.tasks, &described, &adoption.rank_variable)?;
    for (rank, arn) in tasks.iter().enumerate() {
        let Some(task) = described.get(arn) else {
            against.push(format!("the cluster does not know task {arn}"));
            continue;
        };
        let status = task.last_status().unwrap_or("unknown");
        if status != "RUNNING" {
            against.push(format!("task {arn} is {status}, not RUNNING"));
        }
        if let Some(key) = ctx.jobs.find_task(arn).await? {
            against.push(format!(
                "task {arn} is rank {} of job {}",
                key.rank, key.job_id
            ));
        }
        let awsvpc = relaunchable::is_awsvpc(task);
        if awsvpc && adoption.network.is_none() {
            against.push(format!(
                "task {arn} uses awsvpc: its subnets and security groups must be given, ECS does not tell them"
            ));
        }
        if let Some(why) = relaunchable::hindrance(task) {
            against.push(format!("task {arn}: {why}"));
        }
        let place = task.container_instance_arn().map(ContainerInstanceArn::new);
        let instance = place
            .as_ref()
            .and_then(|arn| instances.get(arn))
            .and_then(|instance| instance.ec2_instance_id())
            .map(InstanceId::new);
        let Some(instance) = instance else {
            against.push(format!(
                "task {arn} runs on no container instance of the cluster"
            ));
            continue;
        };
        if !seen.insert(instance.clone()) {
            against.push(format!(
                "two tasks run on {instance}; a rank needs an instance of its own"
            ));
        }
        let network = adoption.network.clone().filter(|_| awsvpc);
        ranks.push(RankRecord {
            job_id: adoption.job_id.clone(),
            record: rank_key(1, rank as u32),
            attempt: 1,
            rank: rank as u32,
            launch_try: 0,
            task_arn: arn.clone(),
            instance_id: Some(instance),
            container_instance_arn: place,
            status: RankStatus::Running,
            exit_code: None,
            stop_code: None,
            probe: None,
            stopped_reason: None,
            launch: Some(LaunchSpec::of(task, network)),
            expires_at: None,
        });
    }
    if against.is_empty() {
        Ok(ranks)
    } else {
        Err(SubmitError::NotAdoptable(against.join("; ")))
    }
}

/// The tasks by the ranks that their overrides say, from 0 on; as they were given where none says one.
fn in_order(
    tasks: &[TaskArn],
    described: &BTreeMap<TaskArn, Task>,
    variable: &str,
) -> Result<Vec<TaskArn>, SubmitError> {
    let said: Vec<Option<&str>> = tasks
        .iter()
        .map(|arn| {
            described
                .get(arn)
                .and_then(|task| override_of(task, variable))
        })
        .collect();
    if said.iter().all(Option::is_none) {
        return Ok(tasks.to_vec());
    }
    let mut ranks: Vec<Option<TaskArn>> = vec![None; tasks.len()];
    for (arn, said) in tasks.iter().zip(&said) {
        let rank = said.and_then(|rank| rank.parse::<usize>().ok());
        let place = rank.and_then(|rank| ranks.get_mut(rank));
        if let Some(place) = place.filter(|place| place.is_none()) {
            *place = Some(arn.clone());
        }
    }
    ranks.into_iter().collect::<Option<_>>().ok_or_else(|| {
        let said: Vec<String> = tasks
            .iter()
            .zip(&said)
            .map(|(arn, said)| format!("{arn}: {}", said.unwrap_or("none")))
            .collect();
        SubmitError::NotAdoptable(format!(
            "the tasks' {variable} must be 0 to {}, each once, but is {}",
            tasks.len() - 1,
            said.join(", ")
        ))
    })
}

fn override_of<'a>(task: &'a Task, variable: &str) -> Option<&'a str> {
    let containers = task.overrides()?.container_overrides().iter();
    containers
        .flat_map(|container| container.environment())
        .find(|pair| pair.name() == Some(variable))?
        .value()
}

/// What is known of a launch, also of one that fails.
#[derive(Default)]
struct Launched {
    tasks: Vec<(TaskArn, Option<ContainerInstanceArn>)>,
    /// A RunTask got no answer: its task may run.
    unanswered: bool,
}

/// How the ranks would be started, as far as that is known before.
///
/// # Errors
/// [`SubmitError::NoAddress`], or when ECS cannot be asked.
pub async fn planned(
    ctx: &Context,
    submission: &Submission,
) -> Result<Vec<(InstanceId, LaunchSpec)>, SubmitError> {
    let master = master(ctx, submission).await?;
    let address = master.address(&ctx.fleet, None).await?;
    let ranks = submission.ranks.iter();
    let filled = ranks.map(|(id, launch)| (id.clone(), launch.filled_in(1, address.as_deref())));
    Ok(filled.collect())
}

/// How the ranks are told where rank 0 is.
async fn master(ctx: &Context, submission: &Submission) -> Result<Master, SubmitError> {
    let Some((first, _)) = submission.ranks.first() else {
        return Err(SubmitError::NoRanks);
    };
    let launches: Vec<_> = submission.ranks.iter().map(|(_, launch)| launch).collect();
    let master = Master::find(&ctx.fleet, first, &launches).await?;
    master.ok_or_else(|| SubmitError::NoAddress(first.clone()))
}

async fn start(
    ctx: &Context,
    submission: &Submission,
    master: Master,
    launched: &mut Launched,
) -> Result<(), SubmitError> {
    let ahead = master.ahead();
    start_ranks(ctx, submission, 0..ahead, Some(ITSELF), launched).await?;
    let first = launched.tasks.first().map(|(task, _)| task);
    let address = master.address(&ctx.fleet, first).await?;
    let others = ahead..submission.ranks.len();
    start_ranks(ctx, submission, others, address.as_deref(), launched).await?;
    record(ctx, submission, &launched.tasks).await?;
    Ok(())
}

/// Starts some of the ranks, and tells them where rank 0 is.
async fn start_ranks(
    ctx: &Context,
    submission: &Submission,
    ranks: Range<usize>,
    master: Option<&str>,
    launched: &mut Launched,
) -> Result<(), SubmitError> {
    let job_id = &submission.job_id;
    let started_by = started_by(job_id, 1);
    let answers = pace::ECS_MODIFY
        .patiently(
            ranks.clone().collect(),
            Instant::now() + PATIENCE,
            |rank: usize| {
                let (instance, launch) = &submission.ranks[rank];
                let token = client_token(job_id, 1, 0, rank as u32);
                let started_by = &started_by;
                let launch = launch.filled_in(1, master);
                async move { ctx.fleet.run(&launch, instance, &token, started_by).await }
            },
        )
        .await;
    let mut not_placed = Vec::new();
    let mut troubles = Vec::new();
    for (answer, (instance, _)) in answers.into_iter().zip(&submission.ranks[ranks]) {
        match answer {
            Ok(Run::Started(task, place)) => launched.tasks.push((task, place)),
            Ok(Run::Ended(task)) => {
                not_placed.push(format!("{instance}: its task {task} has ended already"))
            }
            Ok(Run::NotPlaced(why)) => not_placed.push(format!("{instance}: {why}")),
            Err(error) => {
                launched.unanswered |= error.passes();
                troubles.push(error);
            }
        }
    }
    if let Some(trouble) = WorkerError::worst(troubles) {
        return Err(trouble.into());
    }
    match not_placed.is_empty() {
        true => Ok(()),
        false => Err(SubmitError::NotPlaced(not_placed.join("; "))),
    }
}

async fn record(
    ctx: &Context,
    submission: &Submission,
    tasks: &[(TaskArn, Option<ContainerInstanceArn>)],
) -> Result<(), WorkerError> {
    let ranks: Vec<RankRecord> = submission
        .ranks
        .iter()
        .zip(tasks)
        .enumerate()
        .map(|(rank, ((instance, launch), (task, place)))| RankRecord {
            job_id: submission.job_id.clone(),
            record: rank_key(1, rank as u32),
            attempt: 1,
            rank: rank as u32,
            launch_try: 0,
            task_arn: task.clone(),
            instance_id: Some(instance.clone()),
            container_instance_arn: place.clone(),
            status: RankStatus::Running,
            exit_code: None,
            stop_code: None,
            probe: None,
            stopped_reason: None,
            launch: Some(launch.clone()),
            expires_at: None,
        })
        .collect();
    write_ranks(ctx, &ranks).await
}

async fn write_ranks(ctx: &Context, ranks: &[RankRecord]) -> Result<(), WorkerError> {
    ctx.jobs.put_ranks(ranks).await?;
    pace::DYNAMODB
        .each(ranks, |rank| async {
            match &rank.instance_id {
                Some(instance) => {
                    let arn = rank.container_instance_arn.as_ref();
                    let status = InstanceStatus::InProgress;
                    ctx.instances
                        .assign(instance, arn, &rank.job_id, None, status)
                        .await
                }
                None => Ok(false),
            }
        })
        .await
        .into_iter()
        .collect::<Result<Vec<bool>, WorkerError>>()?;
    Ok(())
}

/// Tells every task of the launch to stop. After a RunTask without an answer it looks for tasks until ECS must have shown
/// them.
async fn undo(ctx: &Context, job: &JobRecord, launched: &Launched) -> Result<(), WorkerError> {
    let watch = if launched.unanswered {
        SHOWN_WITHIN_SECONDS
    } else {
        0
    };
    let shown = Instant::now() + Duration::from_secs(watch.into());
    let until = Instant::now() + PATIENCE;
    let mut to_stop: BTreeSet<TaskArn> = launched.tasks.iter().map(|(t, _)| t.clone()).collect();
    let mut told = BTreeSet::new();
    loop {
        let trouble = stop_new(ctx, job, &mut to_stop, &mut told, until).await?;
        match trouble {
            Some(error) if Instant::now() >= until => return Err(error),
            None if Instant::now() >= shown => return Ok(()),
            _ => sleep(POLL).await,
        }
    }
}

/// Stops what the launch has started and was not told to stop yet; answers with what AWS throttles for now.
async fn stop_new(
    ctx: &Context,
    job: &JobRecord,
    to_stop: &mut BTreeSet<TaskArn>,
    told: &mut BTreeSet<TaskArn>,
    until: Instant,
) -> Result<Option<WorkerError>, WorkerError> {
    let started_by = started_by(&job.job_id, 1);
    match ctx.fleet.tasks_started_by(&started_by).await {
        Ok(listed) => to_stop.extend(listed),
        Err(error) if error.passes() => return Ok(Some(error)),
        Err(error) => return Err(error),
    }
    let new: Vec<TaskArn> = to_stop.difference(told).cloned().collect();
    let why = "the job could not be started whole";
    let answers = ctx.fleet.stop_all(&new, why, until).await;
    let mut trouble = None;
    for (task, answer) in new.into_iter().zip(answers) {
        match answer {
            Ok(_) => {
                told.insert(task);
            }
            Err(error) if error.passes() => trouble = Some(error),
            Err(error) => return Err(error),
        }
    }
    Ok(trouble)
}
