//! Bugs of other repair systems, as tests that ours passes. Each names the report it is made after.

use crate::{gpu_fault, played};
use simulator::{
    chaos::{Deed, FaultKind, Later, Plan, Strike},
    ecs::{Behaviour, GpuHealth, RebootOutcome},
    optimized,
    scenario::builtin,
};
use std::time::Duration;

fn at(seconds: u64, deed: Deed) -> (Duration, Deed) {
    (Duration::from_secs(seconds), deed)
}

fn strike(action: &str, service: &str, nth: u64, kind: FaultKind) -> Strike {
    Strike {
        role: "state-machine".to_owned(),
        service: service.to_owned(),
        action: action.to_owned(),
        nth,
        kind,
    }
}

/// NVIDIA/NVSentinel #1280: an event that was handled or skipped long ago is replayed after a restart, and the healthy
/// node reboots under its new work.
#[test]
fn a_stale_event_replayed_later_reboots_no_healthy_node() {
    let mut plan = gpu_fault();
    let ranks = &mut plan.jobs[0].ranks;
    ranks.fill(Behaviour::aborts_with_gang(Duration::from_millis(300), 1));
    ranks[3] = Behaviour::exits(Duration::from_secs(600), 1);
    plan.deeds = [700, 900, 1400, 1600, 3000, 9000]
        .map(|seconds| at(seconds, Deed::Replay))
        .to_vec();
    let report = played(&plan);
    assert_eq!(
        (report.counts.reboots, report.counts.relaunches),
        (1, 1),
        "{report}"
    );
}

/// NVIDIA/NVSentinel #1536: a fault that comes just after the reboot, before its completion is recorded, is skipped and
/// stranded for ever.
#[test]
fn a_fault_just_after_a_reboot_is_never_stranded() {
    let step = if optimized() { 50 } else { 150 };
    for seconds in (0..1100).step_by(step) {
        let mut plan = gpu_fault();
        plan.nodes[3].relapses = Some(Duration::from_secs(seconds));
        plan.jobs[0].later = Later::FailsAgain {
            rank: 3,
            after: Duration::from_secs(20),
            code: 1,
        };
        plan.jobs[0].recovery_attempts = Some(3);
        let report = played(&plan);
        assert!(report.jobs[0].contains("FAILED"), "{seconds}: {report}");
    }
}

/// NVIDIA/NVSentinel #1543, syself/cluster-api-provider-hetzner #1983: a chronic fault reboots the node in a loop.
#[test]
fn a_chronic_fault_reboots_a_node_no_more_than_the_limit() {
    for limit in 1..=3_usize {
        let mut plan = gpu_fault();
        plan.settings
            .insert("MAX_FAULTS_PER_MONTH".to_owned(), limit.to_string());
        plan.nodes[3].relapses = Some(Duration::from_secs(1200));
        plan.jobs[0].later = Later::FailsAgain {
            rank: 3,
            after: Duration::from_secs(900),
            code: 1,
        };
        plan.jobs[0].recovery_attempts = Some(10);
        let report = played(&plan);
        // The last fault that is allowed quarantines it.
        assert_eq!(report.counts.reboots, limit - 1, "{report}");
        assert_eq!(report.counts.quarantined, 1, "{report}");
        assert!(report.jobs[0].contains("FAILED"), "{report}");
    }
}

/// NVIDIA/NVSentinel #1808: a reboot request that failed for good counts as in progress for ever.
#[test]
fn a_reboot_that_is_refused_for_good_is_not_in_progress_for_ever() {
    let mut plan = gpu_fault();
    plan.storm.at = (1..=12)
        .map(|nth| strike("SendCommand", "ssm", nth, FaultKind::Final))
        .chain((1..=6).map(|nth| strike("RebootInstances", "ec2", nth, FaultKind::Final)))
        .collect();
    let report = played(&plan);
    assert_eq!(report.counts.reboots, 0, "{report}");
    assert!(report.jobs[0].contains("FAILED"), "{report}");
}

/// NVIDIA/NVSentinel #450: after a pause the system acts upon everything that has piled up.
#[test]
fn events_that_piled_up_during_a_pause_are_not_acted_upon_again() {
    let mut plan = gpu_fault();
    plan.delivery.late = 1.0;
    plan.delivery.late_by = Duration::from_secs(1800)..Duration::from_secs(3600);
    plan.delivery.duplicates = 1.0;
    plan.delivery.in_order = false;
    plan.deeds = vec![at(5400, Deed::Replay), at(12_000, Deed::Replay)];
    let report = played(&plan);
    assert!(
        report.counts.reboots <= 1 && report.counts.relaunches <= 1,
        "{report}"
    );
}

/// NVIDIA/NVSentinel #1387, aws/aws-node-termination-handler #272 and #331: a node that is gone is retried for ever, or
/// the handler dies of it.
#[test]
fn a_node_that_is_gone_fails_the_job_and_no_more() {
    for seconds in [590, 601, 640, 700, 800, 830, 900, 1300, 1400, 1450] {
        let mut plan = gpu_fault();
        plan.deeds = vec![at(seconds, Deed::Deregister { node: 3 })];
        let report = played(&plan);
        assert!(report.counts.reboots <= 1, "{seconds}: {report}");
    }
}

/// kubereboot/kured #137 and #847: the lock is held by a node, or by somebody, that is no more.
#[test]
fn a_hold_of_an_execution_that_is_no_more_is_taken_over() {
    for seconds in [605, 650, 720, 815, 840, 1000, 1360, 1400, 1500] {
        let mut plan = gpu_fault();
        plan.deeds = vec![at(seconds, Deed::Abort), at(seconds + 120, Deed::Replay)];
        played(&plan);
    }
}

/// kubereboot/kured #63 and #955, bottlerocket-update-operator #691: the node is back from its reboot and stays cordoned.
#[test]
fn a_node_that_is_back_never_stays_cordoned() {
    let outcomes = [
        RebootOutcome::ReturnsAfter(Duration::from_secs(1)),
        RebootOutcome::ReturnsAfter(Duration::from_secs(1700)),
        RebootOutcome::ReturnsAfter(Duration::from_secs(3600)),
        RebootOutcome::NeverReturns,
        RebootOutcome::HangsInShutdown,
        RebootOutcome::EcsAgentStaysAway,
        RebootOutcome::SsmAgentStaysAway,
    ];
    for outcome in outcomes {
        for flaps in [false, true] {
            let mut plan = gpu_fault();
            plan.nodes[3].reboot = outcome;
            plan.flaps = flaps;
            played(&plan);
        }
    }
}

/// kubereboot/kured #792: the lock is taken before it is seen that the reboot is blocked, and then not released.
#[test]
fn a_blocked_reboot_leaves_no_hold_behind() {
    let scenario = builtin("another-jobs-instance")
        .expect("it is built in")
        .expect("it can be read");
    let report = played(&Plan::of_scenario(&scenario, 1));
    assert_eq!(
        (report.counts.reboots, report.counts.quarantined),
        (0, 1),
        "{report}"
    );
}

/// NVIDIA/NVSentinel #1534: a replayed event marks a node that was fixed long ago as failed.
#[test]
fn a_replayed_event_quarantines_no_fixed_node() {
    let mut plan = gpu_fault();
    plan.deeds = vec![
        at(2000, Deed::Replay),
        at(2000, Deed::Redrive),
        at(
            2600,
            Deed::GpuGoesBad {
                node: 3,
                health: GpuHealth::DcgmCrashes(204),
            },
        ),
        at(2700, Deed::Replay),
    ];
    let report = played(&plan);
    assert_eq!(report.counts.quarantined, 0, "{report}");
}
