//! The promises under every fault: schedules by seed, every failure of every call, bugs of other systems, bad input.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod determinism;
mod exhaustive;
mod field;
mod input;
mod planted;
mod regressions;
mod schedules;
mod sensitive;

use simulator::{
    chaos::{ChaosOptions, ChaosReport, Plan, play_plan},
    scenario::builtin,
};

/// Rank 3 of 4 dies on a bad GPU after ten minutes; a reboot fixes it. Seconds after the start: 600 it dies, ~680 it is
/// checked, ~810 the node reboots, ~1350 it is back, ~1500 the job runs again.
fn gpu_fault() -> Plan {
    let scenario = builtin("gpu-fault")
        .expect("it is built in")
        .expect("it can be read");
    Plan::of_scenario(&scenario.with_nodes(4).expect("4 nodes are enough"), 1)
}

/// Plays it, and demands that every promise is kept.
fn played(plan: &Plan) -> ChaosReport {
    let report = play_plan(plan, &ChaosOptions::default()).expect("it can be played");
    assert!(report.passed(), "{report}");
    report
}
