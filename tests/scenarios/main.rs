//! Whole recoveries: every scenario that comes with the program, and what must hold of single ones beyond their files.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod details;
mod determinism;
mod messages;
mod schedule;
mod size;

use simulator::scenario::{PlayOptions, Report, builtin, builtins, play};

/// Plays a scenario by name, with seed 1.
fn played(name: &str) -> Report {
    let scenario = builtin(name).unwrap().unwrap();
    play(&scenario, &PlayOptions::default()).unwrap()
}

/// The file says how it must end: records, reboots, quarantine, notifications, path; the promises hold in any case. What
/// the operators read stands in a file of its own.
fn ends_as_it_says(name: &str) {
    let scenario = builtin(name).unwrap().unwrap();
    for seed in 1..=3 {
        let options = PlayOptions {
            seed,
            ..PlayOptions::default()
        };
        let report = play(&scenario, &options).unwrap();
        assert!(
            report.passed,
            "{name}, seed {seed}: {:#?} {:#?}\n{:#?}",
            report.unmet, report.broken_promises, report.executions
        );
        if seed == PlayOptions::default().seed {
            messages::are_as_written(&report);
        }
    }
}

#[test]
fn every_scenario_has_its_test() {
    let source = include_str!("main.rs");
    for scenario in builtins().unwrap() {
        let call = format!("ends_as_it_says(\"{}\")", scenario.name);
        assert!(source.contains(&call), "{} has no test", scenario.name);
    }
}

#[test]
fn all_ranks_fail_at_once() {
    ends_as_it_says("all-ranks-fail-at-once");
}

#[test]
fn another_jobs_instance() {
    ends_as_it_says("another-jobs-instance");
}

#[test]
fn application_fault() {
    ends_as_it_says("application-fault");
}

#[test]
fn clean_completion() {
    ends_as_it_says("clean-completion");
}

#[test]
fn duplicate_and_late_events() {
    ends_as_it_says("duplicate-and-late-events");
}

#[test]
fn fault_persists_after_reboot() {
    ends_as_it_says("fault-persists-after-reboot");
}

#[test]
fn gpu_fault() {
    ends_as_it_says("gpu-fault");
}

#[test]
fn hybrid_instance() {
    ends_as_it_says("hybrid-instance");
}

#[test]
fn instance_never_returns() {
    ends_as_it_says("instance-never-returns");
}

#[test]
fn isolate() {
    ends_as_it_says("isolate");
}

#[test]
fn person_aborts_then_redrives() {
    ends_as_it_says("person-aborts-then-redrives");
}

#[test]
fn ssm_agent_dead() {
    ends_as_it_says("ssm-agent-dead");
}

#[test]
fn throttled_api() {
    ends_as_it_says("throttled-api");
}

#[test]
fn two_bad_instances() {
    ends_as_it_says("two-bad-instances");
}

#[test]
fn user_stop() {
    ends_as_it_says("user-stop");
}

#[test]
fn gpu_off_the_bus() {
    ends_as_it_says("gpu-off-the-bus");
}

#[test]
fn check_hangs() {
    ends_as_it_says("check-hangs");
}

#[test]
fn check_crashes() {
    ends_as_it_says("check-crashes");
}

#[test]
fn one_unclear_one_bad() {
    ends_as_it_says("one-unclear-one-bad");
}

#[test]
fn misconfigured_node() {
    ends_as_it_says("misconfigured-node");
}

#[test]
fn check_broken_everywhere() {
    ends_as_it_says("check-broken-everywhere");
}

#[test]
fn registry_outage() {
    ends_as_it_says("registry-outage");
}

#[test]
fn abort_134() {
    ends_as_it_says("abort-134");
}

#[test]
fn container_lost() {
    ends_as_it_says("container-lost");
}

#[test]
fn interrupted_exit_0() {
    ends_as_it_says("interrupted-exit-0");
}

#[test]
fn oom_with_sidecar() {
    ends_as_it_says("oom-with-sidecar");
}

#[test]
fn no_recovery_93() {
    ends_as_it_says("no-recovery-93");
}

#[test]
fn tell_only() {
    ends_as_it_says("tell-only");
}

#[test]
fn orphan_process() {
    ends_as_it_says("orphan-process");
}

#[test]
fn login_session() {
    ends_as_it_says("login-session");
}

#[test]
fn shutdown_hangs() {
    ends_as_it_says("shutdown-hangs");
}

#[test]
fn late_reboot_order() {
    ends_as_it_says("late-reboot-order");
}

#[test]
fn late_reboot_event() {
    ends_as_it_says("late-reboot-event");
}

#[test]
fn gpu_missing_after_reboot() {
    ends_as_it_says("gpu-missing-after-reboot");
}

#[test]
fn redrive_after_another_repair() {
    ends_as_it_says("redrive-after-another-repair");
}

#[test]
fn all_events_lost() {
    ends_as_it_says("all-events-lost");
}

#[test]
fn abort_of_all_ranks() {
    ends_as_it_says("abort-of-all-ranks");
}

#[test]
fn abort_of_all_ranks_with_xid() {
    ends_as_it_says("abort-of-all-ranks-with-xid");
}

#[test]
fn two_bad_by_xid() {
    ends_as_it_says("two-bad-by-xid");
}

#[test]
fn echo_xids() {
    ends_as_it_says("echo-xids");
}

#[test]
fn probe_unanswered() {
    ends_as_it_says("probe-unanswered");
}

#[test]
fn person_stops_one_rank() {
    ends_as_it_says("person-stops-one-rank");
}

#[test]
fn keep_others() {
    ends_as_it_says("keep-others");
}

#[test]
fn operator_stops_a_recovery() {
    ends_as_it_says("operator-stops-a-recovery");
}

#[test]
fn second_fault_later() {
    ends_as_it_says("second-fault-later");
}

#[test]
fn crash_loop() {
    ends_as_it_says("crash-loop");
}

#[test]
fn first_failure_during_submit() {
    ends_as_it_says("first-failure-during-submit");
}

#[test]
fn image_pull_throttled() {
    ends_as_it_says("image-pull-throttled");
}

#[test]
fn relaunch_does_not_start() {
    ends_as_it_says("relaunch-does-not-start");
}

#[test]
fn rank_ends_while_others_start() {
    ends_as_it_says("rank-ends-while-others-start");
}

#[test]
fn repeat_offender() {
    ends_as_it_says("repeat-offender");
}

#[test]
fn operator_drains_meanwhile() {
    ends_as_it_says("operator-drains-meanwhile");
}

#[test]
fn check_by_hand() {
    ends_as_it_says("check-by-hand");
}

#[test]
fn checked_back_into_service() {
    ends_as_it_says("checked-back-into-service");
}

#[test]
fn checked_and_still_bad() {
    ends_as_it_says("checked-and-still-bad");
}

#[test]
fn no_recovery_while_others_start() {
    ends_as_it_says("no-recovery-while-others-start");
}

#[test]
fn application_xid() {
    ends_as_it_says("application-xid");
}

#[test]
fn xid_79() {
    ends_as_it_says("xid-79");
}

#[test]
fn hung_rank() {
    ends_as_it_says("hung-rank");
}

#[test]
fn fault_on_another_node() {
    ends_as_it_says("fault-on-another-node");
}

#[test]
fn task_that_does_not_stop() {
    ends_as_it_says("task-that-does-not-stop");
}

#[test]
fn task_ended_by_reboot() {
    ends_as_it_says("task-ended-by-reboot");
}

#[test]
fn agent_away() {
    ends_as_it_says("agent-away");
}

#[test]
fn spare_takes_over() {
    ends_as_it_says("spare-takes-over");
}

#[test]
fn abort_of_all_ranks_with_spare() {
    ends_as_it_says("abort-of-all-ranks-with-spare");
}

#[test]
fn rank_0_moves() {
    ends_as_it_says("rank-0-moves");
}

#[test]
fn two_jobs_one_spare() {
    ends_as_it_says("two-jobs-one-spare");
}

#[test]
fn spare_after_check() {
    ends_as_it_says("spare-after-check");
}

#[test]
fn isolate_with_spare() {
    ends_as_it_says("isolate-with-spare");
}

#[test]
fn no_spare() {
    ends_as_it_says("no-spare");
}

#[test]
fn swap_in_vain() {
    ends_as_it_says("swap-in-vain");
}

#[test]
fn spare_without_image() {
    ends_as_it_says("spare-without-image");
}

#[test]
fn spare_taken_meanwhile() {
    ends_as_it_says("spare-taken-meanwhile");
}

#[test]
fn spare_does_not_place() {
    ends_as_it_says("spare-does-not-place");
}

#[test]
fn own_place_taken() {
    ends_as_it_says("own-place-taken");
}

#[test]
fn repair_fails_beside_the_job() {
    ends_as_it_says("repair-fails-beside-the-job");
}

#[test]
fn second_failure_during_repair() {
    ends_as_it_says("second-failure-during-repair");
}
