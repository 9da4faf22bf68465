//! The largest job that is promised, and how cost grows.

use simulator::scenario::{PlayOptions, Report, builtin, play};
use std::collections::BTreeMap;

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
    let report = with_nodes(1024);
    // promises::cost_grows_with_the_job holds the 256 KiB; here the history and what is billed.
    assert!(
        report.history.len() < 500,
        "{} events",
        report.history.len()
    );
    assert_eq!(report.throttled, 0, "{:?}", report.calls);
}

#[test]
fn transitions_do_not_depend_on_the_ranks_and_calls_grow_with_them() {
    let (small, large) = (with_nodes(8), with_nodes(64));
    let recovery = |r: &Report| r.recovery().unwrap().state_transitions;
    assert_eq!(recovery(&small), recovery(&large));
    assert!(recovery(&small) <= 25, "{}", recovery(&small));
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
