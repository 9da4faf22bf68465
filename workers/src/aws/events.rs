//! EventBridge events as AWS sends them. Fields that we do not read are allowed: AWS adds some from time to time.

use crate::{
    aws::launch_names::is_launch,
    context::parse_time,
    decisions::exit::{ContainerEnd, TaskEnd},
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, TaskArn},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `ECS Task State Change` with lastStatus STOPPED (ECS developer guide, ecs_task_events).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TaskStateChange {
    pub detail: TaskDetail,
}

/// The part of the event's Task that the recovery reads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskDetail {
    pub task_arn: TaskArn,
    /// RFC 3339.
    #[serde(default)]
    pub created_at: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub stopped_at: Option<String>,
    /// "The Unix timestamp for the time when the task execution stopped" (API_Task): when its container ended. RFC 3339.
    #[serde(default)]
    pub execution_stopped_at: Option<String>,
    #[serde(default)]
    pub started_by: Option<String>,
    #[serde(default)]
    pub stop_code: Option<String>,
    #[serde(default)]
    pub stopped_reason: Option<String>,
    #[serde(default)]
    pub containers: Vec<ContainerDetail>,
}

/// One container of the event's task.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerDetail {
    #[serde(default)]
    pub name: String,
    /// Missing when the container was killed or never started.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// Why it ended or did not start, in the agent's words.
    #[serde(default)]
    pub reason: Option<String>,
    #[serde(default)]
    pub gpu_ids: Vec<String>,
}

/// A task that stopped is expected in the table, and in its index, so long after it was created. Before that an
/// unknown task may be a rank whose launcher has not written it down yet.
const RECORDED_WITHIN_SECONDS: i64 = 60;
/// `submit` records its tasks when it has started the last of them, minutes after the first where ECS throttles it. The
/// retries of NotSettledYet last a little longer.
const SUBMITTED_WITHIN_SECONDS: i64 = 600;

impl TaskDetail {
    /// How the task ended.
    pub fn end(&self) -> TaskEnd {
        TaskEnd {
            stop_code: self.stop_code.clone(),
            stopped_reason: self.stopped_reason.clone(),
            containers: self
                .containers
                .iter()
                .map(|c| ContainerEnd {
                    name: c.name.clone(),
                    exit_code: c.exit_code,
                    reason: c.reason.clone(),
                    has_gpus: !c.gpu_ids.is_empty(),
                })
                .collect(),
        }
    }

    /// When its container ended, or else the task; RFC 3339.
    pub fn ended_at(&self) -> Option<&str> {
        let known = self.execution_stopped_at.as_deref();
        known.or(self.stopped_at.as_deref())
    }

    /// True while the task is so young that its record, or those of its job's other ranks, may still be on their way.
    pub fn may_be_unrecorded(&self, now: i64) -> bool {
        let within = match &self.started_by {
            Some(by) if is_launch(by) => SUBMITTED_WITHIN_SECONDS,
            _ => RECORDED_WITHIN_SECONDS,
        };
        self.created_at
            .as_deref()
            .and_then(parse_time)
            .is_some_and(|created| now - created < within)
    }
}

/// What the instance-events worker is fed with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "detail-type", content = "detail")]
pub enum InstanceEvent {
    /// ECS developer guide, ecs_container_instance_events.
    #[serde(rename = "ECS Container Instance State Change")]
    ContainerInstance(ContainerInstanceDetail),
    /// Systems Manager user guide, monitoring-systems-manager-event-examples (Run Command).
    #[serde(rename = "EC2 Command Invocation Status-change Notification")]
    CommandInvocation(CommandInvocationDetail),
}

/// The part of the container instance that the recovery reads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerInstanceDetail {
    pub container_instance_arn: ContainerInstanceArn,
    #[serde(default)]
    pub ec2_instance_id: Option<InstanceId>,
    #[serde(default)]
    pub agent_connected: bool,
}

/// One node's part of a Run Command.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CommandInvocationDetail {
    pub command_id: String,
    /// Other managed nodes have ids of other forms; they are none of ours.
    pub instance_id: String,
    pub status: String,
}

/// `Step Functions Execution Status Change` (Step Functions developer guide, eventbridge-integration).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ExecutionStatusChange {
    pub detail: ExecutionDetail,
}

/// The part of the execution that the notification reads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionDetail {
    pub execution_arn: ExecutionArn,
    pub status: EndedBadly,
    /// Milliseconds since the epoch.
    #[serde(default)]
    pub stop_date: Option<i64>,
    /// The execution's input as a JSON string; AWS leaves it out when it is too large for an event.
    #[serde(default)]
    pub input: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub cause: Option<String>,
}

/// The statuses that need an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EndedBadly {
    Failed,
    TimedOut,
    Aborted,
}
