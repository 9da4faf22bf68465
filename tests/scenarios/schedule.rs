//! A drill plays all that its scenario schedules, and says what it did not come to.

use simulator::scenario::{PlayOptions, Report, Scenario, play};

fn drill(text: &str) -> Report {
    let scenario = Scenario::parse("test.yaml", text).unwrap();
    play(&scenario, &PlayOptions::default()).unwrap()
}

/// pytorch/pytorch#60910: the second fault of a job comes when everybody has forgotten the first.
#[test]
fn a_fault_eight_hours_after_the_recovery_is_played() {
    let report = drill(
        "
name: second-fault-later
about: The job is recovered once; eight hours later another node's GPU fails.
settings: { RECOVERY_ATTEMPTS: 2 }
ranks:
  3: { exits: { after: 10m, code: 1 } }
  5: { exits: { after: 8h, code: 1 }, attempts: 2 }
instances:
  3: { gpu: fault-until-reboot }
  5: { gpu: fault-until-reboot }
expect:
  job: IN_PROGRESS
  attempt: 3
  reboots: { 3: 1, 5: 1 }
  notifications: [JobRecovered, JobRecovered]
",
    );
    assert!(report.passed, "{:#?}", report.unmet);
    assert_eq!(report.not_reached, [""; 0]);
}

#[test]
fn an_agent_that_comes_back_after_hours_is_waited_for() {
    let report = drill(
        "
name: away
about: Rank 1 ends while its node's agent is away for five hours.
nodes: 2
ranks:
  1: { exits: { after: 10m, code: 1 } }
actions:
  - { at: 5m, disconnectAgent: { node: 1, for: 5h } }
expect:
  job: FAILED
  attempt: 1
  notifications: [JobFailed]
",
    );
    assert!(report.passed, "{:#?}", report.unmet);
}

#[test]
fn what_a_drill_did_not_come_to_is_named() {
    let report = drill(
        "
name: early
about: Rank 3 fails early, and the job stays down.
ranks:
  3: { exits: { after: 10m, code: 1 } }
  5: { exits: { after: 8h, code: 1 } }
  6: { exits: { after: 5m, code: 0 }, attempts: 4 }
  7: { later: [{ startsAfter: 1m }] }
instances:
  5: { gpu: isolate, reboot: never-returns }
actions:
  - { at: 2m, abortExecution: true }
  - { at: 3m, repeatStopEvents: true }
expect:
  job: FAILED
  attempt: 1
  notifications: [JobFailed]
",
    );
    assert!(report.passed, "{:#?}", report.unmet);
    assert_eq!(
        report.not_reached,
        [
            "rank 5 exits with 1 after 8h: its tasks were stopped before",
            "rank 6 does so in 4 attempts: there was no attempt 2",
            "rank 7 has 2 launches: there was no launch 2",
            "node 5: its GPUs were never checked",
            "node 5: it was never rebooted",
            "abortExecution at 2m: there was nothing to do it to",
            "repeatStopEvents at 3m: there was nothing to do it to",
        ]
    );
}

/// One GPU is gone for ECS: no check of all GPUs can be placed.
#[test]
fn a_node_on_which_no_check_can_be_placed_is_played() {
    let report = drill(
        "
name: cannot-place
about: A GPU of node 3 is gone, also for ECS.
ranks:
  3: { exits: { after: 10m, code: 1 } }
instances:
  3: { gpu: cannot-place }
expect:
  job: FAILED
  attempt: 1
  quarantined: [3]
  notifications: [JobFailed]
",
    );
    assert!(report.passed, "{:#?}", report.unmet);
    assert_eq!(report.not_reached, [""; 0]);
}

/// A lost container says nothing of the node: a minute later the check passes.
#[test]
fn a_check_that_is_lost_once_is_tried_again() {
    let report = drill(
        "
name: lost-once
about: The check's container is lost once.
ranks:
  3: { exits: { after: 10m, code: 1 } }
instances:
  3: { gpu: check-crashes-once }
expect:
  job: FAILED
  attempt: 1
  reason: no GPU fault found
  notifications: [JobFailed]
",
    );
    assert!(report.passed, "{:#?}", report.unmet);
}

/// A bare `dcgmi diag` cannot tell a setting from a fault, nor a reboot from an isolation; it is believed as far as it goes.
#[test]
fn a_task_of_the_users_is_read_by_the_two_sets_of_codes() {
    for (gpu, ends) in [
        (
            "fault-until-reboot",
            "job: IN_PROGRESS\n  attempt: 2\n  reboots: { 3: 1 }\n  notifications: [JobRecovered]",
        ),
        (
            "isolate",
            "job: FAILED\n  attempt: 1\n  reboots: { 3: 1 }\n  quarantined: [3]\n  notifications: [JobFailed]",
        ),
        (
            "{ dcgm-exits: 2 }",
            "job: FAILED\n  attempt: 1\n  quarantined: [3]\n  notifications: [JobFailed]",
        ),
        (
            "{ dcgm-exits: 204 }",
            "job: FAILED\n  attempt: 1\n  quarantined: [3]\n  notifications: [JobFailed]",
        ),
    ] {
        let report = drill(&format!(
            "
name: bare-dcgmi
about: The check is a task definition of the user's.
settings: {{ CREATE_DCGM_HEALTH_CHECK_TASK: 'false' }}
ranks:
  3: {{ exits: {{ after: 10m, code: 1 }} }}
instances:
  3: {{ gpu: {gpu} }}
expect:
  {ends}
"
        ));
        assert!(
            report.passed,
            "{gpu}: {:#?} {:#?}",
            report.unmet, report.broken_promises
        );
    }
}
