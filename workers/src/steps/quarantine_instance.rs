//! QuarantineInstance: keeps an instance out of service, DRAINING and QUARANTINED with the reason.

use crate::{
    Context, Step, WorkerError,
    aws::jobs::RankKey,
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::InstanceStatus,
};
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
}

impl Step for QuarantineInstance {
    const NAME: &'static str = "quarantine-instance";
    const STATE: Option<&'static str> = Some("QuarantineInstance");
    type Input = QuarantineInstanceInput;
    type Outcome = QuarantineInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        ctx.jobs
            .held(&input.job_id, input.attempt, &input.execution)
            .await?;
        let key = RankKey {
            job_id: input.job_id,
            attempt: input.attempt,
            rank: input.rank,
        };
        let rank_arn = ctx
            .jobs
            .rank(&key)
            .await?
            .and_then(|r| r.container_instance_arn);
        let instance = input.instance;
        let done = quarantine(
            ctx,
            &instance,
            rank_arn.as_ref(),
            &input.execution,
            &input.reason,
        )
        .await?;
        Ok(if done {
            QuarantineInstanceOutcome::Quarantined { instance }
        } else {
            QuarantineInstanceOutcome::HeldByAnother { instance }
        })
    }
}

/// Marks the instance and drains it. The mark comes first: it is what keeps every recovery away from the node.
pub(super) async fn quarantine(
    ctx: &Context,
    instance: &InstanceId,
    rank_arn: Option<&ContainerInstanceArn>,
    by: &ExecutionArn,
    reason: &str,
) -> Result<bool, WorkerError> {
    let record = ctx.instances.get(instance).await?;
    let arn = record
        .as_ref()
        .and_then(|r| r.container_instance_arn.clone())
        .or_else(|| rank_arn.cloned());
    let Some(arn) = arn else {
        return Err(WorkerError::CorruptRecord(format!(
            "the container instance of {instance} is recorded nowhere; set it DRAINING by hand"
        )));
    };
    let already = record.is_some_and(|r| r.status == InstanceStatus::Quarantined);
    if !already && !ctx.instances.quarantine(instance, &arn, by, reason).await? {
        return Ok(false);
    }
    // An instance that has left the cluster needs no drain; ECS describes it for a while yet.
    let found = ctx.fleet.container_instance(&arn).await?;
    if found.is_some_and(|i| i.status() == Some("ACTIVE")) {
        ctx.fleet.drain(&arn).await?;
    }
    Ok(true)
}
