//! Instances that are about to be checked.

use super::take_back::{lost_hold, take_back};
use crate::{
    Context, WorkerError,
    aws::pace,
    decisions::diagnosis::Suspect,
    ids::{ExecutionArn, JobId},
    records::{InstanceRecord, InstanceStatus, RankRecord},
};
use std::collections::BTreeMap;

/// Who holds the job.
pub(super) struct Holder<'a> {
    pub execution: &'a ExecutionArn,
    pub job_id: &'a JobId,
    pub attempt: u32,
}

/// Marks the instances as about to be checked, and answers with them. One that a recovery which has lost this job left
/// cordoned is taken back first; what that found is not forgotten.
pub(super) async fn prepare(
    ctx: &Context,
    by: &Holder<'_>,
    ranks: &[RankRecord],
    to_check: &[Suspect],
) -> Result<Vec<Suspect>, WorkerError> {
    let arn_of: BTreeMap<u32, _> = ranks
        .iter()
        .map(|r| (r.rank, r.container_instance_arn.as_ref()))
        .collect();
    pace::DYNAMODB
        .each(to_check, |suspect| async {
            let instance = &suspect.instance;
            let record = ctx.instances.get(instance).await?;
            // Whoever quarantined it may have died before the drain.
            if let Some(left) = &record
                && left.status == InstanceStatus::Quarantined
                && let Some(arn) = &left.container_instance_arn
            {
                ctx.fleet.keep_drained(arn).await?;
            }
            let of_this_job = record.filter(|left| left.job_id.as_ref() == Some(by.job_id));
            let unproven = of_this_job
                .as_ref()
                .is_some_and(InstanceRecord::was_found_faulty);
            let holder = of_this_job.and_then(|left| left.holder);
            if holder.is_some_and(|holder| holder != *by.execution) {
                // Watching the tasks takes a while: the job may be another's by now, and the hold a good one.
                ctx.jobs.held(by.job_id, by.attempt, by.execution).await?;
                if let Some(left) = lost_hold(ctx, instance, by.job_id, by.execution).await? {
                    take_back(ctx, &left).await?;
                }
            }
            let arn = arn_of.get(&suspect.rank).copied().flatten();
            let status = InstanceStatus::PendingHealthcheck;
            ctx.instances
                .assign(instance, arn, by.job_id, Some(by.execution), status)
                .await?;
            Ok(Suspect {
                unproven,
                ..suspect.clone()
            })
        })
        .await
        .into_iter()
        .collect()
}
