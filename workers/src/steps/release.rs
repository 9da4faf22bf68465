//! Freeing the instances of a job that has ended.

use super::take_back::{break_off, lost_hold};
use crate::{
    Context, WorkerError,
    aws::{jobs::RankKey, pace},
    decisions::exit::TaskEnd,
    ids::{ExecutionArn, InstanceId, JobId},
    records::{JobRecord, JobStatus, RankRecord},
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

/// Frees the instances on which none of these ranks runs. The ranks' items expire.
pub(super) async fn ended(
    ctx: &Context,
    ranks: &[RankRecord],
    job: &JobId,
    by: &ExecutionArn,
) -> Result<(), WorkerError> {
    let freed = pace::DYNAMODB
        .each(&of(ranks), |instance| free(ctx, instance, job, by))
        .await;
    ctx.jobs.let_expire(ranks).await?;
    freed
        .into_iter()
        .collect::<Result<Vec<bool>, _>>()
        .map(drop)
}

/// The instances of a job that has ended.
pub(super) struct Released {
    pub free: usize,
    /// Those that are quarantined, or another's.
    pub left: Vec<InstanceId>,
}

/// The same for every rank of an attempt, also where an execution holds the instance that has lost the job.
pub(super) async fn all(
    ctx: &Context,
    job: &JobId,
    attempt: u32,
    by: &ExecutionArn,
) -> Result<Released, WorkerError> {
    let ranks = ctx.jobs.ranks(job, attempt).await?;
    let freed = pace::DYNAMODB
        .each(&of(&ranks), |instance| async move {
            if ctx.instances.release(instance, job, by).await? {
                return Ok(true);
            }
            if let Some(left) = lost_hold(ctx, instance, job, by).await?
                && break_off(ctx, &left, by).await?
            {
                return Ok(false);
            }
            free(ctx, instance, job, by).await
        })
        .await;
    ctx.jobs.let_expire(&ranks).await?;
    let freed = freed.into_iter().collect::<Result<Vec<bool>, _>>()?;
    let left = of(&ranks).into_iter().zip(&freed);
    let left = left.filter(|(_, freed)| !**freed).map(|(id, _)| id);
    Ok(Released {
        free: freed.iter().filter(|freed| **freed).count(),
        left: left.collect(),
    })
}

/// Frees one, unless an operator wants it out of service: then it is quarantined.
pub(super) async fn free(
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
