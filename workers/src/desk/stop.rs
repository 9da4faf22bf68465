//! Stopping a job by hand: the record first, so that no rank's end starts a recovery, then every task, then the instances.

use crate::{
    Context, WorkerError,
    aws::{
        dynamo::{n, s},
        instances::Instances,
        jobs::{Jobs, Write},
    },
    ids::{ExecutionArn, InstanceId, JobId, TaskArn},
    records::{InstanceStatus, JobRecord, JobStatus, RankRecord},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// SIGTERM, up to two minutes of grace (ECS agent, ECS_CONTAINER_STOP_TIMEOUT), SIGKILL; and an account that throttles.
const PATIENCE: Duration = Duration::from_secs(900);
const POLL: Duration = Duration::from_secs(5);

/// Why a job was not stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    #[error("no job {0} is recorded")]
    Unknown(JobId),
    #[error("execution {holder} holds job {job}")]
    Held { job: JobId, holder: ExecutionArn },
    #[error("job {job} is {status} in attempt {attempt}: there is nothing to stop")]
    Over {
        job: JobId,
        status: JobStatus,
        attempt: u32,
    },
    #[error(transparent)]
    Aws(#[from] WorkerError),
}

/// What came of it.
#[derive(Debug)]
pub struct Stopped {
    pub ranks: u32,
    /// Instances that are free now.
    pub freed: Vec<InstanceId>,
    /// Ranks whose task has not stopped in time, and where; their instances are not free.
    pub left: Vec<(u32, Option<InstanceId>)>,
}

/// Stops a job that no recovery holds. To call it again is safe: it goes on where it was.
///
/// # Errors
/// [`StopError`].
pub async fn stop(ctx: &Context, id: &JobId, who: &str, why: &str) -> Result<Stopped, StopError> {
    let job = stopped_record(ctx, id, who, why).await?;
    let ranks = ctx.jobs.ranks(id, job.attempt).await?;
    let until = Instant::now() + PATIENCE;
    let mut left: Vec<&RankRecord> = ranks.iter().collect();
    loop {
        left = unstopped(ctx, left).await?;
        if left.is_empty() || Instant::now() >= until {
            break;
        }
        let arns: Vec<TaskArn> = left.iter().map(|rank| rank.task_arn.clone()).collect();
        let told = ctx.fleet.stop_all(&arns, why, until).await;
        told.into_iter().collect::<Result<Vec<_>, _>>()?;
        sleep(POLL).await;
    }
    let ended = |rank: &&RankRecord| left.iter().all(|other| other.rank != rank.rank);
    let over: Vec<RankRecord> = ranks.iter().filter(ended).cloned().collect();
    ctx.jobs.let_expire(&over).await?;
    let mut freed = Vec::new();
    for rank in &ranks {
        if left.iter().any(|other| other.rank == rank.rank) {
            continue;
        }
        if let Some(instance) = &rank.instance_id
            && ctx.instances.free(instance, id).await?
        {
            freed.push(instance.clone());
        }
    }
    Ok(Stopped {
        ranks: job.nodes,
        freed,
        left: left
            .iter()
            .map(|rank| (rank.rank, rank.instance_id.clone()))
            .collect(),
    })
}

async fn stopped_record(
    ctx: &Context,
    id: &JobId,
    who: &str,
    why: &str,
) -> Result<JobRecord, StopError> {
    let Some(found) = ctx.jobs.get(id).await? else {
        return Err(StopError::Unknown(id.clone()));
    };
    if found.status == JobStatus::UserStopped {
        return Ok(found);
    }
    let reason = format!("stopped by {who}: {why}");
    let found = match ctx.jobs.stop_by_hand(&found, &reason).await? {
        Write::Done(job) => return Ok(*job),
        Write::Refused(found) => found.ok_or_else(|| StopError::Unknown(id.clone()))?,
    };
    Err(match found.holder {
        Some(holder) => StopError::Held {
            job: id.clone(),
            holder,
        },
        None => StopError::Over {
            job: id.clone(),
            status: found.status,
            attempt: found.attempt,
        },
    })
}

/// Those whose task ECS knows and does not call STOPPED.
async fn unstopped<'a>(
    ctx: &Context,
    ranks: Vec<&'a RankRecord>,
) -> Result<Vec<&'a RankRecord>, WorkerError> {
    let arns: Vec<TaskArn> = ranks.iter().map(|rank| rank.task_arn.clone()).collect();
    let tasks = ctx.fleet.tasks(&arns).await?;
    let runs = |rank: &&RankRecord| {
        let task = tasks.get(&rank.task_arn);
        task.is_some_and(|task| task.last_status() != Some("STOPPED"))
    };
    Ok(ranks.into_iter().filter(runs).collect())
}

impl Jobs {
    /// An operator ends a job that runs and that nobody holds.
    async fn stop_by_hand(&self, seen: &JobRecord, reason: &str) -> Result<Write, WorkerError> {
        let update = self
            .update(
                &seen.job_id,
                "SET #status = :stopped, reason = :reason, updated_at = :now REMOVE running",
            )
            .condition_expression(
                "attempt = :attempt AND #status = :running AND attribute_not_exists(holder)",
            )
            .expression_attribute_values(":stopped", s(JobStatus::UserStopped.as_str()))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()))
            .expression_attribute_values(":reason", s(reason))
            .expression_attribute_values(":attempt", n(seen.attempt));
        self.send(update).await
    }
}

impl Instances {
    /// Frees an instance of a job that was stopped; not one that works for another job, is held, or is out of service.
    async fn free(&self, instance: &InstanceId, job: &JobId) -> Result<bool, WorkerError> {
        let update = self
            .update(
                instance,
                "SET #status = :available, updated_at = :now REMOVE job_id, task_token",
            )
            .condition_expression(
                "job_id = :job AND #status = :working AND attribute_not_exists(holder)",
            )
            .expression_attribute_values(":available", s(InstanceStatus::Available.as_str()))
            .expression_attribute_values(":working", s(InstanceStatus::InProgress.as_str()))
            .expression_attribute_values(":job", s(job.as_str()));
        Ok(self.send(update).await?.is_some())
    }
}
