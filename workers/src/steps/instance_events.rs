//! InstanceEvents: fed by EventBridge with container instance changes and SSM command results; ends the wait for a
//! rebooted instance when both together say that it is over. An event never starts anything.

use super::reboot_wait::{Progress, settle};
use crate::{
    Context, Step, WorkerError, aws::events::InstanceEvent, ids::InstanceId,
    records::InstanceStatus,
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
    /// Noted; the wait goes on.
    StillWaiting { instance: InstanceId, why: String },
    /// The wait has been ended.
    WaitEnded { instance: InstanceId },
}

/// A final status of an SSM command on one node; the others say nothing yet.
const FINAL: [&str; 9] = [
    "Success",
    "Failed",
    "Cancelled",
    "TimedOut",
    "DeliveryTimedOut",
    "ExecutionTimedOut",
    "Undeliverable",
    "Terminated",
    "InvalidPlatform",
];

impl Step for InstanceEvents {
    const NAME: &'static str = "instance-events";
    const STATE: Option<&'static str> = None;
    type Input = InstanceEvent;
    type Outcome = InstanceEventsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let record = match input {
            InstanceEvent::CommandInvocation(command) => {
                // The console writes some statuses with spaces ("Delivery Timed Out").
                let status = command.status.replace(' ', "");
                if !FINAL.contains(&status.as_str()) {
                    return Ok(InstanceEventsOutcome::NotAwaited);
                }
                let instance = InstanceId::new(command.instance_id);
                ctx.instances
                    .note_command(&instance, &command.command_id, &status)
                    .await?
            }
            InstanceEvent::ContainerInstance(change) => {
                let Some(instance) = change.ec2_instance_id else {
                    return Ok(InstanceEventsOutcome::NotAwaited);
                };
                let record = ctx.instances.get(&instance).await?;
                match record.filter(|r| r.status == InstanceStatus::Rebooting) {
                    Some(mut record) => {
                        let arn = change.container_instance_arn;
                        if record.container_instance_arn.as_ref() != Some(&arn) {
                            ctx.instances.note_arn(&instance, &arn).await?;
                            record.container_instance_arn = Some(arn);
                        }
                        Some(record)
                    }
                    None => None,
                }
            }
        };
        let Some(record) = record else {
            return Ok(InstanceEventsOutcome::NotAwaited);
        };
        let instance = record.instance_id.clone();
        Ok(match settle(ctx, &record).await? {
            Progress::NotYet(why) => InstanceEventsOutcome::StillWaiting {
                instance,
                why: why.to_owned(),
            },
            Progress::Over | Progress::NotDone { .. } => {
                InstanceEventsOutcome::WaitEnded { instance }
            }
        })
    }
}
