//! When the wait for a rebooted instance is over: the reboot is PROVEN by its SSM command AND ECS says, asked after
//! that proof, that the agent is connected. Both kinds of event and the step that stores the token come here.

use crate::{Context, WorkerError, ids::ContainerInstanceArn, records::InstanceRecord};
use aws_sdk_ecs::types::ContainerInstance;
use serde_json::json;

/// The error that ends the wait when the node was not rebooted.
pub(super) const NOT_DONE: &str = "RebootNotDone";

/// How far the reboot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    NotYet(&'static str),
    /// The wait is over, or there is none.
    Over,
    NotDone(String),
}

/// Looks where the reboot stands, and ends the wait when it is over.
pub(super) async fn settle(
    ctx: &Context,
    record: &InstanceRecord,
) -> Result<Progress, WorkerError> {
    let Some(token) = &record.task_token else {
        return Ok(Progress::NotYet("nobody waits"));
    };
    let progress = match proof(record) {
        Proof::None => Progress::NotYet("the reboot is not proven"),
        Proof::NotRebooted(why) => Progress::NotDone(why),
        Proof::Rebooted => match &record.container_instance_arn {
            None => Progress::NotYet("the container instance is unknown"),
            Some(arn) => back(ctx, arn).await?,
        },
    };
    match &progress {
        Progress::NotYet(_) => return Ok(progress),
        Progress::Over => {
            let output = json!({ "instance": record.instance_id });
            ctx.executions.succeed(token, &output).await?;
        }
        Progress::NotDone(why) => ctx.executions.fail(token, NOT_DONE, why).await?,
    }
    ctx.instances
        .forget_wait(&record.instance_id, token)
        .await?;
    Ok(progress)
}

async fn back(ctx: &Context, arn: &ContainerInstanceArn) -> Result<Progress, WorkerError> {
    Ok(match ctx.fleet.container_instance(arn).await? {
        Some(instance) if is_back(&instance) => Progress::Over,
        Some(_) => Progress::NotYet("the agent is not connected"),
        None => Progress::NotYet("the cluster does not know the instance"),
    })
}

/// DRAINING is our own cordon; UncordonInstance sets it ACTIVE.
fn is_back(instance: &ContainerInstance) -> bool {
    instance.agent_connected() && matches!(instance.status(), Some("ACTIVE" | "DRAINING"))
}

enum Proof {
    None,
    Rebooted,
    NotRebooted(String),
}

/// What the SSM command says. Its final statuses: Systems Manager user guide, monitor-commands.
fn proof(record: &InstanceRecord) -> Proof {
    let status = record
        .command_id
        .as_ref()
        .and_then(|id| record.commands.get(id));
    match status.map(String::as_str) {
        None => Proof::None,
        Some("Success") => Proof::Rebooted,
        Some(other) => Proof::NotRebooted(format!("SSM command ended {other}")),
    }
}
