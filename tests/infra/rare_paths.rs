//! What no scenario comes to by itself, laid out by hand: recoveries that ended half way, and races.

use serde_json::{Value, json};
use simulator::{faults::Fault, wire::CallRecord};
use std::future::Future;
use tests::{JOB, Recovery, World, fixtures, instance_id};
use workers::records::InstanceStatus;

/// Every call of all of them.
pub fn calls() -> Vec<CallRecord> {
    [
        played(a_half_started_relaunch_is_gone_on_with_by_the_next_try()),
        played(a_relaunch_that_lacks_a_place_is_undone()),
        played(a_half_started_relaunch_is_undone_when_the_job_is_failed()),
        played(a_half_started_relaunch_is_undone_by_the_recovery_that_takes_over()),
        played(an_instance_that_an_ended_recovery_left_cordoned_is_checked_again()),
        played(an_accused_instance_that_an_ended_recovery_left_cordoned_is_checked_again()),
        played(an_instance_of_a_lost_job_is_quarantined_when_an_operator_has_stopped_it()),
        played(an_instance_of_a_lost_job_is_quarantined_when_it_is_complete()),
        played(an_instance_of_a_lost_job_is_quarantined_when_it_has_failed()),
        played(the_instance_of_a_task_that_does_not_stop_is_quarantined()),
        played(an_instance_that_another_recovery_holds_is_refused()),
        played(an_order_that_is_refused_while_it_is_awaited()),
        played(an_instance_that_is_back_before_the_token_came()),
        played(a_stop_that_nobody_was_told_of_is_found()),
        played(a_job_that_an_operator_stopped_is_not_looked_at_when_no_rank_runs()),
        played(an_instance_whose_check_by_hand_died_is_checked_again()),
        played(a_node_whose_repair_was_broken_off_is_quarantined_when_the_job_leaves_it()),
        played(a_half_started_relaunch_is_undone_before_spares_are_held()),
    ]
    .concat()
}

fn played(path: impl Future<Output = World>) -> Vec<CallRecord> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(path).wire().calls()
}

/// A relaunch whose worker died when it had started the tasks and recorded one of them: its record says later that it ended.
async fn half_started() -> (World, Recovery) {
    let w = World::with_job(3).await;
    let recovery = w.claim_and_stop(1).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            ("relaunch-job", "PutItem" | "BatchWriteItem") => {
                Fault::KillCaller { after_effect: true }
            }
            _ => Fault::Proceed,
        });
    let relaunch = recovery.input(json!({ "instances": [] }));
    assert!(w.call_or_die("relaunch-job", relaunch).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(30).await;
    (w, recovery)
}

/// And the spare is one that an ended execution held.
async fn a_half_started_relaunch_is_undone_before_spares_are_held() -> World {
    let (w, recovery) = half_started().await;
    w.stand_by(3, "default");
    let ended = w.ended_execution();
    for (name, value) in [
        ("status", json!({ "S": "HELD" })),
        ("holder", json!({ "S": ended })),
        ("job_id", json!({ "S": "bert" })),
    ] {
        w.edit_instance(&instance_id(3), name, value).await;
    }
    w.pass(600).await;
    let hold = recovery.input(json!({
        "suspects": [{ "instance": instance_id(1), "rank": 1 }], "repair": true, "refusedBefore": null,
    }));
    w.settled_outcome("hold-spares", hold, "Held").await;
    w
}

async fn a_half_started_relaunch_is_gone_on_with_by_the_next_try() -> World {
    let (w, recovery) = half_started().await;
    let relaunch = recovery.input(json!({ "instances": [] }));
    w.settled_outcome("relaunch-job", relaunch, "Relaunched")
        .await;
    w
}

async fn a_relaunch_that_lacks_a_place_is_undone() -> World {
    let w = World::with_job(3).await;
    let recovery = w.claim_and_stop(1).await;
    let other = w.submit("other-job", [instance_id(2)]).await;
    other.expect("its rank has left the place");
    let relaunch = recovery.input(json!({ "instances": [] }));
    let error = w.call("relaunch-job", relaunch).await;
    assert_eq!(error.expect_err("a place is taken").name(), "NotPlaced");
    w
}

async fn a_half_started_relaunch_is_undone_when_the_job_is_failed() -> World {
    let (w, recovery) = half_started().await;
    let fail = json!({ "reason": "RelaunchNotPlaced", "checks": [], "recoveries": [] });
    w.settled_outcome("fail-job", recovery.input(fail), "Failed")
        .await;
    w
}

async fn a_half_started_relaunch_is_undone_by_the_recovery_that_takes_over() -> World {
    let (w, first) = half_started().await;
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    w.settled_outcome("stop-siblings", second.input(json!({})), "Stopped")
        .await;
    w
}

async fn an_instance_that_an_ended_recovery_left_cordoned_is_checked_again() -> World {
    let w = World::with_job(2).await;
    let first = w.claim_and_cordon(1).await;
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    w.outcome("stop-siblings", second.input(json!({})), "Stopped")
        .await;
    assert_eq!(w.ecs_status(1), "ACTIVE");
    w
}

async fn a_node_whose_repair_was_broken_off_is_quarantined_when_the_job_leaves_it() -> World {
    let w = World::with_job(2).await;
    w.stand_by(2, "default");
    let first = w.claim_and_cordon(1).await;
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    let suspects = json!([{ "instance": instance_id(1), "rank": 1 }]);
    let hold = json!({ "suspects": suspects, "repair": false, "refusedBefore": null });
    let held = w.outcome("hold-spares", second.input(hold), "Held").await;
    let relaunch = second.input(json!({ "instances": [], "places": held["places"] }));
    w.outcome("relaunch-job", relaunch, "Relaunched").await;
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Quarantined);
    assert_eq!(w.ecs_status(1), "DRAINING");
    w
}

async fn an_instance_whose_check_by_hand_died_is_checked_again() -> World {
    let w = World::new().await;
    w.instances(2);
    let first = w.running_execution();
    let claim = |execution: &str| {
        let request = json!({ "instance": instance_id(1), "by": "ann", "reason": "it is back" });
        json!({ "execution": execution, "request": request })
    };
    w.outcome("claim-instance", claim(&first), "Claimed").await;
    w.end(&first);
    w.pass(400).await;
    // What Step Functions still runs of the first stands in nobody's way.
    w.run_check(1).await;
    let second = claim(&w.running_execution());
    w.outcome("claim-instance", second, "Claimed").await;
    w
}

async fn an_accused_instance_that_an_ended_recovery_left_cordoned_is_checked_again() -> World {
    let w = World::with_job(2).await;
    let first = w.claim_and_cordon(1).await;
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    let boot = w
        .cloud
        .fleet
        .instance(&instance_id(1))
        .expect("it is there")
        .boot_id;
    let answer = format!(
        "{} probe1 {boot} 90000 8:0 reboot xid79 5 full none",
        instance_id(1)
    );
    let named = json!({ "ended": [], "answers": [answer], "askedAt": 1_000_000 });
    w.outcome("name-suspects", second.input(named), "Named")
        .await;
    assert_eq!(w.ecs_status(1), "ACTIVE");
    w
}

async fn an_instance_of_a_lost_job_is_quarantined_when_an_operator_has_stopped_it() -> World {
    let w = World::with_job(2).await;
    let first = w.claim_and_cordon(1).await;
    w.end(&first.execution);
    let event = w.stop_event(&w.task(1).await);
    let second = w.claim_with(event).await;
    w.edit_job(JOB, "job", "status", json!({ "S": "USER_STOPPED" }))
        .await;
    w.outcome("stop-siblings", second.input(json!({})), "StoppedByUser")
        .await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    w
}

async fn an_instance_of_a_lost_job_is_quarantined_when_it_is_complete() -> World {
    let w = World::with_job(1).await;
    let first = w.claim_and_cordon(0).await;
    let event = w.stop_event(&w.task(0).await);
    // As after a relaunch by the recovery that took the job over.
    w.edit_job(tests::JOB, "job", "status", json!({ "S": "IN_PROGRESS" }))
        .await;
    w.edit_job(tests::JOB, "job", "holder", Value::Null).await;
    w.end(&first.execution);
    let input = json!({ "execution": w.running_execution(), "event": event });
    w.outcome("record-completion", input, "JobComplete").await;
    assert_eq!(w.ecs_status(0), "DRAINING");
    w
}

async fn an_instance_of_a_lost_job_is_quarantined_when_it_has_failed() -> World {
    let w = World::with_job(2).await;
    let first = w.claim_and_cordon(1).await;
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    let input =
        second.input(json!({ "reason": "TasksNotStopped", "checks": [], "recoveries": [] }));
    w.outcome("fail-job", input, "Failed").await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    w
}

async fn the_instance_of_a_task_that_does_not_stop_is_quarantined() -> World {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    let input =
        recovery.input(json!({ "reason": "TasksNotStopped", "checks": [], "recoveries": [] }));
    w.outcome("fail-job", input, "Failed").await;
    assert_eq!(w.ecs_status(0), "DRAINING");
    w
}

async fn an_instance_that_another_recovery_holds_is_refused() -> World {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(1).await;
    let other = json!({ "S": w.running_execution() });
    w.edit_instance(&instance_id(1), "holder", other).await;
    w.edit_instance(&instance_id(1), "job_id", json!({ "S": "another" }))
        .await;
    w.outcome("cordon-instance", recovery.cordon(1), "Refused")
        .await;
    w
}

/// Systems Manager's command on the node has ended so.
fn command_event(command: &str, status: &str) -> Value {
    let mut event = fixtures::event("command-invocation-success");
    event["detail"]["command-id"] = json!(command);
    event["detail"]["instance-id"] = json!(instance_id(1));
    event["detail"]["status"] = json!(status);
    event
}

const COMMAND: &str = "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b";

async fn an_instance_that_is_back_before_the_token_came() -> World {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    let (_, token) = w.waiting_execution().await;
    let wait = json!({ "commandId": COMMAND, "proven": true, "taskToken": token });
    w.outcome("await-instance", recovery.on(1, wait), "Over")
        .await;
    w
}

async fn an_order_that_is_refused_while_it_is_awaited() -> World {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    let (_, token) = w.waiting_execution().await;
    let wait = json!({ "commandId": COMMAND, "proven": false, "taskToken": token });
    w.outcome("await-instance", recovery.on(1, wait), "Waiting")
        .await;
    let event = command_event(COMMAND, "Failed");
    w.outcome("instance-events", event, "WaitEnded").await;
    w
}

async fn a_stop_that_nobody_was_told_of_is_found() -> World {
    let w = World::with_job(2).await;
    w.exit(1, 1).await;
    // Until its event can be on its way no more.
    w.pass(130).await;
    let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let looked = w.outcome("look-for-lost-stops", event, "Looked").await;
    assert_eq!(looked["found"], json!([w.task(1).await]));
    w
}

async fn a_job_that_an_operator_stopped_is_not_looked_at_when_no_rank_runs() -> World {
    let w = World::with_job(1).await;
    let task = w.task(0).await;
    w.cloud.fleet.stop(&task, "keep-others: this node");
    w.pass(15).await;
    let stop = json!({ "execution": w.running_execution(), "event": w.stop_event(&task) });
    w.outcome("record-user-stop", stop, "RankStopped").await;
    let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    w.outcome("look-for-lost-stops", event, "Looked").await;
    w
}
