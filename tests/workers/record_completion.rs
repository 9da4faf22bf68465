//! RecordCompletion.

use futures::future::join_all;
use serde_json::{Value, json};
use simulator::cloud::TRAINING;
use tests::{JOB, World, faults::ends_the_same_after_any_fault};
use workers::records::{InstanceStatus, JobStatus, RankStatus};

const DONE: &str = "record-completion";

async fn done(w: &World, event: &Value, outcome: &str) -> Value {
    w.outcome(
        DONE,
        json!({ "execution": w.running_execution(), "event": event }),
        outcome,
    )
    .await
}

#[tokio::test(start_paused = true)]
async fn the_job_is_complete_when_every_rank_is_done_and_its_instances_are_free() {
    let w = World::with_job(3).await;
    for (rank, so_far) in [(2, 1), (0, 2)] {
        let event = w.exit(rank, 0).await;
        let answer = done(&w, &event, "Recorded").await;
        assert_eq!(
            (&answer["done"], &answer["nodes"]),
            (&json!(so_far), &json!(3))
        );
        assert_eq!(w.job_record().await.status, JobStatus::InProgress);
    }
    let ranks = w.ranks(1).await;
    assert_eq!(
        (ranks[2].status, ranks[2].exit_code),
        (RankStatus::Complete, Some(0))
    );
    assert_eq!(ranks[1].status, RankStatus::Running);
    assert_eq!(
        w.instance_record(0).await.status,
        InstanceStatus::InProgress
    );
    let event = w.exit(1, 0).await;
    done(&w, &event, "JobComplete").await;
    let job = w.job_record().await;
    assert_eq!((job.status, job.done_ranks.len()), (JobStatus::Complete, 3));
    for nth in 0..3 {
        let record = w.instance_record(nth).await;
        assert_eq!(
            (record.status, record.job_id),
            (InstanceStatus::Available, None)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_duplicate_event_counts_no_rank_twice() {
    let w = World::with_job(2).await;
    let event = w.exit(0, 0).await;
    for _ in 0..3 {
        assert_eq!(done(&w, &event, "Recorded").await["done"], 1);
    }
    let last = w.exit(1, 0).await;
    done(&w, &last, "JobComplete").await;
    let complete = w.job_record().await;
    done(&w, &event, "JobComplete").await;
    assert_eq!(w.job_record().await.status, complete.status);
}

#[tokio::test(start_paused = true)]
async fn ranks_that_end_at_the_same_moment_complete_the_job() {
    let w = World::with_job(20).await;
    let mut events = Vec::new();
    for rank in 0..20 {
        events.push(w.exit(rank, 0).await);
    }
    let calls = events.iter().map(|event| {
        w.call(
            DONE,
            json!({ "execution": w.running_execution(), "event": event }),
        )
    });
    let answers: Vec<Value> = join_all(calls)
        .await
        .into_iter()
        .map(|a| a.unwrap())
        .collect();
    assert!(answers.iter().any(|a| a["outcome"] == "JobComplete"));
    assert_eq!(w.job_record().await.status, JobStatus::Complete);
    for nth in 0..20 {
        assert_eq!(
            w.instance_record(nth).await.status,
            InstanceStatus::Available
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rank_that_ends_while_its_job_is_recovered_does_not_complete_it() {
    let w = World::with_job(2).await;
    let event = w.exit(0, 0).await;
    w.claim(1).await;
    let answer = done(&w, &event, "Stale").await;
    assert_eq!(answer["why"], "the job is PENDING_HEALTHCHECK in attempt 1");
    let job = w.job_record().await;
    assert_eq!(
        (job.status, job.done_ranks.len()),
        (JobStatus::PendingHealthcheck, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_event_of_an_older_attempt_is_stale() {
    let w = World::with_job(2).await;
    let event = w.exit(0, 0).await;
    let recovery = w.claim_and_stop(1).await;
    w.outcome(
        "relaunch-job",
        recovery.input(json!({ "instances": [] })),
        "Relaunched",
    )
    .await;
    let before = (w.job_record().await, w.ranks(1).await);
    done(&w, &event, "Stale").await;
    assert_eq!((w.job_record().await, w.ranks(1).await), before);
}

#[tokio::test(start_paused = true)]
async fn a_rank_done_in_an_earlier_attempt_has_to_be_done_again() {
    let w = World::with_job(2).await;
    let event = w.exit(0, 0).await;
    done(&w, &event, "Recorded").await;
    let recovery = w.claim_and_stop(1).await;
    w.outcome(
        "relaunch-job",
        recovery.input(json!({ "instances": [] })),
        "Relaunched",
    )
    .await;
    w.pass(90).await;
    let task = w.task_of(JOB, 2, 1).await;
    let event = w.exit_task(&task, Some(0)).await;
    assert_eq!(done(&w, &event, "Recorded").await["done"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_or_stopped_job_does_not_become_complete() {
    for status in ["FAILED", "USER_STOPPED"] {
        let w = World::with_job(1).await;
        let event = w.exit(0, 0).await;
        w.edit_job(JOB, "job", "status", json!({ "S": status }))
            .await;
        let answer = done(&w, &event, "Stale").await;
        assert_eq!(answer["why"], format!("the job is {status} in attempt 1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_of_no_job_is_left_alone_and_a_young_one_is_asked_for_again() {
    let w = World::new().await;
    w.instances(1);
    let body = json!({ "cluster": w.cloud.settings.cluster, "taskDefinition": TRAINING });
    let task = w.cloud.fleet.api("RunTask", &body).unwrap()["tasks"][0]["taskArn"]
        .as_str()
        .unwrap()
        .to_owned();
    w.pass(30).await;
    let event = w.exit_task(&task, Some(0)).await;
    let input = json!({ "execution": w.running_execution(), "event": event });
    assert_eq!(
        w.call(DONE, input).await.unwrap_err().name(),
        "NotSettledYet"
    );
    w.pass(60).await;
    done(&w, &event, "NotManaged").await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(DONE, || async {
        let w = World::with_job(2).await;
        let first = w.exit(0, 0).await;
        done(&w, &first, "Recorded").await;
        let event = w.exit(1, 0).await;
        let execution = w.running_execution();
        (w, json!({ "execution": execution, "event": event }))
    })
    .await;
}
