//! Starting a job so that it can be recovered: every rank or none, and the items that a recovery reads.

use crate::{
    Context, WorkerError,
    fleet::Run,
    ids::{ContainerInstanceArn, InstanceId, JobId, TaskArn},
    jobs::Write,
    launch::LaunchSpec,
    launch_names::{client_token, started_by},
    pace,
    records::{InstanceStatus, JobRecord, JobStatus, RankRecord, RankStatus, rank_key},
};
use std::collections::BTreeSet;

/// A job to start.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    pub job_id: JobId,
    /// Where each rank runs, and how; rank 0 first.
    pub ranks: Vec<(InstanceId, LaunchSpec)>,
    /// Overrides RECOVERY_ATTEMPTS for this job.
    pub recovery_attempts: Option<u32>,
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
    #[error("ECS did not place every rank, so none was left running: {0}")]
    NotPlaced(String),
    #[error(transparent)]
    Aws(#[from] WorkerError),
}

/// Starts every rank, or none, and records the job. The job's item comes first: it is what makes the id ours.
///
/// # Errors
/// [`SubmitError`]; no task is left running then, and the item says why the job is FAILED.
pub async fn submit(ctx: &Context, submission: &Submission) -> Result<JobRecord, SubmitError> {
    if submission.ranks.is_empty() {
        return Err(SubmitError::NoRanks);
    }
    let mut seen = BTreeSet::new();
    for (instance, _) in &submission.ranks {
        if !seen.insert(instance) {
            return Err(SubmitError::InstanceTwice(instance.clone()));
        }
    }
    let now = ctx.clock.rfc3339();
    let job = JobRecord {
        job_id: submission.job_id.clone(),
        record: JobRecord::SORT_KEY.to_owned(),
        status: JobStatus::InProgress,
        attempt: 1,
        nodes: u32::try_from(submission.ranks.len()).unwrap_or(u32::MAX),
        holder: None,
        failed_rank: None,
        reason: Some("submitted".to_owned()),
        done_ranks: BTreeSet::new(),
        recovery_attempts: submission.recovery_attempts,
        launch_try: 0,
        launching: false,
        relaunched_by: None,
        failed_by: None,
        created_at: now.clone(),
        updated_at: now,
    };
    if let Write::Refused(_) = ctx.jobs.create(&job).await? {
        return Err(SubmitError::JobIdTaken(job.job_id));
    }
    match start(ctx, submission).await {
        Ok(()) => Ok(job),
        Err(error) => {
            undo(ctx, &job).await?;
            ctx.jobs
                .not_started(&job.job_id, &error.to_string())
                .await?;
            Err(error)
        }
    }
}

async fn start(ctx: &Context, submission: &Submission) -> Result<(), SubmitError> {
    let job_id = &submission.job_id;
    let started_by = started_by(job_id, 1);
    let answers = pace::ECS_MODIFY
        .patiently(
            submission.ranks.iter().enumerate().collect(),
            |(rank, (instance, launch))| {
                let token = client_token(job_id, 1, 0, rank as u32);
                let started_by = &started_by;
                async move { ctx.fleet.run(launch, instance, &token, started_by).await }
            },
        )
        .await;
    let mut tasks = Vec::with_capacity(answers.len());
    let mut not_placed = Vec::new();
    for (answer, (instance, _)) in answers.into_iter().zip(&submission.ranks) {
        match answer? {
            Run::Started(task) => tasks.push(task),
            Run::NotPlaced(why) => not_placed.push(format!("{instance}: {why}")),
        }
    }
    if !not_placed.is_empty() {
        return Err(SubmitError::NotPlaced(not_placed.join("; ")));
    }
    record(ctx, submission, &tasks).await?;
    Ok(())
}

async fn record(
    ctx: &Context,
    submission: &Submission,
    tasks: &[TaskArn],
) -> Result<(), WorkerError> {
    let described = ctx.fleet.tasks(tasks).await?;
    let ranks: Vec<RankRecord> = submission
        .ranks
        .iter()
        .zip(tasks)
        .enumerate()
        .map(|(rank, ((instance, launch), task))| RankRecord {
            job_id: submission.job_id.clone(),
            record: rank_key(1, rank as u32),
            attempt: 1,
            rank: rank as u32,
            launch_try: 0,
            task_arn: task.clone(),
            instance_id: Some(instance.clone()),
            container_instance_arn: described
                .get(task)
                .and_then(|t| t.container_instance_arn())
                .map(ContainerInstanceArn::new),
            status: RankStatus::Running,
            exit_code: None,
            stop_code: None,
            stopped_reason: None,
            launch: Some(launch.clone()),
        })
        .collect();
    ctx.jobs.put_ranks(&ranks).await?;
    pace::DYNAMODB
        .each(&ranks, |rank| async {
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

async fn undo(ctx: &Context, job: &JobRecord) -> Result<(), WorkerError> {
    let running = ctx
        .fleet
        .tasks_started_by(&started_by(&job.job_id, 1))
        .await?;
    ctx.fleet
        .stop_all(&running, "the job could not be started whole")
        .await?;
    Ok(())
}
