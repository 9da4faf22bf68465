//! InstanceEvents.

use crate::reboot::{Reboot, SUCCESS};
use serde_json::{Value, json};
use simulator::{faults::Fault, stepfunctions::ExecutionStatus};
use tests::{World, fixtures, instance_id, mishap::calls_of};

const EVENTS: &str = "instance-events";

async fn event(r: &Reboot, event: Value, outcome: &str) -> Value {
    r.w.outcome(EVENTS, event, outcome).await
}

#[tokio::test(start_paused = true)]
async fn a_proven_reboot_with_its_agent_connected_ends_the_wait() {
    let r = Reboot::awaited().await;
    event(&r, r.command_event(SUCCESS), "WaitEnded").await;
    let ended = r.waiting_state();
    assert_eq!(ended.status, ExecutionStatus::Succeeded);
    assert_eq!(
        *ended.output.unwrap(),
        json!({ "instance": instance_id(1) })
    );
    assert_eq!(r.w.instance_record(1).await.task_token, None);
}

#[tokio::test(start_paused = true)]
async fn a_proven_reboot_waits_for_the_agent() {
    let r = Reboot::awaited().await;
    r.w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    let answer = event(&r, r.command_event(SUCCESS), "StillWaiting").await;
    assert_eq!(answer["why"], "the agent is not connected");
    // An event from before the reboot arrives late and says "connected": ECS itself is asked.
    event(&r, r.instance_event(true), "StillWaiting").await;
    assert_eq!(r.waiting_state().status, ExecutionStatus::Running);
    r.w.cloud.fleet.connect_agent(&instance_id(1));
    r.w.pass(2).await;
    event(&r, r.instance_event(true), "WaitEnded").await;
    assert_eq!(r.waiting_state().status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_flapping_agent_proves_nothing() {
    let r = Reboot::awaited().await;
    for _ in 0..5 {
        r.w.cloud.fleet.disconnect_agent(&instance_id(1), None);
        let answer = event(&r, r.instance_event(false), "StillWaiting").await;
        assert_eq!(answer["why"], "the reboot is not proven");
        r.w.cloud.fleet.connect_agent(&instance_id(1));
        r.w.pass(2).await;
        event(&r, r.instance_event(true), "StillWaiting").await;
    }
    assert_eq!(r.waiting_state().status, ExecutionStatus::Running);
    let asked = calls_of(&r.w, EVENTS);
    assert!(
        asked.iter().all(|c| c.service != "ecs"),
        "ECS is not asked before the proof"
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_that_did_not_reboot_fails_the_wait_with_the_commands_status() {
    for status in [
        "Failed",
        "TimedOut",
        "Cancelled",
        "DeliveryTimedOut",
        "Delivery Timed Out",
        "Undeliverable",
    ] {
        let r = Reboot::awaited().await;
        event(&r, r.command_event(status), "WaitEnded").await;
        r.assert_not_done(&format!("SSM command ended {}", status.replace(' ', "")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_not_final_says_nothing_and_costs_no_call() {
    let r = Reboot::awaited().await;
    let before = calls_of(&r.w, EVENTS).len();
    for status in [
        "Pending",
        "InProgress",
        "Delayed",
        "Cancelling",
        "Something New",
    ] {
        event(&r, r.command_event(status), "NotAwaited").await;
    }
    assert_eq!(calls_of(&r.w, EVENTS).len(), before);
}

#[tokio::test(start_paused = true)]
async fn duplicate_and_late_events_change_nothing_after_the_end() {
    let r = Reboot::awaited().await;
    event(&r, r.command_event(SUCCESS), "WaitEnded").await;
    for late in [r.command_event(SUCCESS), r.instance_event(true)] {
        let answer = event(&r, late, "StillWaiting").await;
        assert_eq!(answer["why"], "nobody waits");
    }
    event(&r, r.command_event("Failed"), "NotAwaited").await;
    r.w.outcome(
        "uncordon-instance",
        r.recovery.on(1, json!({})),
        "Uncordoned",
    )
    .await;
    let before = r.w.instances_as_they_are().await;
    for late in [
        r.command_event(SUCCESS),
        r.command_event("Failed"),
        r.instance_event(true),
    ] {
        event(&r, late, "NotAwaited").await;
    }
    assert_eq!(r.w.instances_as_they_are().await, before);
    assert_eq!(r.waiting_state().status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_success_is_never_taken_back() {
    let r = Reboot::new().await;
    event(&r, r.command_event(SUCCESS), "StillWaiting").await;
    event(&r, r.command_event("Failed"), "NotAwaited").await;
    r.w.outcome("await-instance", r.await_input(), "Over").await;
    assert_eq!(r.waiting_state().status, ExecutionStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn another_command_on_the_node_proves_nothing() {
    let r = Reboot::awaited().await;
    let mut other = r.command_event(SUCCESS);
    other["detail"]["command-id"] = json!("00000000-0000-4000-8000-000000000000");
    let answer = event(&r, other, "StillWaiting").await;
    assert_eq!(answer["why"], "the reboot is not proven");
    event(&r, r.command_event(SUCCESS), "WaitEnded").await;
}

#[tokio::test(start_paused = true)]
async fn other_instances_are_none_of_ours_and_get_no_item() {
    let r = Reboot::awaited().await;
    let before = r.w.instances_as_they_are().await;
    for name in fixtures::names("instance-")
        .into_iter()
        .chain(fixtures::names("command-"))
    {
        event(&r, fixtures::event(&name), "NotAwaited").await;
    }
    let mut foreign = r.command_event(SUCCESS);
    foreign["detail"]["instance-id"] = json!("eks-node-in-another-form");
    event(&r, foreign, "NotAwaited").await;
    let mut anonymous = r.instance_event(true);
    anonymous["detail"]
        .as_object_mut()
        .unwrap()
        .remove("ec2InstanceId");
    event(&r, anonymous, "NotAwaited").await;
    // An instance of the job that nobody reboots.
    let mut sibling = r.command_event(SUCCESS);
    sibling["detail"]["instance-id"] = json!(instance_id(0));
    event(&r, sibling, "NotAwaited").await;
    assert_eq!(r.w.instances_as_they_are().await, before);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_registers_anew_is_found_under_its_new_arn() {
    let r = Reboot::awaited().await;
    let old = "arn:aws:ecs:us-east-1:123456789012:container-instance/gpu-training/before";
    r.w.edit_instance(
        &instance_id(1),
        "container_instance_arn",
        json!({ "S": old }),
    )
    .await;
    let answer = event(&r, r.command_event(SUCCESS), "StillWaiting").await;
    assert_eq!(answer["why"], "the cluster does not know the instance");
    event(&r, r.instance_event(true), "WaitEnded").await;
    let arn = r.w.cloud.fleet.instance(&instance_id(1)).unwrap().arn;
    assert_eq!(
        r.w.instance_record(1)
            .await
            .container_instance_arn
            .unwrap()
            .as_str(),
        arn
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_killed_anywhere_is_made_good_by_its_second_delivery() {
    for nth in 1..=4 {
        for after_effect in [false, true] {
            let r = Reboot::awaited().await;
            tests::mishap::fault_at(&r.w, EVENTS, nth, Fault::KillCaller { after_effect });
            assert!(
                r.w.call_or_die(EVENTS, r.command_event(SUCCESS))
                    .await
                    .is_none()
            );
            r.w.wire().faults().set_plan(|_| Fault::Proceed);
            r.w.call(EVENTS, r.command_event(SUCCESS)).await.unwrap();
            assert_eq!(
                r.waiting_state().status,
                ExecutionStatus::Succeeded,
                "killed at {nth}, {after_effect}"
            );
            assert_eq!(r.w.instance_record(1).await.task_token, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_events_and_the_token_at_once_end_the_wait_once() {
    for _ in 0..3 {
        let r = Reboot::new().await;
        let (token, command, instance) = futures::join!(
            r.w.call("await-instance", r.await_input()),
            r.w.call(EVENTS, r.command_event(SUCCESS)),
            r.w.call(EVENTS, r.instance_event(true)),
        );
        let outcomes = [token.unwrap(), command.unwrap(), instance.unwrap()];
        assert_eq!(
            r.waiting_state().status,
            ExecutionStatus::Succeeded,
            "{outcomes:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_real_reboot_by_ssm_ends_the_wait_after_the_boot() {
    let w = World::with_job(2).await;
    // From here on events travel as on AWS.
    let recovery = w.claim_and_cordon(1).await;
    w.cloud
        .bus
        .set_delivery(simulator::eventbridge::Delivery::default());
    let (waiting, token) = w.waiting_execution().await;
    let record = w.instance_record(1).await;
    let script = [
        "#!/bin/bash".to_owned(),
        format!(
            "# gpu-recovery: reboot once, token={}",
            record.reboot_token.unwrap()
        ),
        "exit 194".to_owned(),
    ];
    let sent = w.cloud.ssm.api(
        "SendCommand",
        &json!({ "DocumentName": "AWS-RunShellScript", "InstanceIds": [instance_id(1)], "Parameters": { "commands": script } }),
    );
    let command = sent.unwrap()["Command"]["CommandId"].clone();
    let input = recovery.on(1, json!({ "commandId": command, "taskToken": token }));
    w.outcome("await-instance", input, "Waiting").await;
    let before = w.cloud.fleet.instance(&instance_id(1)).unwrap().reboots;
    let ended = w.cloud.stepfunctions.finished(&waiting).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Succeeded);
    let view = w.cloud.fleet.instance(&instance_id(1)).unwrap();
    assert_eq!(
        (view.reboots, view.up, view.agent_connected),
        (before + 1, true, true)
    );
}
