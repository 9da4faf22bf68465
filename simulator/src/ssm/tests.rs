use super::*;
use crate::ecs::{
    FleetSettings, GpuHealth, NewInstance, RebootOutcome, SsmAgent, TaskDefinition, TaskKind,
};

const NODE: &str = "i-00000000000000001";
const HYBRID: &str = "mi-00000000000000002";

struct World {
    clock: Clock,
    bus: Bus,
    fleet: Fleet,
    ssm: Ssm,
}

fn world() -> World {
    let clock = Clock::default();
    let bus = Bus::new(clock, 5);
    let fleet = Fleet::new(clock, 5, bus.clone(), FleetSettings::default());
    for id in [NODE, HYBRID] {
        fleet.add_instance(NewInstance::p5(id));
    }
    let ssm = Ssm::new(clock, 5, bus.clone(), fleet.clone());
    World {
        clock,
        bus,
        fleet,
        ssm,
    }
}

impl World {
    fn try_send(&self, node: &str, lines: &[&str], delivery: u64) -> Result<String, ApiError> {
        let body = json!({ "DocumentName": "AWS-RunShellScript", "InstanceIds": [node], "TimeoutSeconds": delivery,
            "Comment": "gpu-recovery", "Parameters": { "commands": lines, "executionTimeout": ["1800"] } });
        let answer = self.ssm.api("SendCommand", &body)?;
        Ok(answer["Command"]["CommandId"].as_str().unwrap().to_owned())
    }

    fn reboot(&self, node: &str, token: &str) -> String {
        let line = format!("# gpu-recovery: reboot once, token={token}");
        self.try_send(
            node,
            &["#!/bin/bash", &line, "nvidia-smi --query-compute-apps=pid"],
            600,
        )
        .unwrap()
    }

    fn prove(&self, node: &str, after: f64) -> String {
        let line = format!("# gpu-recovery: prove boot after={after}");
        self.try_send(node, &[&line], 3600).unwrap()
    }

    fn status(&self, command: &str, node: &str) -> (String, i64) {
        let body = json!({ "CommandId": command, "InstanceId": node });
        let answer = self.ssm.api("GetCommandInvocation", &body).unwrap();
        let details = answer["StatusDetails"].as_str().unwrap().to_owned();
        (details, answer["ResponseCode"].as_i64().unwrap())
    }

    fn events(&self, command: &str, detail_type: &str) -> Vec<String> {
        let record = self.bus.record();
        let events = record
            .iter()
            .filter(|e| e["detail"]["command-id"] == command && e["detail-type"] == detail_type);
        events
            .map(|e| e["detail"]["status"].as_str().unwrap().to_owned())
            .collect()
    }
}

async fn minutes(minutes: u64) {
    sleep(Duration::from_secs(60 * minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn the_reboot_script_succeeds_only_after_the_reboot_and_reboots_once_per_token() {
    for node in [NODE, HYBRID] {
        let w = world();
        let before = w.fleet.instance(node).unwrap();
        let command = w.reboot(node, "job-1.1");
        minutes(3).await;
        assert_eq!(w.status(&command, node).0, "InProgress");
        minutes(15).await;
        assert_eq!(w.status(&command, node), ("Success".to_owned(), 0));
        let after = w.fleet.instance(node).unwrap();
        assert_ne!(after.boot_id, before.boot_id);
        let expected = ["InProgress", "Success"];
        assert_eq!(
            w.events(
                &command,
                "EC2 Command Invocation Status-change Notification"
            ),
            expected
        );
        assert_eq!(
            w.events(&command, "EC2 Command Status-change Notification"),
            expected
        );
        let again = w.reboot(node, "job-1.1");
        minutes(1).await;
        assert_eq!(w.status(&again, node).0, "Success");
        assert_eq!(w.fleet.instance(node).unwrap().reboots, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_asks_first_spares_a_node_whose_gpus_are_busy() {
    let w = world();
    w.fleet
        .define(TaskDefinition::new("train", TaskKind::Job, 8));
    let body = json!({ "cluster": "gpu-training", "taskDefinition": "train",
        "placementConstraints": [{ "type": "memberOf", "expression": format!("ec2InstanceId == {NODE}") }] });
    w.fleet.api("RunTask", &body).unwrap();
    minutes(1).await;
    let command = w.reboot(NODE, "t");
    minutes(1).await;
    assert_eq!(w.status(&command, NODE), ("Failed".to_owned(), 75));
    assert_eq!(w.fleet.instance(NODE).unwrap().reboots, 0);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_come_back_times_out() {
    let w = world();
    w.fleet
        .set_reboot_outcome(NODE, RebootOutcome::NeverReturns);
    let command = w.reboot(NODE, "t");
    minutes(39).await;
    assert_eq!(w.status(&command, NODE).0, "InProgress");
    minutes(2).await;
    assert_eq!(w.status(&command, NODE).0, "ExecutionTimedOut");
    w.fleet.set_ssm_agent(HYBRID, SsmAgent::Stopped);
    let undelivered = w.reboot(HYBRID, "t");
    minutes(11).await;
    assert_eq!(w.status(&undelivered, HYBRID).0, "DeliveryTimedOut");
    let events = w.events(
        &undelivered,
        "EC2 Command Invocation Status-change Notification",
    );
    assert_eq!(events, ["TimedOut"]);
}

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_an_agent_that_is_away() {
    let w = world();
    w.fleet.set_ssm_agent(NODE, SsmAgent::Stopped);
    let command = w.prove(NODE, 0.0);
    minutes(5).await;
    assert_eq!(w.status(&command, NODE).0, "Pending");
    w.fleet.set_ssm_agent(NODE, SsmAgent::Running);
    minutes(1).await;
    assert_eq!(w.status(&command, NODE).0, "Success");
}

#[tokio::test(start_paused = true)]
async fn the_boot_after_an_ec2_reboot_is_proven_and_no_boot_is_not() {
    let w = world();
    let now = w.clock.epoch_seconds().floor();
    let early = w.prove(NODE, now);
    minutes(1).await;
    assert_eq!(w.status(&early, NODE), ("Failed".to_owned(), 1));
    w.fleet.set_gpu_health(NODE, GpuHealth::FaultUntilReboot);
    let ec2 = crate::ec2::Ec2::new(w.fleet.clone());
    ec2.api("RebootInstances", &json!({ "InstanceIds": [NODE] }))
        .unwrap();
    minutes(1).await;
    let proof = w.prove(NODE, now);
    minutes(15).await;
    assert_eq!(w.status(&proof, NODE), ("Success".to_owned(), 0));
    assert_eq!(
        w.fleet.instance(NODE).unwrap().gpu_health,
        GpuHealth::Healthy
    );
    let code = |ids: Value| {
        ec2.api("RebootInstances", &json!({ "InstanceIds": ids }))
            .unwrap_err()
            .code
    };
    assert_eq!(code(json!([HYBRID])), "InvalidInstanceID.Malformed");
    assert_eq!(
        code(json!(["i-00000000000000009"])),
        "InvalidInstanceID.NotFound"
    );
}

#[tokio::test(start_paused = true)]
async fn what_ssm_would_refuse_is_refused() {
    let w = world();
    let reboot = ["# gpu-recovery: reboot once, token=t"];
    let refused =
        |node: &str, lines: &[&str], delivery| w.try_send(node, lines, delivery).unwrap_err();
    assert_eq!(
        refused("i-00000000000000009", &reboot, 60).code,
        "InvalidInstanceId"
    );
    w.fleet.set_ssm_agent(NODE, SsmAgent::Unregistered);
    assert_eq!(refused(NODE, &reboot, 60).code, "InvalidInstanceId");
    assert_eq!(refused(HYBRID, &reboot, 29).code, "ValidationException");
    let unknown = refused(HYBRID, &["rm -rf /"], 60);
    assert!(
        unknown.message.contains("this one has neither"),
        "{}",
        unknown.message
    );
}
