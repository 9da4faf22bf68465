//! The places of a relaunch, made the job's before anything starts on them.

use super::{
    launch_plan::Start,
    relaunch_job::RelaunchJobInput,
    take_back::{drain_quarantined, lost_hold, take_back},
};
use crate::{
    Context, WorkerError,
    aws::pace,
    error::Unplaced,
    ids::{ExecutionArn, JobId},
    records::{InstanceStatus, JobRecord},
};

/// Why nothing starts on a node, as the operators are told.
pub(super) const QUARANTINED: &str = "it is quarantined";

/// Every spare is still held for this job, and stays so while this execution runs.
async fn all_held(ctx: &Context, input: &RelaunchJobInput) -> Result<(), WorkerError> {
    let held = pace::DYNAMODB
        .each(&input.places, |place| {
            let (job, by) = (&input.job_id, &input.execution);
            ctx.instances.still_held(&place.instance, job, by)
        })
        .await;
    for (place, held) in input.places.iter().zip(held) {
        if !held? {
            let spare = &place.instance;
            return Err(WorkerError::NotOnSpares(format!(
                "{spare} is not held for rank {} any more",
                place.rank
            )));
        }
    }
    Ok(())
}

/// Makes every place the job's before anything starts on it, and ends our own holds: once the attempt is current, its next
/// failure must find none. Nothing starts on a node that another recovery holds, or that is quarantined.
pub(super) async fn take_places(
    ctx: &Context,
    job: &JobRecord,
    plan: &[Start],
    input: &RelaunchJobInput,
) -> Result<(), WorkerError> {
    all_held(ctx, input).await?;
    let refusals = pace::DYNAMODB
        .each(plan, |start| {
            take(ctx, &job.job_id, start, &input.execution)
        })
        .await;
    let mut unplaced = Vec::new();
    for (start, refusal) in plan.iter().zip(refusals) {
        if let Some(why) = refusal? {
            unplaced.push((start.old.rank, start.instance.clone(), why));
        }
    }
    match unplaced.is_empty() {
        true => Ok(()),
        false => Err(WorkerError::NotPlaced(Unplaced::of(unplaced))),
    }
}

/// Answers why not. A hold that an execution has left which has lost this job is void, but for one on a node that a check
/// accuses: its repair goes on, or was broken off, and nothing shows that the node is healthy.
async fn take(
    ctx: &Context,
    job: &JobId,
    start: &Start,
    by: &ExecutionArn,
) -> Result<Option<String>, WorkerError> {
    let instance = &start.instance;
    let arn = start.old.container_instance_arn.as_ref();
    let assign = || {
        let status = InstanceStatus::InProgress;
        ctx.instances.assign(instance, arn, job, Some(by), status)
    };
    if assign().await? {
        return Ok(None);
    }
    if let Some(left) = lost_hold(ctx, instance, job, by).await?
        && !left.is_accused()
    {
        take_back(ctx, &left).await?;
        if assign().await? {
            return Ok(None);
        }
    }
    let quarantined = drain_quarantined(ctx, std::slice::from_ref(instance)).await?;
    Ok(Some(match quarantined.is_empty() {
        true => "another recovery holds it".to_owned(),
        false => QUARANTINED.to_owned(),
    }))
}
