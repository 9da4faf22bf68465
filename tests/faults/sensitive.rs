//! The checks are checked: a definition that is worse in one place breaks the promise that stands on that place.

use crate::gpu_fault;
use serde_json::{Value, json};
use simulator::{
    chaos::{ChaosOptions, Deed, Plan, play_plan},
    cloud::RECOVERY,
    ecs::GpuHealth,
    scenario::{self, PlayOptions, builtin},
};
use std::time::Duration;

fn breaks(promise: &str, plan: &Plan, worse: impl FnOnce(&mut Value)) {
    let mut definition: Value = serde_json::from_str(RECOVERY).expect("the definition is JSON");
    worse(&mut definition);
    let options = ChaosOptions {
        definition: definition.to_string(),
    };
    let report = play_plan(plan, &options).expect("it can be played");
    let found = report
        .broken_promises
        .iter()
        .any(|b| b.starts_with(promise));
    assert!(found, "{promise} is not among {report}");
}

fn set(definition: &mut Value, pointer: &str, value: Value) {
    *definition
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{pointer} is not in the definition")) = value;
}

#[test]
fn promise_1_a_relaunch_beside_a_running_task_is_noticed() {
    let mut plan = gpu_fault();
    // This agent is away: its rank's task cannot be stopped.
    plan.deeds = vec![(
        Duration::from_secs(590),
        Deed::CutAgent {
            node: 0,
            how_long: Duration::from_secs(7200),
        },
    )];
    let suspect = json!([[{ "instance": plan.nodes[3].id, "rank": 3 }]]);
    breaks("promise 1", &plan, |definition| {
        set(
            definition,
            "/States/AllStopped?/Choices/0/Condition",
            json!("{% true %}"),
        );
        set(definition, "/States/CheckGpus/Items", suspect);
    });
}

#[test]
fn promise_2_a_healthy_node_that_is_rebooted_is_noticed() {
    let mut plan = gpu_fault();
    plan.settings
        .insert("INSTANCES_TO_CHECK".to_owned(), "all".to_owned());
    breaks("promise 2", &plan, |definition| {
        let every = json!(
            "{% [$checks.{'instance': instance, 'rank': rank, 'exitCode': 226, 'verdict': 'faulty', 'detail': ''}] %}"
        );
        set(definition, "/States/RecoverInstances/Items", every);
    });
}

#[test]
fn promise_3_a_node_that_nobody_releases_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].reboot = simulator::ecs::RebootOutcome::NeverReturns;
    breaks("promise 3", &plan, |definition| {
        let wait = "/States/RecoverInstances/ItemProcessor/States/WaitForInstanceActive/Catch";
        let catches = definition
            .pointer_mut(wait)
            .and_then(Value::as_array_mut)
            .expect("catches");
        for catch in catches {
            catch["Next"] = json!("InstanceRefused");
        }
    });
}

#[test]
fn promise_3_a_job_that_is_left_half_recovered_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].gpu = GpuHealth::Healthy;
    breaks("promise 3", &plan, |definition| {
        set(
            definition,
            "/States/GpusHealthy?/Choices/3/Next",
            json!("NothingToDo"),
        );
    });
}

#[test]
fn promise_4_an_abnormal_end_that_leads_to_nothing_is_noticed() {
    breaks("promise 4", &gpu_fault(), |definition| {
        let completed = "/States/Classify/Choices/2/Condition";
        set(definition, completed, json!("{% true %}"));
    });
}

#[test]
fn promise_4_a_failed_job_that_nobody_is_told_of_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].gpu = GpuHealth::Healthy;
    breaks("promise 4", &plan, |definition| {
        set(definition, "/States/FailJob/Next", json!("NothingToDo"));
    });
}

#[test]
fn promise_4_a_relaunch_that_nobody_is_told_of_is_noticed() {
    breaks("promise 4", &gpu_fault(), |definition| {
        set(definition, "/States/RelaunchJob/Next", json!("NothingToDo"));
    });
}

#[test]
fn promise_2_evidence_of_another_boot_is_noticed() {
    breaks("promise 2", &gpu_fault(), |definition| {
        let choices = "/States/RecoverInstances/ItemProcessor/States/NodeAnswered?/Choices";
        let choices = definition
            .pointer_mut(choices)
            .and_then(Value::as_array_mut);
        let rule = choices
            .expect("it is there")
            .iter_mut()
            .find(|choice| choice["Comment"] == "This boot")
            .expect("it is there");
        rule["Condition"] = json!("{% $answer != null %}");
    });
}

/// The drill that breaks the promise of this number.
fn drill_breaks(promise: &str, name: &str, setting: &str, worse: impl FnOnce(&mut Value)) {
    let mut definition: Value = serde_json::from_str(RECOVERY).expect("the definition is JSON");
    worse(&mut definition);
    let mut scenario = builtin(name).expect("it is built in").expect("it is right");
    scenario
        .settings
        .insert("INSTANCES_TO_CHECK".to_owned(), setting.to_owned());
    let options = PlayOptions {
        definition: definition.to_string(),
        ..PlayOptions::default()
    };
    let report = scenario::play(&scenario, &options).expect("it can be played");
    let mut broken = report.broken_promises.iter();
    assert!(
        broken.any(|b| b.starts_with(promise)),
        "{promise} is not among {:#?}",
        report.broken_promises
    );
}

#[test]
fn a_drill_is_held_to_the_promises_of_the_schedules() {
    drill_breaks("promise 2", "gpu-fault", "all", |definition| {
        let every = json!(
            "{% [$checks.{'instance': instance, 'rank': rank, 'exitCode': 226, 'verdict': 'faulty', 'detail': ''}] %}"
        );
        set(definition, "/States/RecoverInstances/Items", every);
    });
    drill_breaks("promise 3", "application-fault", "suspects", |definition| {
        let rule = "/States/GpusHealthy?/Choices/3/Next";
        set(definition, rule, json!("NothingToDo"));
    });
    drill_breaks("promise 4", "gpu-fault", "suspects", |definition| {
        set(definition, "/States/RelaunchJob/Next", json!("NothingToDo"));
    });
}
