//! AwaitInstance: stores the token that ends WaitForInstanceActive, and looks at once whether it is over already.

use super::reboot_wait::{End, back, end};
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
    /// The SSM command that carries the reboot order; none after a reboot by EC2.
    pub command_id: Option<String>,
    /// The node has told another boot id: what is waited for is its ECS agent.
    pub proven: bool,
    /// A question waits for the node: whatever is heard of it is a reason to look for the answer.
    #[serde(default)]
    pub asked: bool,
    /// Ends the wait. The longest that Step Functions gives is 2,048 characters (API reference).
    #[schemars(length(min = 1, max = 2048))]
    pub task_token: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum AwaitInstanceOutcome {
    /// An event, or the state's time-out, will end the wait.
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
        // Whoever waits for the agent alone, or for an answer, is told of it at once.
        let since = if input.proven || input.asked {
            0
        } else {
            ctx.clock.epoch_seconds()
        };
        let record = ctx
            .instances
            .store_wait(
                &input.instance,
                &input.execution,
                input.command_id.as_deref(),
                &input.task_token,
                since,
            )
            .await?;
        let why = if input.proven {
            match back(ctx, &record).await? {
                None => {
                    end(ctx, &record, End::Back).await?;
                    return Ok(AwaitInstanceOutcome::Over);
                }
                Some(why) => why,
            }
        } else {
            "the node has not told another boot id"
        };
        Ok(AwaitInstanceOutcome::Waiting {
            why: why.to_owned(),
        })
    }
}
