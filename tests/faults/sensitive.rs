//! The checks are checked: a definition that is worse in one place breaks the promise that stands on that place.

use crate::gpu_fault;
use serde_json::{Value, json};
use simulator::{
    chaos::{ChaosOptions, Deed, Plan, play_plan},
    cloud::RECOVERY,
    ecs::GpuHealth,
    scenario::{self, PlayOptions, builtin},
};
use std::{path::Path, time::Duration};
use tests::planted::bug;

/// The words of the promise that is broken then, or its number alone.
fn breaks(words: &str, plan: &Plan, worse: impl FnOnce(&mut Value)) {
    let mut definition: Value = serde_json::from_str(RECOVERY).expect("the definition is JSON");
    worse(&mut definition);
    let options = ChaosOptions {
        definition: definition.to_string(),
    };
    let report = play_plan(plan, &options).expect("it can be played");
    let found = report.broken_promises.iter().any(|b| b.contains(words));
    assert!(found, "{words} is not among {report}");
}

/// As the planted bug of this name does (`tests/planted/`).
fn planted(name: &str) -> impl FnOnce(&mut Value) {
    move |definition| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let worse = bug(&root, name).in_definition(&definition.to_string());
        let worse = worse.unwrap_or_else(|why| panic!("{why}"));
        *definition = serde_json::from_str(&worse).expect("it is JSON still");
    }
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
            "/States/AllStopped?/Choices/2/Condition",
            json!("{% true %}"),
        );
        // Two more states look whether a task runs.
        for stuck in ["SparesFirst?/Choices/1", "InstancesRecovered?/Choices/2"] {
            let stuck = format!("/States/{stuck}/Condition");
            set(definition, &stuck, json!("{% false %}"));
        }
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
fn promise_3_a_machine_that_dawdles_is_noticed() {
    breaks("promise 3", &gpu_fault(), planted("machine-dawdles"));
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
            catch["Next"] = json!("InstanceBack");
        }
    });
}

#[test]
fn promise_3_a_job_that_is_left_half_recovered_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].gpu = GpuHealth::Healthy;
    breaks("promise 3", &plan, planted("healthy-policy-is-ignored"));
}

#[test]
fn promise_4_an_abnormal_end_that_leads_to_nothing_is_noticed() {
    breaks("promise 4", &gpu_fault(), |definition| {
        let completed = "/States/Classify/Choices/3/Condition";
        set(definition, completed, json!("{% true %}"));
    });
}

#[test]
fn promise_4_a_failed_job_that_nobody_is_told_of_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].gpu = GpuHealth::Healthy;
    breaks("promise 4", &plan, planted("failure-is-not-told"));
}

#[test]
fn promise_4_a_relaunch_that_nobody_is_told_of_is_noticed() {
    breaks("promise 4", &gpu_fault(), planted("relaunch-is-not-told"));
}

#[test]
fn promise_2_evidence_of_another_boot_is_noticed() {
    let plan = gpu_fault();
    breaks("promise 2", &plan, planted("evidence-of-another-boot"));
}

#[test]
fn promise_2_a_check_beside_a_rank_of_the_job_is_noticed() {
    let mut plan = gpu_fault();
    // With GPUs of their own ECS would not place the check beside them.
    plan.jobs[0].gpus = 0;
    let occupied = json!([[{ "instance": plan.nodes[0].id, "rank": 0 }]]);
    breaks("is checked while rank 0", &plan, |definition| {
        set(definition, "/States/ProbeNodes/Next", json!("CheckGpus"));
        set(definition, "/States/CheckGpus/Items", occupied);
    });
}

#[test]
fn promise_2_a_reboot_that_cannot_help_is_noticed() {
    let mut plan = gpu_fault();
    plan.nodes[3].gpu = GpuHealth::Isolate;
    breaks("promise 2", &plan, planted("isolated-counts-as-faulty"));
}

#[test]
fn promise_2_more_reboots_at_once_than_the_limit_are_noticed() {
    let mut plan = gpu_fault();
    for (name, value) in [("MAX_FAULTY_INSTANCES", "1"), ("INSTANCES_TO_CHECK", "all")] {
        plan.settings.insert(name.to_owned(), value.to_owned());
    }
    plan.nodes[2].gpu = GpuHealth::FaultUntilReboot;
    let words = "MAX_FAULTY_INSTANCES is 1";
    breaks(words, &plan, planted("doubt-is-ignored"));
}

#[test]
fn promise_2_a_reboot_for_the_last_fault_of_a_month_is_noticed() {
    let mut plan = gpu_fault();
    plan.settings
        .insert("MAX_FAULTS_PER_MONTH".to_owned(), "1".to_owned());
    let words = "MAX_FAULTS_PER_MONTH is 1";
    breaks(words, &plan, planted("refusal-is-ignored"));
}

#[test]
fn promise_3_a_free_node_that_is_known_to_be_bad_or_unchecked_is_noticed() {
    for (gpu, said) in [
        (GpuHealth::Isolate, "faulty, no reboot helps (exit 2)"),
        (GpuHealth::DcgmCrashes(204), "no answer (exit 204)"),
    ] {
        let mut plan = gpu_fault();
        plan.nodes[3].gpu = gpu;
        let free = format!("is AVAILABLE, and its last check said: {said}");
        breaks(&free, &plan, planted("bad-nodes-are-left"));
    }
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
    let worse = planted("healthy-policy-is-ignored");
    drill_breaks("promise 3", "application-fault", "suspects", worse);
    let worse = planted("relaunch-is-not-told");
    drill_breaks("promise 4", "gpu-fault", "suspects", worse);
}
