//! Taking back an instance from an execution that has lost the job it was held for.

use crate::{
    Context, WorkerError,
    ids::{ExecutionArn, InstanceId, JobId},
};

/// Ends the hold of another execution on an instance for this job, and its cordon: DCGM cannot be placed on a DRAINING
/// instance, and nobody else would ever release it. Answers true when there was such a hold.
///
/// To be called by who holds the job, or when the job has ended: then every other hold for it is void, even that of an
/// execution that runs, because it was redriven.
pub(super) async fn take_back(
    ctx: &Context,
    instance: &InstanceId,
    job: &JobId,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    let Some(left) = ctx.instances.get(instance).await? else {
        return Ok(false);
    };
    let Some(holder) = left.holder.as_ref().filter(|holder| *holder != by) else {
        return Ok(false);
    };
    if left.job_id.as_ref() != Some(job) {
        return Ok(false);
    }
    if left.cordoned
        && left.keep_out.is_none()
        && let Some(arn) = &left.container_instance_arn
    {
        ctx.fleet.activate(arn).await?;
    }
    ctx.instances.let_go(instance, holder, &left.faults).await?;
    Ok(true)
}
