//! StopSiblings.

use serde_json::{Value, json};
use simulator::{ecs::Behaviour, faults::Fault, throttle::Limit};
use std::time::Duration;
use tests::{
    JOB, Recovery, World,
    faults::{calls_of, ends_the_same_after_any_fault},
    instance_id, settings,
};
use tokio::time::Instant;
use workers::{
    aws::launch_names::started_by,
    ids::JobId,
    records::{InstanceStatus, JobStatus, RankStatus},
};

const STOP: &str = "stop-siblings";

async fn stop(w: &World, recovery: &Recovery, outcome: &str) -> Value {
    w.outcome(STOP, recovery.input(json!({})), outcome).await
}

fn stop_calls(w: &World) -> usize {
    calls_of(w, STOP)
        .iter()
        .filter(|c| c.action == "StopTask")
        .count()
}

fn suspects(answer: &Value) -> Vec<u64> {
    let suspects = answer["toCheck"].as_array().unwrap();
    suspects
        .iter()
        .map(|s| s["rank"].as_u64().unwrap())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_of_one_rank_has_nothing_to_stop() {
    let w = World::with_job(1).await;
    let recovery = w.claim(0).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(
        answer["toCheck"],
        json!([{ "instance": instance_id(0), "rank": 0 }])
    );
    assert_eq!(stop_calls(&w), 0);
}

#[tokio::test(start_paused = true)]
async fn every_other_rank_is_stopped_once_with_our_mark_and_is_no_suspect() {
    let w = World::with_job(8).await;
    let recovery = w.claim(3).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(
        answer["toCheck"],
        json!([{ "instance": instance_id(3), "rank": 3 }])
    );
    assert_eq!(stop_calls(&w), 7);
    assert!(w.running_tasks().is_empty());
    for rank in w.ranks(1).await {
        assert_eq!(rank.status, RankStatus::Stopped);
        let (code, reason) = (rank.exit_code, rank.stopped_reason.unwrap());
        if rank.rank == 3 {
            assert_eq!(
                (code, reason.as_str()),
                (Some(1), "Essential container in task exited")
            );
        } else {
            assert_eq!(
                (code, reason.as_str()),
                (Some(143), "gpu-recovery: another rank of the job failed")
            );
        }
    }
    assert_eq!(
        w.instance_record(3).await.status,
        InstanceStatus::PendingHealthcheck
    );
    assert_eq!(
        w.instance_record(2).await.status,
        InstanceStatus::InProgress
    );
}

#[tokio::test(start_paused = true)]
async fn a_thousand_ranks_are_stopped_within_the_apis_rate_by_one_call() {
    let w = World::with_job(1024).await;
    let recovery = w.claim(700).await;
    let start = Instant::now();
    stop(&w, &recovery, "Stopped").await;
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(stop_calls(&w), 1023);
    let refused: Vec<_> = w
        .wire()
        .calls()
        .into_iter()
        .filter(|c| c.outcome.is_err())
        .collect();
    assert_eq!(refused, [], "nothing was throttled");
    assert!(w.running_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
// A rank that had to be killed accuses nobody, but its node is checked as are those whose rank ended by itself.
async fn tasks_that_ignore_sigterm_are_killed_and_every_killed_rank_is_checked() {
    let w = World::new().await;
    w.cloud
        .fleet
        .on_job_task(|_| Behaviour::default().hanging());
    w.job(3).await;
    let recovery = w.claim(0).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(suspects(&answer), [0, 1, 2]);
    let codes: Vec<_> = w.ranks(1).await.into_iter().map(|r| r.exit_code).collect();
    assert_eq!(codes, [Some(1), Some(137), Some(137)]);
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_agent_is_away_is_named_until_the_agent_is_back_and_asked_to_stop_once() {
    let w = World::with_job(3).await;
    let recovery = w.claim(0).await;
    w.cloud.fleet.disconnect_agent(&instance_id(2), None);
    let answer = stop(&w, &recovery, "StillStopping").await;
    assert_eq!(answer["runningTasks"], 1);
    assert_eq!(
        answer["running"],
        json!([{ "rank": 2, "instance": instance_id(2), "task": w.task(2).await }])
    );
    stop(&w, &recovery, "StillStopping").await;
    w.cloud.fleet.connect_agent(&instance_id(2));
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(suspects(&answer), [0]);
    assert_eq!(stop_calls(&w), 2);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_rebooted_under_its_task_is_not_checked_again_and_its_old_word_is_gone() {
    let w = World::with_job(3).await;
    let recovery = w.claim(0).await;
    w.cloud.fleet.disconnect_agent(&instance_id(2), None);
    stop(&w, &recovery, "StillStopping").await;
    let mut cordon = recovery.cordon(2);
    cordon["stuck"] = json!(true);
    w.outcome("cordon-instance", cordon, "Cordoned").await;
    w.cloud.fleet.connect_agent(&instance_id(2));
    let input = recovery.input(json!({ "recoveries": [
        { "instance": instance_id(2), "rank": 2, "recovered": true, "detail": "rebooted, DCGM healthy" }
    ]}));
    let answer = w.outcome("stop-siblings", input, "Stopped").await;
    assert_eq!(suspects(&answer), [0]);
    let record = w.instance_record(2).await;
    assert_eq!(
        record.last_verdict.as_deref(),
        Some("healthy after its reboot")
    );
}

#[tokio::test(start_paused = true)]
async fn many_stuck_tasks_are_counted_and_ten_are_named() {
    let w = World::with_job(30).await;
    let recovery = w.claim(0).await;
    for nth in 1..30 {
        w.cloud.fleet.disconnect_agent(&instance_id(nth), None);
    }
    let answer = stop(&w, &recovery, "StillStopping").await;
    assert_eq!(answer["runningTasks"], 29);
    assert_eq!(answer["running"].as_array().unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_ecs_has_forgotten_count_as_stopped() {
    let w = World::with_job(3).await;
    let event = w.exit(1, 1).await;
    w.cloud.fleet.stop(&w.task(0).await, "gpu-recovery: test");
    w.cloud.fleet.stop(&w.task(2).await, "gpu-recovery: test");
    w.pass(2 * 3600).await;
    let recovery = w.claim_with(event).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(
        suspects(&answer),
        [1],
        "the rank whose end started the recovery"
    );
    assert!(
        w.ranks(1)
            .await
            .iter()
            .all(|r| r.status == RankStatus::Stopped)
    );
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_stops_a_task_meanwhile_gets_the_job() {
    let w = World::with_job(3).await;
    let recovery = w.claim(0).await;
    w.cloud.fleet.stop(&w.task(2).await, "Task stopped by user");
    let answer = stop(&w, &recovery, "StoppedByUser").await;
    assert_eq!(answer["failure"]["rank"], 2);
    assert!(w.running_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_rank_that_ended_by_itself_is_a_suspect_and_a_completed_one_is_not() {
    let w = World::with_job(6).await;
    let recovery = w.claim(2).await;
    // An NCCL time-out kills one rank by a signal; another one had not noticed yet and was done.
    w.exit(5, 134).await;
    w.exit(4, 0).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(suspects(&answer), [2, 5]);
    let ranks = w.ranks(1).await;
    assert_eq!(
        (ranks[5].exit_code, ranks[5].status),
        (Some(134), RankStatus::Stopped)
    );
    assert_eq!(
        (ranks[4].exit_code, ranks[4].status),
        (Some(0), RankStatus::Complete)
    );
}

#[tokio::test(start_paused = true)]
async fn all_instances_are_checked_when_the_settings_say_so() {
    let w = World::with(settings(&[("INSTANCES_TO_CHECK", "all")])).await;
    w.job(4).await;
    let recovery = w.claim(2).await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(suspects(&answer), [0, 1, 2, 3]);
    for nth in 0..4 {
        assert_eq!(
            w.instance_record(nth).await.status,
            InstanceStatus::PendingHealthcheck
        );
    }
}

#[tokio::test(start_paused = true)]
async fn two_suspects_on_one_instance_are_checked_once() {
    let w = World::with_job(3).await;
    let recovery = w.claim(1).await;
    w.exit(2, 1).await;
    w.edit_job(
        JOB,
        "attempt#00001#rank#00002",
        "instance_id",
        json!({ "S": instance_id(1) }),
    )
    .await;
    let answer = stop(&w, &recovery, "Stopped").await;
    assert_eq!(
        answer["toCheck"],
        json!([{ "instance": instance_id(1), "rank": 1 }])
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_ended_recovery_left_cordoned_is_set_free() {
    let w = World::with_job(2).await;
    let first = w.claim_and_cordon(1).await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    stop(&w, &second, "Stopped").await;
    assert_eq!(w.ecs_status(1), "ACTIVE");
    let record = w.instance_record(1).await;
    assert_eq!(
        (record.status, record.holder, record.cordoned),
        (InstanceStatus::PendingHealthcheck, None, false)
    );
    assert_eq!(record.faults.len(), 1, "its reboot stays counted");
}

#[tokio::test(start_paused = true)]
async fn what_a_running_recovery_holds_stays_as_it_is_and_what_is_quarantined_is_drained() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    let other = w.running_execution();
    for (attribute, value) in [
        ("holder", json!({ "S": other })),
        ("status", json!({ "S": "REBOOTING" })),
        ("cordoned", json!({ "BOOL": true })),
        ("job_id", json!({ "S": "another-job" })),
    ] {
        w.edit_instance(&instance_id(1), attribute, value).await;
    }
    let before = w.instances_as_they_are().await;
    stop(&w, &recovery, "Stopped").await;
    assert_eq!(w.instances_as_they_are().await, before);
    w.edit_instance(&instance_id(1), "holder", Value::Null)
        .await;
    w.edit_instance(&instance_id(1), "status", json!({ "S": "QUARANTINED" }))
        .await;
    let (records, _) = w.instances_as_they_are().await;
    assert_eq!(
        w.ecs_status(1),
        "ACTIVE",
        "whoever marked it died before the drain"
    );
    stop(&w, &recovery, "Stopped").await;
    assert_eq!(w.instances_as_they_are().await.0, records);
    assert_eq!(w.ecs_status(1), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_the_job_stops_nothing() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    let error = w.call(STOP, recovery.input(json!({}))).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert_eq!(stop_calls(&w), 0);
    assert_eq!(w.running_tasks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_half_started_relaunch_of_the_recovery_before_is_undone_first() {
    let w = World::with_job(3).await;
    let first = w.claim_and_stop(1).await;
    w.wire()
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            ("relaunch-job", "PutItem") => Fault::KillCaller {
                after_effect: false,
            },
            _ => Fault::Proceed,
        });
    let relaunch = first.input(json!({ "instances": [] }));
    assert!(w.call_or_die("relaunch-job", relaunch).await.is_none());
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(30).await;
    let started = started_by(&JobId::new(JOB), 2);
    let of_next = |w: &World| {
        w.running_tasks()
            .values()
            .filter(|t| t["startedBy"] == started)
            .count()
    };
    assert_eq!(
        of_next(&w),
        3,
        "the relaunch came as far as recording its ranks"
    );
    w.end(&first.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    w.settled_outcome(STOP, second.input(json!({})), "Stopped")
        .await;
    assert_eq!(of_next(&w), 0);
    let job = w.job_record().await;
    assert_eq!(
        (job.attempt, job.launching, job.status),
        (1, false, JobStatus::PendingHealthcheck)
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_aws_refuses_is_told_with_its_call() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    w.wire().faults().set_plan(|call| match call.action {
        "StopTask" => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "no".to_owned(),
        },
        _ => Fault::Proceed,
    });
    let error = w.call(STOP, recovery.input(json!({}))).await.unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    assert!(
        error
            .to_string()
            .contains("ecs:StopTask failed with AccessDeniedException"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(STOP, || async {
        let w = World::with_job(3).await;
        let recovery = w.claim(1).await;
        (w, recovery.input(json!({})))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn setting_free_what_was_left_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(STOP, || async {
        let w = World::with_job(2).await;
        let first = w.claim_and_cordon(1).await;
        w.end(&first.execution);
        let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
        (w, second.input(json!({})))
    })
    .await;
}

/// A recovery redriven after an hour, when ECS has forgotten the stopped tasks, and others use up the account's StopTask.
#[tokio::test(start_paused = true)]
async fn a_redrive_under_throttling_writes_down_what_is_gone_and_goes_on_where_it_stopped() {
    let w = World::with_job(31).await;
    let recovery = w.claim(1).await;
    for rank in 0..31 {
        w.cloud.fleet.kill_process(&w.task(rank).await, Some(1));
    }
    w.pass(2 * 3600).await;
    let scarce = Limit {
        burst: 1.0,
        per_second: 0.05,
    };
    w.wire().throttle().set_limit("ecs", "StopTask", scarce);
    let mut left = Vec::new();
    loop {
        match w.call(STOP, recovery.input(json!({}))).await {
            Ok(outcome) => {
                assert_eq!(outcome["outcome"], "Stopped");
                break;
            }
            Err(error) => assert!(error.passes(), "{error}"),
        }
        let ranks = w.ranks(1).await;
        left.push(
            ranks
                .iter()
                .filter(|r| r.status == RankStatus::Running)
                .count(),
        );
        assert!(left.len() < 12, "no end: {left:?}");
    }
    assert!(
        left.len() > 1,
        "one call did it all: the throttling is too mild"
    );
    assert!(left.is_sorted_by(|a, b| a > b), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn how_a_rank_ended_is_kept_for_a_redrive_that_comes_when_ecs_has_forgotten_it() {
    let w = World::with_job(4).await;
    let recovery = w.claim(1).await;
    w.cloud.fleet.kill_process(&w.task(3).await, Some(1));
    w.pass(15).await;
    w.wire().faults().set_plan(|call| match call.action {
        // It sees how ranks ended, writes that down, and dies before its outcome is told.
        "GetItem" if call.nth > 1 => Fault::KillCaller {
            after_effect: false,
        },
        _ => Fault::Proceed,
    });
    assert!(
        w.call_or_die(STOP, recovery.input(json!({})))
            .await
            .is_none()
    );
    w.wire().faults().set_plan(|_| Fault::Proceed);
    w.pass(2 * 3600).await;
    let stopped = stop(&w, &recovery, "Stopped").await;
    assert_eq!(suspects(&stopped), [1, 3]);
}
