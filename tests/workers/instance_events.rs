//! InstanceEvents.

use crate::reboot::{Reboot, SUCCESS};
use serde_json::{Value, json};
use simulator::{faults::Fault, stepfunctions::ExecutionStatus};
use tests::{World, faults::calls_of, fixtures, instance_id};

const EVENTS: &str = "instance-events";

async fn event(r: &Reboot, event: Value, outcome: &str) -> Value {
    r.w.outcome(EVENTS, event, outcome).await
}

/// Whatever became of the order: the node is asked. A refusal is told by its script, not by the event.
#[tokio::test(start_paused = true)]
async fn the_end_of_the_order_lets_the_state_machine_look_at_once() {
    for status in [SUCCESS, "Failed"] {
        let r = Reboot::awaited().await;
        event(&r, r.command_event(status), "WaitEnded").await;
        r.assert_ended(false);
        assert_eq!(r.w.instance_record(1).await.task_token, None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_connects_lets_the_state_machine_look() {
    let r = Reboot::awaited().await;
    r.w.pass(300).await;
    event(&r, r.instance_event(true), "WaitEnded").await;
    r.assert_ended(false);
}

/// The cordon itself is a change of the instance, and an agent comes and goes.
#[tokio::test(start_paused = true)]
async fn what_happens_in_the_first_half_minute_is_no_reason_to_look() {
    let r = Reboot::awaited().await;
    for _ in 0..5 {
        let answer = event(&r, r.instance_event(true), "StillWaiting").await;
        assert_eq!(answer["why"], "the wait has only begun");
        r.w.pass(5).await;
    }
    r.w.pass(10).await;
    event(&r, r.instance_event(true), "WaitEnded").await;
}

#[tokio::test(start_paused = true)]
async fn where_a_question_waits_for_the_node_whatever_is_heard_of_it_is_a_reason_to_look() {
    let r = Reboot::new().await;
    let mut input = r.proven_input();
    input["proven"] = json!(false);
    input["asked"] = json!(true);
    r.w.outcome("await-instance", input, "Waiting").await;
    event(&r, r.instance_event(true), "WaitEnded").await;
    r.assert_ended(false);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_the_agent_alone_is_told_at_once() {
    let r = Reboot::new().await;
    r.w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    r.w.outcome("await-instance", r.proven_input(), "Waiting")
        .await;
    let answer = event(&r, r.instance_event(false), "StillWaiting").await;
    assert_eq!(answer["why"], "the agent is not connected");
    r.w.cloud.fleet.connect_agent(&instance_id(1));
    r.w.pass(2).await;
    event(&r, r.instance_event(true), "WaitEnded").await;
    r.assert_ended(false);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_node_has_not_run_says_nothing_and_costs_no_call() {
    let r = Reboot::awaited().await;
    let before = calls_of(&r.w, EVENTS).len();
    for status in [
        "Pending",
        "InProgress",
        "Delayed",
        "Cancelling",
        "Cancelled",
        "TimedOut",
        "Delivery Timed Out",
        "Undeliverable",
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
    let answer = event(&r, r.command_event(SUCCESS), "StillWaiting").await;
    assert_eq!(answer["why"], "nobody waits");
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
    r.assert_ended(false);
}

#[tokio::test(start_paused = true)]
async fn another_command_on_the_node_says_nothing() {
    let r = Reboot::awaited().await;
    let mut other = r.command_event(SUCCESS);
    other["detail"]["command-id"] = json!("00000000-0000-4000-8000-000000000000");
    let answer = event(&r, other, "StillWaiting").await;
    assert_eq!(answer["why"], "it is another command");
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
async fn an_instance_that_registers_anew_is_known_by_its_new_arn() {
    let r = Reboot::awaited().await;
    let old = "arn:aws:ecs:us-east-1:123456789012:container-instance/gpu-training/before";
    r.w.edit_instance(
        &instance_id(1),
        "container_instance_arn",
        json!({ "S": old }),
    )
    .await;
    event(&r, r.instance_event(true), "StillWaiting").await;
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
    // Read the item, end the wait, forget the token.
    for nth in 1..=3 {
        for after_effect in [false, true] {
            let r = Reboot::awaited().await;
            tests::faults::fault_at(&r.w, EVENTS, nth, Fault::KillCaller { after_effect });
            assert!(
                r.w.call_or_die(EVENTS, r.command_event(SUCCESS))
                    .await
                    .is_none()
            );
            r.w.wire().faults().set_plan(|_| Fault::Proceed);
            r.w.call(EVENTS, r.command_event(SUCCESS)).await.unwrap();
            r.assert_ended(false);
            assert_eq!(r.w.instance_record(1).await.task_token, None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn both_events_and_the_token_at_once_end_the_wait_once_or_leave_it_to_the_next_look() {
    for _ in 0..3 {
        let r = Reboot::new().await;
        let (token, command, instance) = futures::join!(
            r.w.call("await-instance", r.await_input()),
            r.w.call(EVENTS, r.command_event(SUCCESS)),
            r.w.call(EVENTS, r.instance_event(true)),
        );
        for outcome in [token, command, instance] {
            outcome.unwrap();
        }
        let status = r.waiting_state().status;
        let kept = r.w.instance_record(1).await.task_token.is_some();
        assert_eq!(kept, status == ExecutionStatus::Running, "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_real_reboot_is_heard_of_when_the_agent_is_back() {
    let w = World::with_job(2).await;
    // From here on events travel as on AWS.
    let recovery = w.claim_and_cordon(1).await;
    w.cloud
        .bus
        .set_delivery(simulator::eventbridge::Delivery::default());
    let boot = w.cloud.fleet.instance(&instance_id(1)).unwrap().boot_id;
    let sent = w.cloud.ssm.api(
        "SendCommand",
        &json!({ "DocumentName": simulator::ssm::REBOOT, "InstanceIds": [instance_id(1)],
            "TimeoutSeconds": 30, "Parameters": { "BootId": [boot], "UntilUptime": ["999999999"] } }),
    );
    let command = sent.unwrap()["Command"]["CommandId"].clone();
    let (waiting, token) = w.waiting_execution().await;
    let input = recovery.on(
        1,
        json!({ "commandId": command, "proven": false, "taskToken": token }),
    );
    w.outcome("await-instance", input, "Waiting").await;
    let ended = w.cloud.stepfunctions.finished(&waiting).await.unwrap();
    assert_eq!(ended.status, ExecutionStatus::Succeeded);
    let view = w.cloud.fleet.instance(&instance_id(1)).unwrap();
    assert_eq!(
        (view.reboots, view.up, view.agent_connected),
        (1, true, true)
    );
}
