//! How the wait for a rebooted instance ends. Nothing here proves a reboot: the state machine asks the node for its boot
//! id. An event only makes it ask sooner, and ECS says whether the agent is connected.

use crate::{Context, WorkerError, records::InstanceRecord};
use serde_json::json;

/// What ends a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The instance is back: the agent is connected, asked after the proof.
    Back,
    /// Something has happened: the state machine shall look at once.
    Look,
}

/// Ends the wait, if somebody waits, and forgets it. An answer that was given before is no error.
pub(super) async fn end(
    ctx: &Context,
    record: &InstanceRecord,
    how: End,
) -> Result<(), WorkerError> {
    let Some(token) = &record.task_token else {
        return Ok(());
    };
    let output = json!({ "instance": record.instance_id, "back": how == End::Back });
    ctx.executions.succeed(token, &output).await?;
    ctx.instances.forget_wait(&record.instance_id, token).await
}

/// Why the instance is not back; `None` when it is. DRAINING is our own cordon; UncordonInstance sets it ACTIVE.
pub(super) async fn back(
    ctx: &Context,
    record: &InstanceRecord,
) -> Result<Option<&'static str>, WorkerError> {
    let Some(arn) = &record.container_instance_arn else {
        return Ok(Some("the container instance is unknown"));
    };
    Ok(match ctx.fleet.container_instance(arn).await? {
        Some(found)
            if found.agent_connected() && matches!(found.status(), Some("ACTIVE" | "DRAINING")) =>
        {
            None
        }
        Some(_) => Some("the agent is not connected"),
        None => Some("the cluster does not know the instance"),
    })
}
