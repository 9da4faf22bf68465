//! CordonInstance.

use futures::future::join;
use serde_json::{Value, json};
use simulator::{
    cloud::TRAINING,
    ecs::{Container, GpuHealth, TaskDefinition, TaskKind},
    faults::Fault,
};
use tests::{
    JOB, Recovery, World, faults::ends_the_same_after_any_fault, instance_id, settings, start_job,
};
use workers::records::{InstanceStatus, JobStatus};

const CORDON: &str = "cordon-instance";
const OTHER: &str = "other-job";

/// A job of two whose rank 1 failed, all stopped.
async fn stopped_job() -> (World, Recovery) {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

/// The instance is refused so, and neither its item nor anything in ECS changes.
async fn refused(w: &World, input: Value, refusal: &str) -> String {
    let before = w.instances_as_they_are().await;
    let answer = w.outcome(CORDON, input, "Refused").await;
    assert_eq!(answer["refusal"], refusal, "{answer}");
    assert_eq!(
        w.instances_as_they_are().await,
        before,
        "refused, so not changed"
    );
    answer["detail"].as_str().unwrap().to_owned()
}

/// An execution that runs, and holds the instance for another job.
async fn held_for_another_job(w: &World) -> String {
    let other = w.running_execution();
    w.edit_instance(&instance_id(1), "holder", json!({ "S": other }))
        .await;
    w.edit_instance(&instance_id(1), "job_id", json!({ "S": OTHER }))
        .await;
    other
}

async fn assert_held_by(w: &World, recovery: &Recovery) {
    assert_eq!(
        w.instance_record(1).await.holder,
        Some(World::arn(&recovery.execution))
    );
}

/// Another job's launcher is just a moment faster than the drain.
fn place_another_job_at_the_drain(w: &World) {
    let context = w.context("launcher");
    w.before_ecs("UpdateContainerInstancesState", move || {
        Box::pin(async move {
            start_job(&context, OTHER, [instance_id(1)]).await.unwrap();
        })
    });
}

fn state_changes(w: &World) -> usize {
    w.wire()
        .calls()
        .iter()
        .filter(|c| c.action == "UpdateContainerInstancesState")
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_faulty_instance_is_drained_and_held_for_one_reboot() {
    let (w, recovery) = stopped_job().await;
    let answer = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_eq!(answer["instance"], instance_id(1));
    assert_eq!(
        (w.ecs_status(1), w.ecs_status(0)),
        ("DRAINING".to_owned(), "ACTIVE".to_owned())
    );
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::Rebooting);
    assert_eq!(record.holder, Some(World::arn(&recovery.execution)));
    assert!(record.cordoned);
    assert_eq!(record.faults.len(), 1);
    let registered = w.cloud.fleet.instance(&instance_id(1)).unwrap().host.gpus;
    let gpus = workers::decisions::probe::gpu_set(registered.iter().map(String::as_str));
    assert_eq!(answer["gpus"], gpus, "as the probe tells the same GPUs");
    assert_eq!(record.gpus, Some(gpus));
    assert_eq!(record.last_verdict.as_deref(), Some("faulty (exit 226)"));
    let job = w.job_record().await;
    assert_eq!(job.status, JobStatus::PendingRestart);
    assert_eq!(
        job.reason,
        Some(format!("instance {} of rank 1 is faulty", instance_id(1)))
    );
}

#[tokio::test(start_paused = true)]
async fn a_redriven_cordon_holds_the_same_and_counts_one_reboot() {
    let (w, recovery) = stopped_job().await;
    let first = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    w.pass(3600).await;
    let again = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_eq!(again, first);
    assert_eq!(w.instance_record(1).await.faults.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_later_recovery_of_the_same_instance_is_another_reboot() {
    let (w, recovery) = stopped_job().await;
    w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    w.end(&recovery.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    // Straight after the claim, without StopSiblings: the cordon itself takes over from an ended execution.
    w.outcome(CORDON, second.cordon(1), "Cordoned").await;
    let record = w.instance_record(1).await;
    assert_eq!(record.faults.len(), 2);
    assert_eq!(record.holder, Some(World::arn(&second.execution)));
}

#[tokio::test(start_paused = true)]
async fn evidence_from_before_another_recoverys_reboot_is_none() {
    let (w, recovery) = stopped_job().await;
    let first = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_eq!(first["rebootedSince"], false);
    w.end(&recovery.execution);
    let second = w.claim_with(w.stop_event(&w.task(1).await)).await;
    // It was started before the first one held the node.
    let later = w.outcome(CORDON, second.cordon(1), "Cordoned").await;
    assert_eq!(later["rebootedSince"], true);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_another_running_recovery_holds_is_refused() {
    let (w, recovery) = stopped_job().await;
    let other = held_for_another_job(&w).await;
    let detail = refused(&w, recovery.cordon(1), "HeldByAnother").await;
    assert!(detail.contains(&other), "{detail}");
    assert_eq!(state_changes(&w), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_another_jobs_recovery_held_when_it_ended_is_taken_over() {
    let (w, recovery) = stopped_job().await;
    let other = held_for_another_job(&w).await;
    w.end(&other);
    w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_held_by(&w, &recovery).await;
}

/// Seed 5634: two executions were redriven at once, and Step Functions showed both as ended for a while.
#[tokio::test(start_paused = true)]
async fn promise_2_an_execution_that_was_redriven_a_moment_ago_keeps_its_instance() {
    let (w, recovery) = stopped_job().await;
    let other = held_for_another_job(&w).await;
    w.end(&other);
    w.pass(60).await;
    // It writes, so it runs, whatever DescribeExecution shows.
    let now = w.context("test").clock.rfc3339();
    w.edit_instance(&instance_id(1), "updated_at", json!({ "S": now }))
        .await;
    w.pass(30).await;
    refused(&w, recovery.cordon(1), "HeldByAnother").await;
    // It is shown within five minutes: one that is still shown as ended then has written its last.
    w.pass(300).await;
    w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
}

/// Who has lost the job has no say in its instances, even when it runs because it was redriven.
#[tokio::test(start_paused = true)]
async fn a_hold_for_this_job_of_an_execution_that_has_lost_it_is_void() {
    let (w, recovery) = stopped_job().await;
    let other = w.running_execution();
    w.edit_instance(&instance_id(1), "holder", json!({ "S": other }))
        .await;
    w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_held_by(&w, &recovery).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_runs_another_jobs_task_is_refused_and_stays_that_jobs() {
    let (w, recovery) = stopped_job().await;
    w.submit(OTHER, [instance_id(1)]).await.unwrap();
    let detail = refused(&w, recovery.cordon(1), "RunsAnotherJob").await;
    assert!(detail.contains(OTHER), "{detail}");
    assert_eq!(state_changes(&w), 0, "it was not even drained for a moment");
}

#[tokio::test(start_paused = true)]
async fn another_jobs_task_that_is_placed_at_the_last_moment_is_seen_after_the_drain() {
    let (w, recovery) = stopped_job().await;
    place_another_job_at_the_drain(&w);
    let before = w.instance_record(1).await;
    let answer = w.outcome(CORDON, recovery.cordon(1), "Refused").await;
    assert_eq!(answer["refusal"], "RunsAnotherJob");
    assert_eq!(w.ecs_status(1), "ACTIVE", "set free again");
    let after = w.instance_record(1).await;
    assert_eq!(
        (after.status, &after.job_id, &after.holder),
        (before.status, &before.job_id, &None)
    );
    assert_eq!(
        (after.faults, after.cordoned),
        (before.faults, false),
        "no reboot is counted"
    );
    assert_eq!(w.running_tasks().len(), 1, "the other job's task runs on");
}

#[tokio::test(start_paused = true)]
async fn an_instance_on_which_this_jobs_task_still_runs_is_refused() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    let detail = refused(&w, recovery.cordon(0), "RunsThisJob").await;
    assert!(detail.contains(JOB), "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_still_stopping_counts() {
    let (w, recovery) = stopped_job().await;
    w.submit(OTHER, [instance_id(1)]).await.unwrap();
    w.pass(60).await;
    w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    w.cloud
        .fleet
        .stop(&w.task_of(OTHER, 1, 0).await, "Task stopped by user");
    refused(&w, recovery.cordon(1), "RunsAnotherJob").await;
}

#[tokio::test(start_paused = true)]
async fn daemons_and_tasks_without_a_gpu_do_not_count() {
    let (w, recovery) = stopped_job().await;
    let daemon = TaskDefinition {
        family: "log-router".to_owned(),
        kind: TaskKind::Daemon,
        awsvpc: false,
        containers: vec![Container::new("log-router")],
    };
    w.cloud.fleet.define(daemon);
    w.cloud.fleet.add_daemon(&instance_id(1), "log-router");
    w.run_alone("log-router", 1).await;
    w.pass(60).await;
    assert_eq!(w.running_tasks().len(), 2);
    w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_an_operator_cordoned_is_refused() {
    let (w, recovery) = stopped_job().await;
    w.set_ecs_status(1, "DRAINING");
    refused(&w, recovery.cordon(1), "CordonedByOperator").await;
    assert_eq!(w.ecs_status(1), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_instance_is_refused_with_its_reason() {
    let (w, recovery) = stopped_job().await;
    w.edit_instance(&instance_id(1), "status", json!({ "S": "QUARANTINED" }))
        .await;
    w.edit_instance(
        &instance_id(1),
        "quarantine_reason",
        json!({ "S": "still faulty" }),
    )
    .await;
    assert_eq!(
        refused(&w, recovery.cordon(1), "Quarantined").await,
        "quarantined: still faulty"
    );
}

#[tokio::test(start_paused = true)]
async fn the_third_fault_within_thirty_days_is_refused() {
    for (limit, days_ago, outcome) in [
        ("3", [1, 2], "Refused"),
        ("3", [29, 29], "Refused"),
        ("3", [1, 30], "Cordoned"),
        ("4", [1, 2], "Cordoned"),
    ] {
        let w = World::with(settings(&[("MAX_FAULTS_PER_MONTH", limit)])).await;
        w.job(2).await;
        let recovery = w.claim_and_stop(1).await;
        let now = w.context("person").clock.epoch_seconds();
        let faults: Vec<_> = days_ago
            .iter()
            .map(|days| json!({ "N": (now - days * 24 * 3600).to_string() }))
            .collect();
        w.edit_instance(&instance_id(1), "faults", json!({ "L": faults }))
            .await;
        if outcome == "Refused" {
            let detail = refused(&w, recovery.cordon(1), "FaultLimit").await;
            assert_eq!(detail, "faulty 3 times within 30 days");
        } else {
            w.outcome(CORDON, recovery.cordon(1), outcome).await;
            let kept = w.instance_record(1).await.faults;
            assert!(
                kept.iter().all(|at| now - at < 30 * 24 * 3600),
                "older ones are forgotten: {kept:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_limit_of_one_nothing_is_rebooted() {
    let w = World::with(settings(&[("MAX_FAULTS_PER_MONTH", "1")])).await;
    w.job(2).await;
    let recovery = w.claim_and_stop(1).await;
    w.delete_instance_record(&instance_id(1)).await;
    refused(&w, recovery.cordon(1), "FaultLimit").await;
}

/// The fault for which this very recovery holds the instance is none of the earlier ones.
#[tokio::test(start_paused = true)]
async fn a_redriven_cordon_at_the_fault_limit_is_the_same_reboot() {
    let w = World::with(settings(&[("MAX_FAULTS_PER_MONTH", "2")])).await;
    w.job(2).await;
    let recovery = w.claim_and_stop(1).await;
    let first = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    let again = w.outcome(CORDON, recovery.cordon(1), "Cordoned").await;
    assert_eq!(again, first);
}

/// What a check without an exit code rests on.
fn without_a_code(recovery: &Recovery, end: &str) -> Value {
    let mut input = recovery.cordon(1);
    input["exitCode"] = Value::Null;
    input["end"] = end.into();
    input
}

/// Whose it is nobody knows; it computes all the same.
#[tokio::test(start_paused = true)]
async fn an_instance_on_whose_gpus_a_task_of_no_job_runs_is_refused() {
    let (w, recovery) = stopped_job().await;
    w.run_alone(TRAINING, 1).await;
    refused(&w, recovery.cordon(1), "Occupied").await;
    assert_eq!(state_changes(&w), 0);
}

/// A recovery whose check hangs on an instance for so many seconds; it is stopped then.
async fn check_of(seconds: u64) -> (World, Value, String) {
    // A bare dcgmi: the stack's own check ends itself in time.
    let bare = [
        ("DCGM_TIMEOUT_SECONDS", "420"),
        ("CREATE_DCGM_HEALTH_CHECK_TASK", "false"),
    ];
    let w = World::with(settings(&bare)).await;
    w.job(2).await;
    let recovery = w.claim_and_stop(1).await;
    w.cloud
        .fleet
        .set_gpu_health(&instance_id(1), GpuHealth::DcgmHangs);
    let check = w.run_check(1).await;
    w.pass(seconds).await;
    let input = without_a_code(&recovery, "timed-out");
    (w, input, check)
}

#[tokio::test(start_paused = true)]
async fn a_check_that_ran_for_all_of_its_time_and_had_to_be_killed_is_a_fault() {
    let (w, input, check) = check_of(480).await;
    w.cloud.fleet.stop(&check, "given up");
    w.outcome(CORDON, input, "Cordoned").await;
}

/// Its process waits for the driver.
#[tokio::test(start_paused = true)]
async fn a_check_that_not_even_sigkill_ends_is_a_fault() {
    let (w, input, _) = check_of(480).await;
    w.outcome(CORDON, input, "Cordoned").await;
}

/// Seed 8547: the agent was away until a minute before the check's time was up, and healthy GPUs were rebooted.
#[tokio::test(start_paused = true)]
async fn promise_2_a_check_that_did_not_run_for_all_of_its_time_is_no_fault() {
    for seconds in [1, 60, 300] {
        let (w, input, check) = check_of(seconds).await;
        w.cloud.fleet.stop(&check, "given up");
        refused(&w, input, "CheckNeverRan").await;
    }
    let (w, recovery) = stopped_job().await;
    refused(&w, without_a_code(&recovery, "timed-out"), "CheckNeverRan").await;
}

#[tokio::test(start_paused = true)]
async fn promise_2_a_check_whose_end_was_not_heard_of_in_time_is_no_fault() {
    let (w, input, check) = check_of(300).await;
    w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    w.cloud.fleet.kill_process(&check, Some(0));
    w.pass(120).await;
    w.cloud.fleet.stop(&check, "given up");
    refused(&w, input.clone(), "CheckNeverRan").await;
    // It comes back just now, and tells.
    w.cloud.fleet.connect_agent(&instance_id(1));
    refused(&w, input, "CheckNeverRan").await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_has_left_the_cluster_is_refused() {
    let (w, recovery) = stopped_job().await;
    w.cloud.fleet.deregister(&instance_id(1));
    refused(&w, recovery.cordon(1), "NotInCluster").await;
}

#[tokio::test(start_paused = true)]
async fn only_the_instance_on_which_the_rank_ran_is_cordoned() {
    let (w, recovery) = stopped_job().await;
    let mut input = recovery.cordon(1);
    input["rank"] = json!(0);
    let detail = refused(&w, input.clone(), "NotInCluster").await;
    assert_eq!(
        detail,
        format!("rank 0 of the job did not run on {}", instance_id(1))
    );
    input["rank"] = json!(9);
    refused(&w, input, "NotInCluster").await;
    // The record names another instance's ARN.
    let other = w.cloud.fleet.instance(&instance_id(0)).unwrap().arn;
    w.edit_job(
        JOB,
        "attempt#00001#rank#00001",
        "container_instance_arn",
        json!({ "S": other }),
    )
    .await;
    let detail = refused(&w, recovery.cordon(1), "NotInCluster").await;
    assert_eq!(detail, format!("{other} is not {}", instance_id(1)));
    let gone = format!("{other}0");
    w.edit_job(
        JOB,
        "attempt#00001#rank#00001",
        "container_instance_arn",
        json!({ "S": gone }),
    )
    .await;
    refused(&w, recovery.cordon(1), "NotInCluster").await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_lost_the_job_cordons_nothing() {
    let (w, recovery) = stopped_job().await;
    w.edit_job(JOB, "job", "holder", json!({ "S": w.running_execution() }))
        .await;
    let before = w.instances_as_they_are().await;
    let error = w.call(CORDON, recovery.cordon(1)).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert_eq!(w.instances_as_they_are().await, before);
}

#[tokio::test(start_paused = true)]
async fn of_two_recoveries_that_want_one_instance_at_once_one_gets_it() {
    let (w, recovery) = stopped_job().await;
    // Another job's recovery believes that its rank ran there too.
    w.submit(OTHER, [instance_id(0)]).await.unwrap();
    w.pass(90).await;
    let event = w.exit_task(&w.task_of(OTHER, 1, 0).await, Some(1)).await;
    let other = w.claim_with(event).await;
    w.outcome("stop-siblings", other.input(json!({})), "Stopped")
        .await;
    let rank = |attribute: &'static str, value: &str| {
        w.edit_job(
            OTHER,
            "attempt#00001#rank#00000",
            attribute,
            json!({ "S": value }),
        )
    };
    rank("instance_id", &instance_id(1)).await;
    rank(
        "container_instance_arn",
        &w.cloud.fleet.instance(&instance_id(1)).unwrap().arn,
    )
    .await;
    let mut theirs = other.cordon(1);
    theirs["rank"] = json!(0);
    let (ours, theirs) = join(w.call(CORDON, recovery.cordon(1)), w.call(CORDON, theirs)).await;
    let holder = w.instance_record(1).await.holder.unwrap();
    for (answer, execution) in [
        (ours.unwrap(), &recovery.execution),
        (theirs.unwrap(), &other.execution),
    ] {
        if holder == World::arn(execution) {
            assert_eq!(answer["outcome"], "Cordoned");
        } else {
            assert_eq!(
                (&answer["outcome"], &answer["refusal"]),
                (&json!("Refused"), &json!("HeldByAnother"))
            );
        }
    }
    assert_eq!(w.instance_record(1).await.faults.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_aws_refuses_is_told_with_its_call() {
    let (w, recovery) = stopped_job().await;
    w.wire().faults().set_plan(|call| match call.action {
        "UpdateContainerInstancesState" => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "no".to_owned(),
        },
        _ => Fault::Proceed,
    });
    let error = w.call(CORDON, recovery.cordon(1)).await.unwrap_err();
    assert_eq!(error.name(), "AwsRejected");
    assert!(
        error
            .to_string()
            .starts_with("ecs:UpdateContainerInstancesState failed with"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cordon_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(CORDON, || async {
        let (w, recovery) = stopped_job().await;
        (w, recovery.cordon(1))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_the_drain_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(CORDON, || async {
        let (w, recovery) = stopped_job().await;
        place_another_job_at_the_drain(&w);
        (w, recovery.cordon(1))
    })
    .await;
}
