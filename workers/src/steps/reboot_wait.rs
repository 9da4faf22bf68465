//! When the wait for a rebooted instance is over: the reboot is PROVEN by its SSM command AND ECS says, asked after
//! that proof, that the agent is connected. Both kinds of event and the step that stores the token come here.

use crate::{Context, WorkerError, ids::ContainerInstanceArn, records::InstanceRecord};
use aws_sdk_ecs::types::ContainerInstance;
use serde_json::json;

/// The error that ends the wait when the node's agent has not taken the order: the node was not rebooted.
const NOT_DONE: &str = "RebootNotDone";
/// The error that ends the wait when the node may have rebooted or not, or refused to.
const UNCLEAR: &str = "RebootUnclear";

/// So long after the hold an order that is given up was one that the agent never took: RebootInstance lets it wait for
/// 120 s. Later it may be one that was taken, and whose end nobody reported.
const NOT_TAKEN_WITHIN_SECONDS: i64 = 300;

/// How far the reboot is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    NotYet(&'static str),
    /// The wait is over, or there is none.
    Over,
    NotDone {
        error: &'static str,
        why: String,
    },
}

/// Looks where the reboot stands, and ends the wait when it is over.
pub(super) async fn settle(
    ctx: &Context,
    record: &InstanceRecord,
) -> Result<Progress, WorkerError> {
    let Some(token) = &record.task_token else {
        return Ok(Progress::NotYet("nobody waits"));
    };
    let progress = match proof(record, ctx.clock.epoch_seconds()) {
        Proof::None => Progress::NotYet("the reboot is not proven"),
        Proof::NotTaken(why) => Progress::NotDone {
            error: NOT_DONE,
            why,
        },
        Proof::Unclear(why) => Progress::NotDone {
            error: UNCLEAR,
            why,
        },
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
        Progress::NotDone { error, why } => ctx.executions.fail(token, error, why).await?,
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
    NotTaken(String),
    Unclear(String),
}

/// What the SSM command says. Its final statuses: Systems Manager user guide, monitor-commands. `now` in seconds since
/// the Unix epoch.
fn proof(record: &InstanceRecord, now: i64) -> Proof {
    let status = record
        .command_id
        .as_ref()
        .and_then(|id| record.commands.get(id));
    match status.map(String::as_str) {
        None => Proof::None,
        Some("Success") => Proof::Rebooted,
        Some(other) => {
            let why = format!("SSM command ended {other}");
            let given_up = matches!(
                other,
                "TimedOut" | "DeliveryTimedOut" | "Undeliverable" | "Terminated"
            );
            let soon = record
                .faults
                .last()
                .is_some_and(|held| now - held < NOT_TAKEN_WITHIN_SECONDS);
            if given_up && soon {
                Proof::NotTaken(why)
            } else {
                Proof::Unclear(why)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELD: i64 = 1_800_000_000;

    fn record(command: &str, status: &str) -> InstanceRecord {
        serde_json::from_value(json!({
            "instance_id": "i-00000001",
            "status": "REBOOTING",
            "faults": [HELD - 7200, HELD],
            "command_id": "the-command",
            "commands": { command: status },
            "updated_at": "",
        }))
        .unwrap()
    }

    fn said(command: &str, status: &str, seconds_after_the_hold: i64) -> &'static str {
        match proof(&record(command, status), HELD + seconds_after_the_hold) {
            Proof::None => "nothing",
            Proof::Rebooted => "rebooted",
            Proof::NotTaken(_) => "not taken",
            Proof::Unclear(_) => "unclear",
        }
    }

    /// An order that ends so late may be one that was taken: to ask EC2 then would reboot the node a second time.
    #[test]
    fn an_order_is_known_to_be_not_taken_only_when_it_is_given_up_soon() {
        for status in [
            "TimedOut",
            "DeliveryTimedOut",
            "Undeliverable",
            "Terminated",
        ] {
            assert_eq!(said("the-command", status, 130), "not taken");
            assert_eq!(said("the-command", status, 299), "not taken");
            assert_eq!(said("the-command", status, 300), "unclear");
            assert_eq!(said("the-command", status, 3600), "unclear");
        }
        for status in ["Failed", "Cancelled", "AccessDenied"] {
            assert_eq!(said("the-command", status, 10), "unclear");
        }
    }

    #[test]
    fn only_the_success_of_this_reboots_command_proves_it() {
        assert_eq!(said("the-command", "Success", 3600), "rebooted");
        assert_eq!(said("an-earlier-one", "Success", 10), "nothing");
    }
}
