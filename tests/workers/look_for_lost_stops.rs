//! LookForLostStops.

use serde_json::{Value, json};
use simulator::{cloud::CloudOptions, ecs::EcsSettings};
use std::time::Duration;
use tests::{
    JOB, World,
    faults::{calls_of, ends_the_same_after_any_fault},
};
use workers::{aws::events::TaskStateChange, ids::JobId, records::InstanceStatus};

const LOOK: &str = "look-for-lost-stops";

async fn look(w: &World) -> Vec<String> {
    let event = json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} });
    let answer = w.outcome(LOOK, event, "Looked").await;
    assert_eq!(answer["all"], true, "{answer}");
    let found = answer["found"].as_array().unwrap().iter();
    found
        .map(|task| task.as_str().unwrap().to_owned())
        .collect()
}

/// The inputs of the executions that were started.
fn inputs(w: &World) -> Vec<Value> {
    let executions = w.cloud.stepfunctions.executions();
    let lost = executions
        .iter()
        .filter(|e| e.name.starts_with("lost-stop-"));
    lost.map(|e| (*e.input).clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rank_whose_stop_event_was_lost_starts_an_execution_with_the_task_as_ecs_describes_it() {
    let w = World::with_job(3).await;
    let event = w.exit(1, 1).await;
    assert!(look(&w).await.is_empty(), "the event may be on its way");
    w.pass(130).await;
    assert_eq!(look(&w).await, [w.task(1).await]);
    let inputs = inputs(&w);
    assert_eq!(inputs.len(), 1);
    let (told, described) = (&event["detail"], &inputs[0]["detail"]);
    for member in [
        "taskArn",
        "stopCode",
        "stoppedReason",
        "startedBy",
        "group",
        "lastStatus",
    ] {
        assert_eq!(described[member], told[member], "{member}");
    }
    assert_eq!(described["containers"][0]["exitCode"], 1);
    let read: TaskStateChange = serde_json::from_value(inputs[0].clone()).unwrap();
    assert!(read.detail.created_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_lost_stop_starts_one_execution_however_often_it_is_looked_for() {
    let w = World::with_job(3).await;
    w.exit(1, 1).await;
    w.exit(2, 1).await;
    w.pass(130).await;
    assert_eq!(
        look(&w).await.len(),
        1,
        "the recovery of one finds the other"
    );
    for _ in 0..3 {
        w.pass(300).await;
        look(&w).await;
    }
    assert_eq!(inputs(&w).len(), 1);
}

/// Seed 3653: rank 0 aborted (134, which was to be ignored), rank 4's exit 1 was lost.
#[tokio::test(start_paused = true)]
async fn an_end_that_leads_to_nothing_hides_no_failure() {
    let w = World::with_job(3).await;
    w.edit_job(
        JOB,
        "job",
        "policies",
        json!({ "M": { "on_exit": { "M": { "other": { "S": "ignore" } } } } }),
    )
    .await;
    w.exit(0, 134).await;
    w.exit(2, 1).await;
    w.pass(130).await;
    assert_eq!(look(&w).await, [w.task(2).await]);
}

#[tokio::test(start_paused = true)]
async fn every_rank_that_completed_unseen_is_found() {
    let w = World::with_job(3).await;
    for rank in 0..3 {
        w.exit(rank, 0).await;
    }
    w.pass(130).await;
    assert_eq!(look(&w).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_is_recorded_held_or_ended_is_left_alone() {
    // Recorded: a rank that is done.
    let w = World::with_job(2).await;
    let event = w.exit(0, 0).await;
    let input = json!({ "execution": w.running_execution(), "event": event });
    w.outcome("record-completion", input, "Recorded").await;
    w.pass(130).await;
    assert!(look(&w).await.is_empty());
    // Held: a recovery stops its tasks.
    let w = World::with_job(2).await;
    w.claim_and_stop(0).await;
    w.pass(130).await;
    assert!(look(&w).await.is_empty());
    // Ended, and so out of the index.
    let w = World::with_job(1).await;
    let event = w.exit(0, 0).await;
    let input = json!({ "execution": w.running_execution(), "event": event });
    w.outcome("record-completion", input, "JobComplete").await;
    w.pass(130).await;
    let before = calls_of(&w, LOOK).len();
    assert!(look(&w).await.is_empty());
    let calls = calls_of(&w, LOOK).split_off(before);
    assert!(calls.iter().all(|c| c.action == "Query"), "{calls:?}");
}

/// Seeds 225, 4316, 4682, 5195: the node stayed IN_PROGRESS for a job that had ended.
#[tokio::test(start_paused = true)]
async fn promise_3_what_an_operator_left_running_frees_its_instance_though_its_stop_is_lost() {
    let w = World::with_job(3).await;
    let task = w.task(1).await;
    w.cloud.fleet.stop(&task, "keep-others: this node");
    w.pass(15).await;
    let input = |event: &Value| json!({ "execution": w.running_execution(), "event": event });
    let stop = input(&w.stop_event(&task));
    w.outcome("record-user-stop", stop, "RankStopped").await;
    w.exit(0, 1).await;
    w.exit(2, 0).await;
    w.pass(130).await;
    assert_eq!(look(&w).await, [w.task(0).await, w.task(2).await]);
    for (event, worker) in inputs(&w).iter().zip(["claim-job", "record-completion"]) {
        w.outcome(worker, input(event), "Stale").await;
    }
    for nth in 0..3 {
        let instance = w.instance_record(nth).await;
        assert_eq!(instance.status, InstanceStatus::Available, "{nth}");
    }
    // No rank of it runs any more: it is looked at once more, and then no longer.
    assert!(look(&w).await.is_empty());
    let running = w.context("test").jobs.running(None, 10).await.unwrap();
    assert_eq!(running, (Vec::new(), None));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ecs_has_forgotten_counts_as_failed_and_one_it_does_not_show_yet_as_running() {
    let w = World::with_job(2).await;
    w.exit(1, 1).await;
    w.pass(2 * 3600).await;
    assert_eq!(look(&w).await, [w.task(1).await]);
    assert_eq!(inputs(&w)[0]["detail"]["stopCode"], "Gone");

    let w = World::with(CloudOptions {
        fleet: EcsSettings {
            shown_after: Duration::from_secs(280),
            ..EcsSettings::default()
        },
        ..CloudOptions::default()
    })
    .await;
    w.instances(2);
    w.submit(JOB, (0..2).map(tests::instance_id)).await.unwrap();
    w.pass(200).await;
    assert!(look(&w).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_relaunched_job_is_looked_at_again() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_stop(0).await;
    let input = recovery.input(json!({ "instances": [] }));
    w.outcome("relaunch-job", input, "Relaunched").await;
    let running = w.context("test").jobs.running(None, 10).await.unwrap();
    assert_eq!(running, (vec![JobId::new(JOB)], None));
    w.pass(90).await;
    let task = w.task_of(JOB, 2, 1).await;
    w.exit_task(&task, Some(1)).await;
    w.pass(130).await;
    assert_eq!(look(&w).await, [task]);
}

#[tokio::test(start_paused = true)]
async fn a_look_reads_the_running_jobs_and_nothing_else() {
    let w = World::new().await;
    w.instances(3);
    for (nth, job) in ["a", "b", "c"].into_iter().enumerate() {
        w.submit(job, [tests::instance_id(nth)]).await.unwrap();
    }
    w.pass(90).await;
    let event = w.exit_task(&w.task_of("b", 1, 0).await, Some(0)).await;
    let input = json!({ "execution": w.running_execution(), "event": event });
    w.outcome("record-completion", input, "JobComplete").await;
    let before = calls_of(&w, LOOK).len();
    look(&w).await;
    let calls = calls_of(&w, LOOK).split_off(before);
    let count = |action: &str| calls.iter().filter(|c| c.action == action).count();
    assert_eq!(count("DescribeTasks"), 2, "a and c");
    assert_eq!(count("GetItem"), 2);
    assert!(calls.len() <= 10, "{}", calls.len());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_dies_is_made_good_by_the_next() {
    ends_the_same_after_any_fault(LOOK, || async {
        let w = World::with_job(2).await;
        w.exit(1, 1).await;
        w.pass(130).await;
        (w, json!({}))
    })
    .await;
}
