//! InstanceEvents: fed by EventBridge with container instance changes and the ends of reboot orders; lets the execution
//! that waits for the instance look at once. An event starts nothing and proves nothing.

use super::reboot_wait::{End, end};
use crate::{
    Context, Step, WorkerError,
    aws::events::InstanceEvent,
    ids::InstanceId,
    records::{InstanceRecord, InstanceStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The step.
pub struct InstanceEvents;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum InstanceEventsOutcome {
    /// No recovery reboots this instance.
    NotAwaited,
    /// The wait goes on.
    StillWaiting { instance: InstanceId, why: String },
    /// The wait has been ended.
    WaitEnded { instance: InstanceId },
}

/// The statuses of an order that the node has run to its end; every other one says nothing of the node.
const RUN: [&str; 2] = ["Success", "Failed"];

/// The cordon changes the instance too, and an agent comes and goes: what comes sooner than this after the wait began is no
/// reason to look, unless a question waits for the node already.
const LOOK_AFTER_SECONDS: i64 = 30;

impl Step for InstanceEvents {
    const NAME: &'static str = "instance-events";
    const STATE: Option<&'static str> = None;
    type Input = InstanceEvent;
    type Outcome = InstanceEventsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let now = ctx.clock.epoch_seconds();
        let (record, why) = match input {
            InstanceEvent::CommandInvocation(command) => {
                if !RUN.contains(&command.status.as_str()) {
                    return Ok(InstanceEventsOutcome::NotAwaited);
                }
                let instance = InstanceId::new(command.instance_id);
                let record = rebooting(ctx, &instance).await?;
                let other = record
                    .as_ref()
                    .is_some_and(|r| r.command_id.as_ref() != Some(&command.command_id));
                (record, other.then_some("it is another command"))
            }
            InstanceEvent::ContainerInstance(change) => {
                let Some(instance) = change.ec2_instance_id else {
                    return Ok(InstanceEventsOutcome::NotAwaited);
                };
                let mut record = rebooting(ctx, &instance).await?;
                if let Some(record) = &mut record {
                    let arn = change.container_instance_arn;
                    if record.container_instance_arn.as_ref() != Some(&arn) {
                        ctx.instances.note_arn(&instance, &arn).await?;
                        record.container_instance_arn = Some(arn);
                    }
                }
                let soon = record.as_ref().is_some_and(|r| {
                    r.waiting_since
                        .is_some_and(|since| now - since < LOOK_AFTER_SECONDS)
                });
                let why = match (change.agent_connected, soon) {
                    (false, _) => Some("the agent is not connected"),
                    (true, true) => Some("the wait has only begun"),
                    (true, false) => None,
                };
                (record, why)
            }
        };
        let Some(record) = record else {
            return Ok(InstanceEventsOutcome::NotAwaited);
        };
        let instance = record.instance_id.clone();
        let why = why.or(record.task_token.is_none().then_some("nobody waits"));
        if let Some(why) = why {
            let why = why.to_owned();
            return Ok(InstanceEventsOutcome::StillWaiting { instance, why });
        }
        end(ctx, &record, End::Look).await?;
        Ok(InstanceEventsOutcome::WaitEnded { instance })
    }
}

/// The instance's record, if a recovery reboots it.
async fn rebooting(
    ctx: &Context,
    instance: &InstanceId,
) -> Result<Option<InstanceRecord>, WorkerError> {
    let record = ctx.instances.get(instance).await?;
    Ok(record.filter(|r| r.status == InstanceStatus::Rebooting))
}
