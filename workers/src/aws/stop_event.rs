//! A stop event of a task, made from what ECS describes, in the shape that EventBridge delivers it (ECS developer guide,
//! ecs_task_events): the members that the state machine and its workers read.

use crate::{decisions::exit::GONE, ids::TaskArn};
use aws_sdk_ecs::{primitives::DateTimeFormat, types::Task};
use serde_json::{Value, json};

/// Tells these events from AWS's own.
pub const SOURCE: &str = "gpu-recovery";

/// The event of a task that ECS still describes.
pub fn of(task: &Task) -> Value {
    let time = |at: Option<&aws_sdk_ecs::primitives::DateTime>| {
        at.and_then(|at| at.fmt(DateTimeFormat::DateTime).ok())
    };
    let containers: Vec<Value> = task
        .containers()
        .iter()
        .map(|c| {
            without_nulls(json!({
                "name": c.name(),
                "lastStatus": c.last_status(),
                "exitCode": c.exit_code(),
                "reason": c.reason(),
                "gpuIds": (!c.gpu_ids().is_empty()).then(|| c.gpu_ids()),
            }))
        })
        .collect();
    envelope(without_nulls(json!({
        "taskArn": task.task_arn(),
        "clusterArn": task.cluster_arn(),
        "containerInstanceArn": task.container_instance_arn(),
        "taskDefinitionArn": task.task_definition_arn(),
        "group": task.group(),
        "startedBy": task.started_by(),
        "lastStatus": task.last_status(),
        "desiredStatus": task.desired_status(),
        "createdAt": time(task.created_at()),
        "executionStoppedAt": time(task.execution_stopped_at()),
        "stoppedAt": time(task.stopped_at()),
        "stopCode": task.stop_code().map(|code| code.as_str()),
        "stoppedReason": task.stopped_reason(),
        "containers": containers,
    })))
}

/// The event of a task that ECS has forgotten.
pub fn of_gone(task: &TaskArn) -> Value {
    envelope(json!({
        "taskArn": task,
        "lastStatus": "STOPPED",
        "desiredStatus": "STOPPED",
        "stopCode": GONE,
        "stoppedReason": "ECS does not know the task any more",
        "containers": [],
    }))
}

fn envelope(detail: Value) -> Value {
    json!({
        "source": SOURCE,
        "detail-type": "ECS Task State Change",
        "resources": [detail["taskArn"]],
        "detail": detail,
    })
}

/// AWS leaves out what it has no value for.
fn without_nulls(mut value: Value) -> Value {
    if let Some(members) = value.as_object_mut() {
        members.retain(|_, member| !member.is_null());
    }
    value
}
