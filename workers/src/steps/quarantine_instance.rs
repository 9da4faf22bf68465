//! QuarantineInstance: keeps an instance out of service, DRAINING and QUARANTINED with the reason.

use crate::{
    Context, Step, WorkerError,
    aws::{history::Event, instances::Quarantine, jobs::RankKey},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{
        InstanceStatus,
        event::{About, What},
    },
};
use aws_sdk_ecs::types::ContainerInstance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct QuarantineInstance;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QuarantineInstanceInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub instance: InstanceId,
    pub rank: u32,
    pub reason: String,
    /// It was found faulty.
    #[serde(default)]
    pub fault: bool,
    /// The job runs on a spare already: this execution holds the instance, and the job no more.
    #[serde(default)]
    pub beside: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum QuarantineInstanceOutcome {
    Quarantined {
        instance: InstanceId,
    },
    /// Another recovery holds it; it was not changed.
    HeldByAnother {
        instance: InstanceId,
    },
    /// It has left the cluster: there is nothing to take out of service.
    Gone {
        instance: InstanceId,
    },
}

impl Step for QuarantineInstance {
    const NAME: &'static str = "quarantine-instance";
    const STATE: Option<&'static str> = Some("QuarantineInstance");
    type Input = QuarantineInstanceInput;
    type Outcome = QuarantineInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        if input.beside {
            // Without the job, nothing but the hold gives it a say: an instance that was let go is somebody else's.
            let record = ctx.instances.get(&input.instance).await?;
            let ours = record.is_some_and(|record| {
                let held = record.holder.as_ref() == Some(&input.execution);
                let by_us = record.status == InstanceStatus::Quarantined;
                held || by_us || record.job_id.as_ref() == Some(&input.job_id)
            });
            if !ours {
                let instance = input.instance;
                return Ok(QuarantineInstanceOutcome::HeldByAnother { instance });
            }
        } else {
            ctx.jobs
                .held(&input.job_id, input.attempt, &input.execution)
                .await?;
        }
        let key = RankKey {
            job_id: input.job_id.clone(),
            attempt: input.attempt,
            rank: input.rank,
        };
        let rank_arn = ctx
            .jobs
            .rank(&key)
            .await?
            .and_then(|r| r.container_instance_arn);
        let order = Order {
            instance: &input.instance,
            job: &input.job_id,
            rank_arn: rank_arn.as_ref(),
            by: &input.execution,
            reason: &input.reason,
            fault: input.fault,
        };
        quarantine(ctx, order).await
    }
}

/// What is to be taken out of service, and why.
pub(super) struct Order<'a> {
    pub instance: &'a InstanceId,
    pub job: &'a JobId,
    /// Where the rank ran, for an instance whose item does not say.
    pub rank_arn: Option<&'a ContainerInstanceArn>,
    pub by: &'a ExecutionArn,
    pub reason: &'a str,
    /// It was found faulty.
    pub fault: bool,
}

/// Marks the instance and drains it.
pub(super) async fn quarantine(
    ctx: &Context,
    order: Order<'_>,
) -> Result<QuarantineInstanceOutcome, WorkerError> {
    let instance = order.instance.clone();
    let record = ctx.instances.get(&instance).await?;
    let recorded = record
        .as_ref()
        .and_then(|r| r.container_instance_arn.clone());
    let Some(arn) = recorded.or(order.rank_arn.cloned()) else {
        return Err(WorkerError::CorruptRecord(format!(
            "the container instance of {instance} is recorded nowhere; gpu-recovery quarantine {instance} finds it"
        )));
    };
    // An instance that has left the cluster is described as INACTIVE for a while (API_ContainerInstance).
    let found = ctx.fleet.container_instance(&arn).await?;
    let here = |i: &ContainerInstance| {
        i.status() != Some("INACTIVE") && i.ec2_instance_id() == Some(instance.as_str())
    };
    let Some(found) = found.filter(here) else {
        return Ok(QuarantineInstanceOutcome::Gone { instance });
    };
    // The mark comes first: it is what keeps every recovery away from the node.
    let quarantined = record
        .as_ref()
        .filter(|r| r.status == InstanceStatus::Quarantined);
    let others = quarantined.is_some_and(|r| r.quarantine_reason.as_deref() != Some(order.reason));
    if quarantined.is_none() {
        let cordoned = record.as_ref().is_some_and(|r| r.cordoned);
        let counted = record
            .as_ref()
            .is_some_and(|r| r.holder.as_ref() == Some(order.by) && r.held_since.is_none());
        let mut faults = record.map(|r| r.faults).unwrap_or_default();
        // A hold has counted it; of a node that was not rebooted nobody has.
        if order.fault && !counted {
            faults.push(ctx.clock.epoch_seconds());
        }
        let mark = Quarantine {
            instance: &instance,
            arn: &arn,
            by: order.by,
            reason: order.reason,
            ours: cordoned || found.status() != Some("DRAINING"),
            faults: &faults,
        };
        if !ctx.instances.quarantine(mark).await? {
            return Ok(QuarantineInstanceOutcome::HeldByAnother { instance });
        }
    }
    // Whatever was read above: a cordon that was just taken back may have been read as it was before.
    ctx.fleet.drain(&arn).await?;
    // What somebody else has quarantined before, they have written down.
    if !others {
        let event = Event {
            about: About::Instance(&instance),
            what: What::Quarantined,
            detail: order.reason,
            of_job: Some(order.job),
        };
        ctx.history.note(event, order.by).await?;
    }
    Ok(QuarantineInstanceOutcome::Quarantined { instance })
}
