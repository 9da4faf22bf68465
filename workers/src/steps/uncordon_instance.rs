//! UncordonInstance: sets a rebooted instance ACTIVE again, still held, so that DCGM can be placed on it. One whose agent is
//! not back has to be waited for first.

use super::reboot_wait::back;
use crate::{
    Context, Step, WorkerError,
    ids::{ExecutionArn, InstanceId, JobId},
    records::InstanceStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct UncordonInstance;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UncordonInstanceInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub instance: InstanceId,
    pub rank: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum UncordonInstanceOutcome {
    Uncordoned { instance: InstanceId },
}

impl Step for UncordonInstance {
    const NAME: &'static str = "uncordon-instance";
    const STATE: Option<&'static str> = Some("UncordonInstance");
    type Input = UncordonInstanceInput;
    type Outcome = UncordonInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let record = ctx.instances.get(&input.instance).await?;
        let held = record.filter(|r| {
            r.holder.as_ref() == Some(&input.execution) && r.status != InstanceStatus::Quarantined
        });
        if let Some(why) = held.as_ref().and_then(|r| r.keep_out.clone()) {
            return Err(WorkerError::KeptOut(why));
        }
        let arn = held
            .as_ref()
            .and_then(|r| r.container_instance_arn.as_ref());
        let Some((record, arn)) = held.as_ref().zip(arn) else {
            return Err(WorkerError::ClaimLost(format!(
                "execution {} does not hold instance {} any more",
                input.execution, input.instance
            )));
        };
        if let Some(why) = back(ctx, record).await? {
            return Err(WorkerError::AgentAway(why.to_owned()));
        }
        ctx.fleet.activate(arn).await?;
        ctx.instances
            .uncordoned(&input.instance, &input.execution)
            .await?;
        Ok(UncordonInstanceOutcome::Uncordoned {
            instance: input.instance,
        })
    }
}
