//! Holds on spares: kept, or let go on every way out.

use super::{
    release,
    take_back::{break_off, drain_quarantined, lost_hold, take_back},
};
use crate::{
    Context, WorkerError,
    aws::pace,
    decisions::diagnosis::Place,
    ids::{ExecutionArn, InstanceId, JobId},
    records::JobRecord,
};

/// Frees every spare that may be held for a job which this execution holds, and of which no task runs on a spare. Without
/// any it does nothing.
pub(super) async fn let_go(
    ctx: &Context,
    job: JobRecord,
    by: &ExecutionArn,
) -> Result<JobRecord, WorkerError> {
    if job.spares.is_empty() {
        return Ok(job);
    }
    let_go_all_but(ctx, &job, &[]).await?;
    ctx.jobs.forget_spares(&job, by).await
}

/// Frees every such spare but those on which the job runs.
pub(super) async fn let_go_all_but(
    ctx: &Context,
    job: &JobRecord,
    places: &[Place],
) -> Result<(), WorkerError> {
    let kept = |id: &InstanceId| places.iter().any(|place| place.instance == *id);
    let spares: Vec<InstanceId> = job.spares.iter().map(InstanceId::new).collect();
    pace::DYNAMODB
        .each(spares.iter().filter(|id| !kept(id)), |spare| {
            ctx.instances.let_go_spare(spare, &job.job_id, None)
        })
        .await
        .into_iter()
        .collect()
}

/// Lets go of the places that a job leaves for good, and keeps those that are to be repaired beside it: from the moment at
/// which the job is not held any more, the hold on each of them is what gives this execution a say.
pub(super) async fn leave_places(
    ctx: &Context,
    job: &JobId,
    places: &[Place],
    by: &ExecutionArn,
) -> Result<(), WorkerError> {
    pace::DYNAMODB
        .each(places, |place| async move {
            let left = lost_hold(ctx, &place.instead, job, by).await?;
            if place.repair {
                if let Some(left) = &left {
                    take_back(ctx, left).await?;
                }
                return ctx.instances.keep_for_repair(&place.instead, job, by).await;
            }
            if let Some(left) = &left
                && break_off(ctx, left, by).await?
            {
                return Ok(false);
            }
            // What the check found bad is quarantined by then, or gone from the cluster.
            let why = "left for a spare: it could not be repaired or placed on";
            ctx.instances
                .note_verdict(&place.instead, job, why, None)
                .await?;
            let freed = release::free(ctx, &place.instead, job, by).await?;
            if !freed {
                drain_quarantined(ctx, std::slice::from_ref(&place.instead)).await?;
            }
            Ok(freed)
        })
        .await
        .into_iter()
        .collect::<Result<Vec<bool>, WorkerError>>()
        .map(drop)
}
