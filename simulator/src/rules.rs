//! The EventBridge rules that feed the system, as the template deploys them.

use crate::{
    eventbridge::{Bus, PatternError},
    lambda::Lambda,
    ssm::REBOOT,
    wire::Wire,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{task::AbortHandle, time::sleep};

/// A stopped task of the cluster; our own StopTask and the health checks are filtered out. A field that is missing
/// matches no `anything-but` (EventBridge user guide, eb-create-pattern-operators), hence the `$or`.
pub fn task_stopped(cluster_arn: &str, health_check_family: &str) -> Value {
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {
            "clusterArn": [cluster_arn],
            "lastStatus": ["STOPPED"],
            "group": [{ "anything-but": [format!("family:{health_check_family}")] }],
            "$or": [
                { "stoppedReason": [{ "exists": false }] },
                { "stoppedReason": [{ "anything-but": { "prefix": "gpu-recovery:" } }] },
            ],
        },
    })
}

/// An instance of the cluster whose agent is connected and which may be one that we rebooted: it is DRAINING, as we left
/// it. The many events of tasks that come and go are filtered out. One that registered anew is ACTIVE, and its wait looks
/// by itself.
pub fn instance_changed(cluster_arn: &str) -> Value {
    json!({
        "source": ["aws.ecs"],
        "detail-type": ["ECS Container Instance State Change"],
        "detail": {
            "clusterArn": [cluster_arn],
            "agentConnected": [true],
            "status": ["DRAINING"],
        },
    })
}

/// A node has run a reboot order to its end: there was nothing to do, or it refused. That SSM has given one up says nothing.
pub fn command_ended() -> Value {
    json!({
        "source": ["aws.ssm"],
        "detail-type": ["EC2 Command Invocation Status-change Notification"],
        "detail": {
            "document-name": [REBOOT],
            "status": ["Success", "Failed"],
        },
    })
}

/// An execution that needs an operator.
pub fn execution_failed(state_machine_arn: &str) -> Value {
    json!({
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {
            "stateMachineArn": [state_machine_arn],
            "status": ["FAILED", "TIMED_OUT", "ABORTED"],
        },
    })
}

/// How often lost stops are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// The schedule `rate(5 minutes)`.
pub fn look_regularly(lambda: &Lambda) -> AbortHandle {
    let lambda = lambda.clone();
    let look = async move {
        loop {
            sleep(LOOK_EVERY).await;
            let event =
                json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
            lambda.invoke_async("look-for-lost-stops", event);
        }
    };
    tokio::spawn(look).abort_handle()
}

/// Puts all rules on the bus.
///
/// # Errors
/// When EventBridge would refuse a pattern.
pub fn deploy(
    bus: &Bus,
    wire: &Wire,
    lambda: &Lambda,
    cluster_arn: &str,
    health_check_family: &str,
    state_machine_arn: &str,
    alias_arn: &str,
) -> Result<(), PatternError> {
    let (wire, machine) = (wire.clone(), alias_arn.to_owned());
    let start = Arc::new(move |event: Value| {
        let (wire, machine) = (wire.clone(), machine.clone());
        let start: futures::future::BoxFuture<'static, Result<(), String>> = Box::pin(async move {
            let body = json!({ "stateMachineArn": machine, "input": event.to_string() });
            let started = wire.internal_call("eventbridge", "states", "StartExecution", body);
            started.await.map(drop).map_err(|e| e.code)
        });
        start
    });
    bus.rule(
        "task-stopped",
        &task_stopped(cluster_arn, health_check_family),
        start,
    )?;
    let call = |function: &'static str| {
        let lambda = lambda.clone();
        Arc::new(move |event: Value| {
            lambda.invoke_async(function, event);
            let taken: futures::future::BoxFuture<'static, Result<(), String>> =
                Box::pin(async { Ok(()) });
            taken
        })
    };
    let instance_events = call("instance-events");
    bus.rule(
        "instance-changed",
        &instance_changed(cluster_arn),
        instance_events.clone(),
    )?;
    bus.rule("command-ended", &command_ended(), instance_events)?;
    let pattern = execution_failed(state_machine_arn);
    bus.rule(
        "execution-failed",
        &pattern,
        call("notify-failed-execution"),
    )
}
