//! AwaitInstance.

use crate::reboot::{Reboot, SUCCESS};
use serde_json::json;
use simulator::{faults::Fault, stepfunctions::ExecutionStatus};
use tests::{World, instance_id};

const AWAIT: &str = "await-instance";

#[tokio::test(start_paused = true)]
async fn the_token_is_kept_and_the_state_waits() {
    let r = Reboot::new().await;
    let answer = r.w.outcome(AWAIT, r.await_input(), "Waiting").await;
    assert_eq!(answer["why"], "the node has not told another boot id");
    let record = r.w.instance_record(1).await;
    assert_eq!(record.task_token.as_deref(), Some(r.token.as_str()));
    assert_eq!(record.command_id.as_deref(), Some(r.command.as_str()));
    assert_eq!(r.waiting_state().status, ExecutionStatus::Running);
}

/// ECS says ACTIVE and connected before a reboot as well: only the node's own answer proves it.
#[tokio::test(start_paused = true)]
async fn an_agent_that_is_connected_is_no_proof() {
    let r = Reboot::new().await;
    r.w.outcome(AWAIT, r.await_input(), "Waiting").await;
    let asked = tests::faults::calls_of(&r.w, AWAIT);
    assert!(asked.iter().all(|c| c.service != "ecs"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_proven_reboot_whose_agent_is_connected_ends_the_wait_at_once() {
    let r = Reboot::new().await;
    r.w.outcome(AWAIT, r.proven_input(), "Over").await;
    r.assert_ended(true);
    assert_eq!(r.w.instance_record(1).await.task_token, None);
}

#[tokio::test(start_paused = true)]
async fn a_proven_reboot_waits_for_the_agent() {
    let r = Reboot::new().await;
    r.w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    let answer = r.w.outcome(AWAIT, r.proven_input(), "Waiting").await;
    assert_eq!(answer["why"], "the agent is not connected");
    r.w.cloud.fleet.connect_agent(&instance_id(1));
    r.w.pass(2).await;
    r.w.outcome(AWAIT, r.proven_input(), "Over").await;
    r.assert_ended(true);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_ecs_does_not_know_is_not_back() {
    let r = Reboot::new().await;
    let old = "arn:aws:ecs:us-east-1:123456789012:container-instance/gpu-training/before";
    r.w.edit_instance(
        &instance_id(1),
        "container_instance_arn",
        json!({ "S": old }),
    )
    .await;
    let answer = r.w.outcome(AWAIT, r.proven_input(), "Waiting").await;
    assert_eq!(answer["why"], "the cluster does not know the instance");
}

#[tokio::test(start_paused = true)]
async fn a_reboot_by_ec2_has_no_command() {
    let r = Reboot::new().await;
    let mut input = r.await_input();
    input["commandId"] = json!(null);
    r.w.outcome(AWAIT, input, "Waiting").await;
    // The order that came before it is none of this wait's any more.
    let answer =
        r.w.outcome("instance-events", r.command_event(SUCCESS), "StillWaiting")
            .await;
    assert_eq!(answer["why"], "it is another command");
}

#[tokio::test(start_paused = true)]
async fn a_second_token_takes_the_place_of_the_first() {
    let r = Reboot::new().await;
    r.w.outcome(AWAIT, r.await_input(), "Waiting").await;
    let (second, token) = r.w.waiting_execution().await;
    let mut input = r.await_input();
    input["taskToken"] = json!(token);
    r.w.outcome(AWAIT, input, "Waiting").await;
    r.w.outcome("instance-events", r.command_event(SUCCESS), "WaitEnded")
        .await;
    assert_eq!(
        r.waiting_state().status,
        ExecutionStatus::Running,
        "its token is forgotten"
    );
    let second = r.w.cloud.stepfunctions.describe(&second).unwrap();
    assert_eq!(second.status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_twice_waits_once() {
    let r = Reboot::new().await;
    r.w.outcome(AWAIT, r.await_input(), "Waiting").await;
    // The worker's answer was lost, and Step Functions calls it again.
    r.w.outcome(AWAIT, r.await_input(), "Waiting").await;
    r.w.outcome("instance-events", r.command_event(SUCCESS), "WaitEnded")
        .await;
    r.assert_ended(false);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_does_not_hold_the_instance_waits_for_nothing() {
    for (attribute, value) in [
        (
            "holder",
            json!({ "S": "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:other" }),
        ),
        ("holder", json!(null)),
        ("status", json!({ "S": "QUARANTINED" })),
        ("status", json!({ "S": "PENDING_HEALTHCHECK" })),
    ] {
        let r = Reboot::new().await;
        r.w.edit_instance(&instance_id(1), attribute, value).await;
        let error = r.w.call(AWAIT, r.await_input()).await.unwrap_err();
        assert_eq!(error.name(), "ClaimLost");
        assert_eq!(r.w.instance_record(1).await.task_token, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_an_item_is_not_held_and_none_is_made() {
    let r = Reboot::new().await;
    r.w.delete_instance_record(&instance_id(1)).await;
    assert_eq!(
        r.w.call(AWAIT, r.await_input()).await.unwrap_err().name(),
        "ClaimLost"
    );
    let items =
        r.w.items(&r.w.cloud.settings.container_instance_table)
            .await;
    assert!(
        items
            .iter()
            .all(|item| item["instance_id"] != instance_id(1))
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_killed_anywhere_is_ended_by_the_next_call() {
    // Store the token, ask ECS, end the wait, forget the token.
    for nth in 1..=4 {
        for after_effect in [false, true] {
            let r = Reboot::new().await;
            tests::faults::fault_at(&r.w, AWAIT, nth, Fault::KillCaller { after_effect });
            assert!(r.w.call_or_die(AWAIT, r.proven_input()).await.is_none());
            r.w.wire().faults().set_plan(|_| Fault::Proceed);
            r.w.outcome(AWAIT, r.proven_input(), "Over").await;
            r.assert_ended(true);
            assert_eq!(r.w.instance_record(1).await.task_token, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn step_functions_out_of_reach_leaves_the_token_for_the_next_call() {
    let r = Reboot::new().await;
    r.w.wire().faults().set_plan(|call| match call.action {
        "SendTaskSuccess" => Fault::server_error(),
        _ => Fault::Proceed,
    });
    let error = r.w.call(AWAIT, r.proven_input()).await.unwrap_err();
    assert_eq!(error.name(), "AwsUnavailable");
    assert!(
        error.to_string().contains("states:SendTaskSuccess"),
        "{error}"
    );
    r.w.wire().faults().set_plan(|_| Fault::Proceed);
    r.w.outcome(AWAIT, r.proven_input(), "Over").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_the_wait_s_end_is_no_error() {
    let r = Reboot::new().await;
    r.w.wire()
        .faults()
        .set_plan(|call| match (call.action, call.nth) {
            ("SendTaskSuccess", 1) => Fault::FailAfterEffect,
            _ => Fault::Proceed,
        });
    r.w.outcome(AWAIT, r.proven_input(), "Over").await;
    r.assert_ended(true);
}

#[tokio::test(start_paused = true)]
async fn a_wait_whose_execution_was_stopped_is_over() {
    let r = Reboot::new().await;
    r.w.end(&r.waiting);
    r.w.outcome(AWAIT, r.proven_input(), "Over").await;
    assert_eq!(r.waiting_state().status, ExecutionStatus::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_hybrid_node_is_awaited_like_any_other() {
    let w = World::new().await;
    let node = "mi-0123456789abcdef0";
    w.cloud
        .fleet
        .add_instance(simulator::ecs::NewInstance::p5(node));
    w.submit(tests::JOB, [node.to_owned()]).await.unwrap();
    w.pass(90).await;
    let recovery = w.claim_and_stop(0).await;
    let on_node = |more| {
        let mut input = recovery.on(0, more);
        input["instance"] = json!(node);
        input
    };
    w.outcome(
        "cordon-instance",
        on_node(json!({ "exitCode": 1, "startedAt": "2026-01-05T00:00:00Z" })),
        "Cordoned",
    )
    .await;
    let (waiting, token) = w.waiting_execution().await;
    let input = on_node(json!({ "commandId": "c-1", "proven": false, "taskToken": token }));
    w.outcome(AWAIT, input, "Waiting").await;
    let event = json!({
        "detail-type": "EC2 Command Invocation Status-change Notification",
        "detail": { "command-id": "c-1", "instance-id": node, "status": "Success" },
    });
    w.outcome("instance-events", event, "WaitEnded").await;
    assert_eq!(
        w.cloud.stepfunctions.describe(&waiting).unwrap().status,
        ExecutionStatus::Succeeded
    );
}
