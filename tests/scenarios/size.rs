//! The largest job that is promised, and how cost grows.

use simulator::{
    ecs::GpuHealth,
    optimized,
    scenario::{PlayOptions, Report, builtin, play},
};
use std::collections::BTreeMap;

/// The largest job that is promised; without optimized code a quarter of it, whose checks are several groups, too. The gate plays both.
fn largest() -> u32 {
    if optimized() { 1024 } else { 256 }
}

fn with_nodes(nodes: u32) -> Report {
    let scenario = builtin("gpu-fault")
        .unwrap()
        .unwrap()
        .with_nodes(nodes)
        .unwrap();
    let report = play(&scenario, &PlayOptions::default()).unwrap();
    assert!(
        report.passed,
        "{nodes}: {:#?} {:#?}",
        report.unmet, report.broken_promises
    );
    report
}

fn calls(report: &Report) -> u64 {
    report.calls.values().sum()
}

#[test]
fn a_job_of_1024_ranks_recovers_within_the_limits_of_step_functions() {
    let report = with_nodes(largest());
    // Step Functions holds the 256 KiB, in the engine too; here the history and what is billed.
    assert!(
        report.history.len() < 700,
        "{} events",
        report.history.len()
    );
    assert_eq!(report.throttled, 0, "{:?}", report.calls);
}

#[test]
fn transitions_do_not_depend_on_the_ranks_and_calls_grow_with_them() {
    let (small, large) = (with_nodes(8), with_nodes(64));
    let recovery = |r: &Report| r.recovery().unwrap().state_transitions;
    // A node that takes longer to come back is asked once or twice more.
    assert!(recovery(&small).abs_diff(recovery(&large)) <= 20);
    assert!(recovery(&small) <= 70, "{}", recovery(&small));
    let scan: BTreeMap<_, _> = large
        .calls
        .iter()
        .filter(|(c, _)| c.contains("Scan"))
        .collect();
    assert!(scan.is_empty());
    assert!(
        calls(&large) < calls(&small) * 8,
        "{} and {}",
        calls(&small),
        calls(&large)
    );
}

#[test]
fn of_1024_aborted_ranks_only_the_one_that_its_kernel_accuses_is_checked() {
    let scenario = builtin("abort-of-all-ranks-with-xid").unwrap().unwrap();
    let scenario = scenario.with_nodes(largest()).unwrap();
    let report = play(&scenario, &PlayOptions::default()).unwrap();
    assert!(
        report.passed,
        "{:#?} {:#?}",
        report.unmet, report.broken_promises
    );
    let entered = report.history.iter();
    let checked = entered.filter(|event| event["stateEnteredEventDetails"]["name"] == "RunDcgm");
    assert_eq!(checked.count(), 1);
}

/// AWS ends an execution at 25,000 events and a payload at 256 KiB; some is left for redrives, and for longer names.
const EVENTS: usize = 20_000;
const PAYLOAD: usize = 240 * 1024;

/// Every rank of a job of 1,024 fails at once, as all do after a collective's abort, and every check ends alike.
fn all_are_suspects(gpu: GpuHealth, reason: &str) {
    let mut scenario = builtin("all-ranks-fail-at-once")
        .unwrap()
        .unwrap()
        .with_nodes(largest())
        .unwrap();
    for node in 0..largest() {
        scenario.instances.entry(node).or_default().gpu = gpu;
    }
    let report = play(&scenario, &PlayOptions::default()).unwrap();
    assert!(
        report.broken_promises.is_empty(),
        "{:#?}",
        report.broken_promises
    );
    let recovery = report.recovery().unwrap();
    assert_eq!(
        recovery.status, "SUCCEEDED",
        "{:?} {:?}",
        recovery.error, recovery.cause
    );
    assert_eq!(report.job.reason.as_deref(), Some(reason));
    assert!(
        report.history.len() < EVENTS,
        "{} events",
        report.history.len()
    );
    let exits = report.history.iter();
    let outputs = exits.filter_map(|event| event["stateExitedEventDetails"]["output"].as_str());
    let largest = outputs.map(str::len).max().unwrap_or_default();
    assert!(largest < PAYLOAD, "{largest} bytes");
    let rebooted = report.instances.iter().filter(|i| i.reboots > 0).count();
    assert_eq!(rebooted, 0);
}

#[test]
fn a_thousand_healthy_suspects_end_as_designed() {
    all_are_suspects(GpuHealth::Healthy, "no GPU fault found");
}

const DOUBT: &str = "too many GPU checks failed at once to trust the check";

#[test]
fn a_thousand_faulty_suspects_end_as_designed() {
    all_are_suspects(GpuHealth::FaultForever, DOUBT);
}

/// With a reason of 350 characters each.
#[test]
fn a_thousand_suspects_without_an_answer_end_as_designed() {
    all_are_suspects(GpuHealth::NoExitCode, DOUBT);
}

#[test]
fn a_thousand_suspects_that_cannot_be_placed_end_as_designed() {
    all_are_suspects(GpuHealth::CannotPlace, DOUBT);
}

#[test]
fn a_registry_outage_under_a_thousand_suspects_ends_as_designed() {
    all_are_suspects(GpuHealth::ImageUnavailable, DOUBT);
}
