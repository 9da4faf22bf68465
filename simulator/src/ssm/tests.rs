use super::*;
use crate::ecs::{
    EcsSettings, GpuHealth, NewInstance, RebootOutcome, SsmAgent, TaskDefinition, TaskKind,
};

const NODE: &str = "i-00000000000000001";
const HYBRID: &str = "mi-00000000000000002";

struct World {
    bus: Bus,
    fleet: Ecs,
    ssm: Ssm,
}

fn world() -> World {
    let clock = Clock::default();
    let bus = Bus::new(clock, 5);
    let fleet = Ecs::new(clock, 5, bus.clone(), EcsSettings::default());
    for id in [NODE, HYBRID] {
        fleet.add_instance(NewInstance::p5(id));
    }
    let ssm = Ssm::new(clock, 5, bus.clone(), fleet.clone());
    World { bus, fleet, ssm }
}

impl World {
    fn try_send(
        &self,
        nodes: &[&str],
        document: &str,
        parameters: Value,
    ) -> Result<String, ApiError> {
        let body = json!({ "DocumentName": document, "InstanceIds": nodes, "TimeoutSeconds": 30,
            "Comment": "gpu-recovery e-1", "Parameters": parameters });
        let answer = self.ssm.api("SendCommand", &body)?;
        Ok(answer["Command"]["CommandId"].as_str().unwrap().to_owned())
    }

    fn reboot(&self, node: &str) -> String {
        let boot = self.fleet.instance(node).unwrap().boot_id;
        self.try_send(
            &[node],
            REBOOT,
            json!({ "BootId": [boot], "UntilUptime": ["999999999"] }),
        )
        .unwrap()
    }

    fn probe(&self, node: &str) -> String {
        self.try_send(&[node], PROBE, json!({ "AttemptSeconds": ["3600"] }))
            .unwrap()
    }

    /// Status, response code and output of a node's part.
    fn said(&self, command: &str, node: &str) -> (String, i64, String) {
        let body = json!({ "CommandId": command, "InstanceId": node });
        let answer = self.ssm.api("GetCommandInvocation", &body).unwrap();
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        let code = answer["ResponseCode"].as_i64().unwrap();
        (text("StatusDetails"), code, text("StandardOutputContent"))
    }

    fn status(&self, command: &str, node: &str) -> String {
        self.said(command, node).0
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

    fn reboots(&self, node: &str) -> u32 {
        self.fleet.instance(node).unwrap().reboots
    }
}

async fn minutes(minutes: u64) {
    sleep(Duration::from_secs(60 * minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_reboots_the_boot_that_it_names_and_no_other() {
    for node in [NODE, HYBRID] {
        let w = world();
        let before = w.fleet.instance(node).unwrap();
        let command = w.reboot(node);
        minutes(1).await;
        assert_eq!(w.status(&command, node), "InProgress");
        minutes(20).await;
        let after = w.fleet.instance(node).unwrap();
        assert_ne!(after.boot_id, before.boot_id);
        // SSM had given the command up by then: its status proves nothing.
        assert_eq!(w.status(&command, node), "DeliveryTimedOut");
        let late = json!({ "BootId": [before.boot_id], "UntilUptime": ["999999999"] });
        let again = w.try_send(&[node], REBOOT, late).unwrap();
        minutes(1).await;
        let (status, code, output) = w.said(&again, node);
        assert_eq!((status.as_str(), code), ("Success", 0));
        assert!(
            output.starts_with("nothing to do: the order is for boot"),
            "{output}"
        );
        minutes(20).await;
        assert_eq!(w.reboots(node), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_the_agent_runs_late_or_twice_reboots_once() {
    let w = world();
    let late = Some(Duration::from_secs(3600));
    w.ssm.set_fate(
        REBOOT,
        NODE,
        Fate {
            late,
            twice: true,
            lost: false,
        },
    );
    w.reboot(NODE);
    minutes(30).await;
    assert_eq!(w.reboots(NODE), 0);
    minutes(90).await;
    assert_eq!(w.reboots(NODE), 1);
    // Between sending and running the node has rebooted by other means: nothing is left to do.
    w.reboot(NODE);
    w.fleet.reboot(NODE, "somebody");
    minutes(120).await;
    assert_eq!(w.reboots(NODE), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_lost_times_out_and_never_runs() {
    let w = world();
    w.ssm.set_fate(
        REBOOT,
        NODE,
        Fate {
            lost: true,
            ..Fate::default()
        },
    );
    let command = w.reboot(NODE);
    minutes(1).await;
    assert_eq!(w.status(&command, NODE), "Pending");
    minutes(1).await;
    assert_eq!(w.status(&command, NODE), "DeliveryTimedOut");
    let events = w.events(
        &command,
        "EC2 Command Invocation Status-change Notification",
    );
    assert_eq!(events, ["TimedOut"]);
    minutes(60).await;
    assert_eq!(w.reboots(NODE), 0);
}

/// "If this time is reached and the command hasn't already started running, it won't run." (API_SendCommand,
/// `TimeoutSeconds`)
#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_back_later_than_the_time_out_gets_nothing() {
    let w = world();
    w.fleet.set_ssm_agent(NODE, SsmAgent::Stopped);
    let command = w.reboot(NODE);
    minutes(5).await;
    w.fleet.set_ssm_agent(NODE, SsmAgent::Running);
    minutes(30).await;
    assert_eq!(w.status(&command, NODE), "DeliveryTimedOut");
    assert_eq!(w.reboots(NODE), 0);
}

#[tokio::test(start_paused = true)]
async fn a_login_session_refuses_the_reboot_and_a_task_or_an_orphan_does_not() {
    let w = world();
    w.fleet.change_host(NODE, |host| host.login = true);
    let command = w.reboot(NODE);
    minutes(1).await;
    let (status, code, output) = w.said(&command, NODE);
    assert_eq!((status.as_str(), code), ("Failed", 75));
    assert!(
        output.starts_with("refused: a login session holds a GPU"),
        "{output}"
    );
    w.fleet
        .define(TaskDefinition::new("train", TaskKind::Job, 8));
    let body = json!({ "cluster": "gpu-training", "taskDefinition": "train",
        "placementConstraints": [{ "type": "memberOf", "expression": format!("ec2InstanceId == {HYBRID}") }] });
    w.fleet.api("RunTask", &body).unwrap();
    w.fleet.change_host(HYBRID, |host| host.orphan = true);
    minutes(1).await;
    w.reboot(HYBRID);
    minutes(20).await;
    assert_eq!((w.reboots(NODE), w.reboots(HYBRID)), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn the_probe_tells_the_boot_before_and_after_a_reboot() {
    let w = world();
    w.fleet.set_gpu_health(NODE, GpuHealth::FaultUntilReboot);
    let before = w.fleet.instance(NODE).unwrap().boot_id;
    let command = w.probe(NODE);
    minutes(1).await;
    let (status, code, output) = w.said(&command, NODE);
    assert_eq!((status.as_str(), code), ("Success", 0));
    assert!(output.starts_with(&format!("probe1 {before} ")), "{output}");
    // The scenario's GPU health is DCGM's: the kernel accuses nobody.
    assert!(output.ends_with(" none - - full none\n"), "{output}");
    w.fleet
        .change_host(NODE, |host| host.gpus_after_reboot = Some(7));
    let ec2 = crate::ec2::Ec2::new(w.fleet.clone());
    ec2.api("RebootInstances", &json!({ "InstanceIds": [NODE] }))
        .unwrap();
    minutes(15).await;
    let proof = w.probe(NODE);
    minutes(1).await;
    let after = w.fleet.instance(NODE).unwrap();
    let (_, _, output) = w.said(&proof, NODE);
    assert_ne!(after.boot_id, before);
    assert!(
        output.starts_with(&format!("probe1 {} ", after.boot_id)),
        "{output}"
    );
    assert!(
        output.contains(" 7:") && output.contains(" part "),
        "{output}"
    );
    assert_eq!(after.gpu_health, GpuHealth::Healthy);
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
async fn a_node_that_does_not_come_back_answers_nothing() {
    let w = world();
    w.fleet
        .set_reboot_outcome(NODE, RebootOutcome::NeverReturns);
    w.reboot(NODE);
    minutes(5).await;
    let command = w.probe(NODE);
    minutes(1).await;
    assert_eq!(w.status(&command, NODE), "Pending");
    minutes(1).await;
    assert_eq!(w.status(&command, NODE), "DeliveryTimedOut");
}

#[tokio::test(start_paused = true)]
async fn the_answers_of_many_nodes_come_a_page_at_a_time() {
    let w = world();
    let command = w
        .try_send(&[NODE, HYBRID], PROBE, json!({ "AttemptSeconds": ["60"] }))
        .unwrap();
    minutes(1).await;
    let page = |token: Option<&str>| {
        let mut body = json!({ "CommandId": command, "Details": true, "MaxResults": 1 });
        if let Some(token) = token {
            body["NextToken"] = json!(token);
        }
        w.ssm.api("ListCommandInvocations", &body).unwrap()
    };
    let first = page(None);
    let second = page(first["NextToken"].as_str());
    assert_eq!(second["NextToken"], Value::Null);
    for (page, node) in [(&first, NODE), (&second, HYBRID)] {
        let [one] = page["CommandInvocations"].as_array().unwrap().as_slice() else {
            panic!("{page}");
        };
        assert_eq!(one["InstanceId"], node);
        let output = one["CommandPlugins"][0]["Output"].as_str().unwrap();
        assert!(output.starts_with("probe1 "), "{output}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invocation_is_not_there_at_once() {
    let w = world();
    let sent = || {
        let command = w.probe(NODE);
        let body = json!({ "CommandId": command, "InstanceId": NODE });
        w.ssm.api("GetCommandInvocation", &body)
    };
    let errors: BTreeSet<String> = (0..20)
        .filter_map(|_| sent().err())
        .map(|e| e.code)
        .collect();
    assert_eq!(
        errors,
        BTreeSet::from(["InvocationDoesNotExist".to_owned()])
    );
}

#[tokio::test(start_paused = true)]
async fn what_ssm_would_refuse_is_refused() {
    let w = world();
    let since = json!({ "AttemptSeconds": ["60"] });
    let code = |nodes: &[&str], document, parameters: &Value| {
        w.try_send(nodes, document, parameters.clone())
            .unwrap_err()
            .code
    };
    let unknown = "i-00000000000000009";
    assert_eq!(code(&[NODE, unknown], PROBE, &since), "InvalidInstanceId");
    assert_eq!(
        code(&[NODE], "AWS-RunShellScript", &since),
        "InvalidDocument"
    );
    for bad in [
        json!({}),
        json!({ "AttemptSeconds": ["1; reboot"] }),
        json!({ "AttemptSeconds": ["1", "2"] }),
    ] {
        assert_eq!(code(&[NODE], PROBE, &bad), "InvalidParameters", "{bad}");
    }
    for bad in [
        json!({ "BootId": ["now"], "UntilUptime": ["300"] }),
        json!({ "BootId": ["4F3C2A1B-0d9e-4c7f-8a6b-5e4d3c2b1a09"], "UntilUptime": ["300"] }),
        json!({ "BootId": ["4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09"], "UntilUptime": ["1e3"] }),
        json!({ "BootId": ["4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09"] }),
    ] {
        assert_eq!(code(&[NODE], REBOOT, &bad), "InvalidParameters", "{bad}");
    }
    w.fleet.set_ssm_agent(NODE, SsmAgent::Unregistered);
    assert_eq!(code(&[NODE], PROBE, &since), "InvalidInstanceId");
    let body = json!({ "DocumentName": PROBE, "InstanceIds": [HYBRID], "TimeoutSeconds": 29, "Parameters": since });
    let early = w.ssm.api("SendCommand", &body).unwrap_err();
    assert_eq!(early.code, "ValidationException");
}
