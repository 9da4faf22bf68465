//! AwaitInstance: stores the token that ends WaitForInstanceActive, and looks at once whether it is over already.

use super::reboot_wait::{Progress, settle};
use crate::{
    Context, Step, WorkerError,
    ids::{ExecutionArn, InstanceId, JobId},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct AwaitInstance;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwaitInstanceInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    pub instance: InstanceId,
    pub rank: u32,
    /// The SSM command that proves the reboot.
    pub command_id: String,
    /// Ends the wait. The longest that Step Functions gives is 2,048 characters (API reference).
    #[schemars(length(min = 1, max = 2048))]
    pub task_token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum AwaitInstanceOutcome {
    /// The instance-events worker will end the wait.
    Waiting { why: String },
    /// The wait was over already; it has been ended.
    Over,
}

impl Step for AwaitInstance {
    const NAME: &'static str = "await-instance";
    const STATE: Option<&'static str> = Some("WaitForInstanceActive");
    type Input = AwaitInstanceInput;
    type Outcome = AwaitInstanceOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let record = ctx
            .instances
            .store_wait(
                &input.instance,
                &input.execution,
                &input.command_id,
                &input.task_token,
            )
            .await?;
        Ok(match settle(ctx, &record).await? {
            Progress::NotYet(why) => AwaitInstanceOutcome::Waiting {
                why: why.to_owned(),
            },
            Progress::Over | Progress::NotDone { .. } => AwaitInstanceOutcome::Over,
        })
    }
}
