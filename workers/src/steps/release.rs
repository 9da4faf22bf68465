//! Freeing the instances of a job that has ended.

use super::take_back::take_back;
use crate::{
    Context, WorkerError,
    aws::{history::Event, instances::Quarantine, jobs::RankKey, pace},
    decisions::exit::TaskEnd,
    ids::{ExecutionArn, InstanceId, JobId},
    records::{
        JobRecord, JobStatus, RankRecord,
        event::{About, What},
    },
};
use std::collections::BTreeSet;

/// For the end of a rank whose job an operator stopped with the others left running: writes it down and frees its
/// instance. Answers false, and does nothing, for a job of any other kind.
pub(super) async fn left_running(
    ctx: &Context,
    key: &RankKey,
    job: &JobRecord,
    end: &TaskEnd,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    let left =
        job.status == JobStatus::UserStopped && job.holder.is_none() && job.attempt == key.attempt;
    if !left {
        return Ok(false);
    }
    if let Some(mut rank) = ctx.jobs.rank(key).await? {
        rank.note_end(Some(end), &ctx.settings.of_job(&job.policies));
        ctx.jobs.put_rank_of_task(&rank).await?;
        ended(ctx, &[rank], &key.job_id, by).await?;
    }
    Ok(true)
}

/// Frees the instances on which none of these ranks runs, and answers how many that were. The ranks' items expire.
pub(super) async fn ended(
    ctx: &Context,
    ranks: &[RankRecord],
    job: &JobId,
    by: &ExecutionArn,
) -> Result<usize, WorkerError> {
    let freed = pace::DYNAMODB
        .each(&of(ranks), |instance| free(ctx, instance, job, by))
        .await;
    ctx.jobs.let_expire(ranks).await?;
    count(freed)
}

/// The same for every rank of an attempt, also where an execution holds the instance that has lost the job.
pub(super) async fn all(
    ctx: &Context,
    job: &JobId,
    attempt: u32,
    by: &ExecutionArn,
) -> Result<usize, WorkerError> {
    let ranks = ctx.jobs.ranks(job, attempt).await?;
    let freed = pace::DYNAMODB
        .each(&of(&ranks), |instance| async move {
            if ctx.instances.release(instance, job, by).await? {
                return Ok(true);
            }
            if break_off(ctx, instance, job, by).await? {
                return Ok(false);
            }
            take_back(ctx, instance, job, by).await?;
            free(ctx, instance, job, by).await
        })
        .await;
    ctx.jobs.let_expire(&ranks).await?;
    count(freed)
}

/// Quarantines an instance whose repair was broken off by an execution that has lost the job: nothing proves that it is
/// healthy. Answers false, and does nothing, for any other.
async fn break_off(
    ctx: &Context,
    instance: &InstanceId,
    job: &JobId,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    const REASON: &str = "unchecked: its repair was broken off";
    let Some(left) = ctx.instances.get(instance).await? else {
        return Ok(false);
    };
    let of_this_job = left.job_id.as_ref() == Some(job);
    let proven = left.last_check_passed() || left.last_verdict.is_none();
    let (Some(holder), Some(arn)) = (&left.holder, &left.container_instance_arn) else {
        return Ok(false);
    };
    if holder == by || !of_this_job || proven || left.keep_out.is_some() {
        return Ok(false);
    }
    let mark = Quarantine {
        instance,
        arn,
        by: holder,
        reason: REASON,
        ours: true,
        faults: &left.faults,
    };
    if !ctx.instances.quarantine(mark).await? {
        return Ok(false);
    }
    ctx.fleet.keep_drained(arn).await?;
    let event = Event {
        about: About::Instance(instance),
        what: What::Quarantined,
        detail: REASON,
        of_job: Some(job),
    };
    ctx.history.note(event, by).await?;
    Ok(true)
}

/// Frees one, unless an operator wants it out of service: then it is quarantined.
async fn free(
    ctx: &Context,
    instance: &InstanceId,
    job: &JobId,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    if ctx.instances.release(instance, job, by).await? {
        return Ok(true);
    }
    ctx.instances.keep_out(instance, job, by).await?;
    Ok(false)
}

fn of(ranks: &[RankRecord]) -> BTreeSet<InstanceId> {
    let ended = ranks.iter().filter(|rank| !rank.may_run());
    ended.filter_map(|rank| rank.instance_id.clone()).collect()
}

fn count(freed: Vec<Result<bool, WorkerError>>) -> Result<usize, WorkerError> {
    let freed = freed.into_iter().collect::<Result<Vec<bool>, _>>()?;
    Ok(freed.into_iter().filter(|freed| *freed).count())
}
