//! Holds that an execution has left which has lost the job: nobody else would end them.
//!
//! To be ended by who holds the job, or when the job has ended: then every other hold for it is void, even that of an
//! execution that runs, because it was redriven.

use crate::{
    Context, WorkerError,
    aws::{history::Event, instances::Quarantine, pace},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{
        InstanceRecord, InstanceStatus,
        event::{About, What},
    },
};

/// The instance's item, where another execution holds it for this job.
pub(super) async fn lost_hold(
    ctx: &Context,
    instance: &InstanceId,
    job: &JobId,
    by: &ExecutionArn,
) -> Result<Option<InstanceRecord>, WorkerError> {
    let record = ctx.instances.get(instance).await?;
    Ok(record.filter(|left| {
        let held = left.holder.as_ref().is_some_and(|holder| holder != by);
        held && left.job_id.as_ref() == Some(job)
    }))
}

/// Ends such a hold, and its cordon: DCGM cannot be placed on a DRAINING instance.
pub(super) async fn take_back(ctx: &Context, left: &InstanceRecord) -> Result<(), WorkerError> {
    let Some(holder) = &left.holder else {
        return Ok(());
    };
    if left.cordoned
        && left.keep_out.is_none()
        && let Some(arn) = &left.container_instance_arn
    {
        ctx.fleet.activate(arn).await?;
    }
    ctx.instances
        .let_go(&left.instance_id, holder, &left.faults)
        .await
}

/// Drains those that are marked as quarantined and take tasks: whoever marked one may have died before the drain. Answers
/// which are quarantined.
pub(super) async fn drain_quarantined(
    ctx: &Context,
    instances: &[InstanceId],
) -> Result<Vec<InstanceId>, WorkerError> {
    let records = pace::DYNAMODB
        .each(instances, |instance| ctx.instances.get(instance))
        .await;
    let records = records.into_iter().collect::<Result<Vec<_>, _>>()?;
    let marked = records.into_iter().flatten();
    let marked: Vec<InstanceRecord> = marked
        .filter(|record| record.status == InstanceStatus::Quarantined)
        .collect();
    let arns: Vec<ContainerInstanceArn> = marked
        .iter()
        .filter_map(|record| record.container_instance_arn.clone())
        .collect();
    // To ask takes less of what the account may change a second.
    for (arn, found) in ctx.fleet.container_instances(&arns).await? {
        if found.status() == Some("ACTIVE") {
            ctx.fleet.keep_drained(&arn).await?;
        }
    }
    Ok(marked
        .into_iter()
        .map(|record| record.instance_id)
        .collect())
}

/// Ends such a hold on an instance that is not checked again: it is quarantined where nothing proves that it is healthy, else
/// taken back. Answers whether it is quarantined.
pub(super) async fn break_off(
    ctx: &Context,
    left: &InstanceRecord,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    const REASON: &str = "unchecked: its repair was broken off";
    if left.is_accused()
        && left.keep_out.is_none()
        && let (Some(holder), Some(arn)) = (&left.holder, &left.container_instance_arn)
    {
        let mark = Quarantine {
            instance: &left.instance_id,
            arn,
            by: holder,
            reason: REASON,
            ours: true,
            faults: &left.faults,
        };
        if ctx.instances.quarantine(mark).await? {
            ctx.fleet.keep_drained(arn).await?;
            let event = Event {
                about: About::Instance(&left.instance_id),
                what: What::Quarantined,
                detail: REASON,
                of_job: left.job_id.as_ref(),
            };
            ctx.history.note(event, by).await?;
            return Ok(true);
        }
    }
    take_back(ctx, left).await?;
    Ok(false)
}
