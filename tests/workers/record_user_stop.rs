//! RecordUserStop.

use serde_json::{Value, json};
use simulator::cloud::TRAINING;
use tests::{JOB, World, faults::ends_the_same_after_any_fault};
use workers::records::{InstanceStatus, JobStatus};

const STOP: &str = "record-user-stop";

/// An operator stops a rank; the answer is the event.
async fn stopped_by_person(w: &World, rank: u32) -> Value {
    let task = w.task(rank).await;
    w.cloud.fleet.stop(&task, "Task stopped by user");
    w.pass(15).await;
    w.stop_event(&task)
}

fn input(execution: &str, event: &Value) -> Value {
    json!({ "execution": execution, "event": event })
}

#[tokio::test(start_paused = true)]
async fn a_job_that_an_operator_stops_is_user_stopped_and_its_instances_are_free() {
    let w = World::with_job(2).await;
    let event = stopped_by_person(&w, 1).await;
    let execution = w.running_execution();
    let answer = w
        .outcome(STOP, input(&execution, &event), "StopOthers")
        .await;
    assert_eq!(
        (&answer["jobId"], &answer["failure"]["rank"]),
        (&json!(JOB), &json!(1))
    );
    let job = w.job_record().await;
    assert_eq!(job.status, JobStatus::UserStopped);
    assert_eq!(job.reason.as_deref(), Some("stopped by an operator"));
    assert_eq!(w.running_tasks().len(), 1);
    let stop = json!({ "execution": execution, "jobId": JOB, "attempt": 1 });
    let stopped = w.outcome("stop-siblings", stop, "StoppedByUser").await;
    assert_eq!(stopped["failure"]["rank"], 1);
    assert!(w.running_tasks().is_empty());
    assert_eq!(w.job_record().await.holder, None);
    for nth in 0..2 {
        assert_eq!(
            w.instance_record(nth).await.status,
            InstanceStatus::Available
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_other_ranks_run_on_when_the_operator_or_the_job_says_so() {
    for keep in [true, false] {
        let w = World::with_job(3).await;
        let task = w.task(1).await;
        let reason = if keep {
            "keep-others: this node"
        } else {
            "this node"
        };
        if !keep {
            let leave = json!({ "M": { "person_stop": { "S": "leave" } } });
            w.edit_job(JOB, "job", "policies", leave).await;
        }
        w.cloud.fleet.stop(&task, reason);
        w.pass(15).await;
        let event = w.stop_event(&task);
        w.outcome(STOP, input(&w.running_execution(), &event), "RankStopped")
            .await;
        let job = w.job_record().await;
        assert_eq!((job.status, job.holder), (JobStatus::UserStopped, None));
        assert_eq!(w.running_tasks().len(), 2);
        let status = async |nth| w.instance_record(nth).await.status;
        assert_eq!(status(1).await, InstanceStatus::Available);
        assert_eq!(status(0).await, InstanceStatus::InProgress);
        assert_eq!(w.ranks(1).await[0].expires_at, None);
        // It is not recovered any more, whatever the other ranks do; each one's instance is free when it has ended.
        let failed = w.exit(0, 1).await;
        w.outcome("claim-job", input(&w.running_execution(), &failed), "Stale")
            .await;
        assert_eq!(status(0).await, InstanceStatus::Available);
        let done = w.exit(2, 0).await;
        w.outcome(
            "record-completion",
            input(&w.running_execution(), &done),
            "Stale",
        )
        .await;
        assert_eq!(status(2).await, InstanceStatus::Available);
        assert_eq!(w.job_record().await.status, JobStatus::UserStopped);
    }
}

#[tokio::test(start_paused = true)]
async fn the_stop_of_every_further_rank_changes_nothing() {
    let w = World::with_job(2).await;
    let first = stopped_by_person(&w, 1).await;
    w.outcome(STOP, input(&w.running_execution(), &first), "StopOthers")
        .await;
    let before = w.job_record().await;
    let second = stopped_by_person(&w, 0).await;
    w.outcome(STOP, input(&w.running_execution(), &second), "Stale")
        .await;
    assert_eq!(w.job_record().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_recovery_is_left_to_that_recovery() {
    let w = World::with_job(2).await;
    let recovery = w.claim(1).await;
    let event = stopped_by_person(&w, 0).await;
    let before = w.job_record().await;
    let answer = w
        .outcome(STOP, input(&w.running_execution(), &event), "Stale")
        .await;
    assert!(
        answer["why"]
            .as_str()
            .unwrap()
            .contains(&recovery.execution)
    );
    assert_eq!(w.job_record().await, before);
    // StopSiblings sees it.
    let stopped = w
        .outcome("stop-siblings", recovery.input(json!({})), "StoppedByUser")
        .await;
    assert_eq!(stopped["failure"]["rank"], 0);
    let job = w.job_record().await;
    assert_eq!((job.status, job.holder), (JobStatus::UserStopped, None));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_has_ended_stays_as_it_ended() {
    for status in ["COMPLETE", "FAILED"] {
        let w = World::with_job(2).await;
        let event = stopped_by_person(&w, 1).await;
        w.edit_job(JOB, "job", "status", json!({ "S": status }))
            .await;
        let answer = w
            .outcome(STOP, input(&w.running_execution(), &event), "Stale")
            .await;
        assert_eq!(answer["why"], format!("the job is {status} in attempt 1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_event_of_an_older_attempt_is_stale() {
    let w = World::with_job(2).await;
    let event = stopped_by_person(&w, 0).await;
    let failed = w.exit(1, 1).await;
    // The claim ran before the operator's event arrived, and StopSiblings could not tell any more.
    let recovery = w.claim_with(failed).await;
    w.outcome(
        "relaunch-job",
        recovery.input(json!({ "instances": [] })),
        "Relaunched",
    )
    .await;
    let before = w.job_record().await;
    w.outcome(STOP, input(&w.running_execution(), &event), "Stale")
        .await;
    assert_eq!(w.job_record().await, before);
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
    w.cloud.fleet.stop(&task, "Task stopped by user");
    w.pass(15).await;
    let event = w.stop_event(&task);
    let error = w
        .call(STOP, input(&w.running_execution(), &event))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "NotSettledYet");
    w.pass(60).await;
    w.outcome(STOP, input(&w.running_execution(), &event), "NotManaged")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_users_stop_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(STOP, || async {
        let w = World::with_job(2).await;
        let event = stopped_by_person(&w, 1).await;
        let execution = w.running_execution();
        (w, input(&execution, &event))
    })
    .await;
}
