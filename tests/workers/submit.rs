//! Starting a job: `workers::submit`.

use simulator::{cloud::TRAINING, faults::Fault};
use std::collections::BTreeSet;
use tests::{
    JOB, World,
    faults::{calls_of, fault_at},
    instance_id, launch,
};
use workers::{
    WorkerError,
    aws::launch_names::started_by,
    desk::submit::{SecondLook, Submission, SubmitError, look_again, submit},
    ids::{InstanceId, JobId},
    records::{InstanceStatus, JobStatus},
};

/// Who `World::submit` calls as.
const LAUNCHER: &str = "launcher";

async fn fleet_of(count: usize) -> World {
    let w = World::new().await;
    w.instances(count);
    w
}

fn on(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(instance_id)
}

#[tokio::test(start_paused = true)]
async fn every_rank_is_started_on_its_own_instance_and_recorded() {
    let w = fleet_of(3).await;
    let job = w.submit(JOB, on(3)).await.unwrap();
    assert_eq!(
        (job.status, job.attempt, job.nodes),
        (JobStatus::InProgress, 1, 3)
    );
    assert_eq!(w.job_record().await, job);
    let running = w.running_tasks();
    assert_eq!(running.len(), 3);
    for (nth, rank) in w.ranks(1).await.into_iter().enumerate() {
        let task = &running[rank.task_arn.as_str()];
        let arn = w.cloud.fleet.instance(&instance_id(nth)).unwrap().arn;
        assert_eq!(task["containerInstanceArn"], arn);
        assert_eq!(task["startedBy"], started_by(&JobId::new(JOB), 1));
        assert_eq!(rank.container_instance_arn.unwrap().as_str(), arn);
        assert_eq!(rank.launch, Some(launch(nth)));
        let record = w.instance_record(nth).await;
        assert_eq!(
            (record.status, record.job_id),
            (InstanceStatus::InProgress, Some(JobId::new(JOB)))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_id_is_never_used_twice() {
    let w = fleet_of(4).await;
    w.submit(JOB, on(2)).await.unwrap();
    let before = (w.job_record().await, w.ranks(1).await);
    let again = w
        .submit(JOB, [instance_id(2), instance_id(3)])
        .await
        .unwrap_err();
    assert!(matches!(again, SubmitError::JobIdTaken(_)), "{again}");
    assert_eq!((w.job_record().await, w.ranks(1).await), before);
    assert_eq!(w.running_tasks().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_job_without_ranks_or_with_an_instance_twice_is_refused_before_any_call() {
    let w = fleet_of(2).await;
    let none = w.submit(JOB, []).await.unwrap_err();
    assert!(matches!(none, SubmitError::NoRanks));
    let twice = w
        .submit(JOB, [instance_id(1), instance_id(1)])
        .await
        .unwrap_err();
    assert!(
        matches!(&twice, SubmitError::InstanceTwice(i) if i.as_str() == instance_id(1)),
        "{twice}"
    );
    assert_eq!(calls_of(&w, LAUNCHER), []);
}

#[tokio::test(start_paused = true)]
async fn one_rank_that_cannot_be_placed_leaves_none_running_and_the_record_says_why() {
    let w = fleet_of(3).await;
    w.submit("other-job", [instance_id(2)]).await.unwrap();
    let error = w.submit(JOB, on(3)).await.unwrap_err();
    assert!(matches!(error, SubmitError::NotPlaced(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("{}: RESOURCE:GPU", instance_id(2))),
        "{error}"
    );
    w.pass(120).await;
    assert_eq!(w.running_tasks().len(), 1, "the other job's");
    let job = w.job_record().await;
    assert_eq!(
        (job.status, job.reason),
        (JobStatus::Failed, Some(error.to_string()))
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_definition_that_does_not_exist_is_told_with_the_call() {
    let w = fleet_of(1).await;
    let wrong = workers::records::launch::LaunchSpec {
        task_definition: format!("{TRAINING}:99"),
        ..launch(0)
    };
    let ranks = vec![(InstanceId::new(instance_id(0)), wrong)];
    let submission = Submission {
        job_id: JobId::new(JOB),
        ranks,
        recovery_attempts: None,
        policies: workers::settings::JobPolicies::default(),
    };
    let error = submit(&w.context(LAUNCHER), &submission).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("ecs:RunTask failed with ClientException"),
        "{error}"
    );
    assert_eq!(w.job_record().await.status, JobStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_refuses_the_job_starts_nothing() {
    let w = fleet_of(2).await;
    w.wire().faults().set_plan(|call| match call.action {
        "PutItem" => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "no".to_owned(),
        },
        _ => Fault::Proceed,
    });
    let error = w.submit(JOB, on(2)).await.unwrap_err();
    assert!(
        matches!(&error, SubmitError::Aws(WorkerError::AwsRejected(f)) if f.call == "dynamodb:PutItem"),
        "{error}"
    );
    assert!(w.running_tasks().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_ranks_cannot_be_recorded_is_undone() {
    let w = fleet_of(2).await;
    w.wire().faults().set_plan(|call| match call.action {
        "BatchWriteItem" => Fault::Fail {
            code: "AccessDeniedException".to_owned(),
            status: 400,
            message: "no".to_owned(),
        },
        _ => Fault::Proceed,
    });
    w.submit(JOB, on(2)).await.unwrap_err();
    w.pass(120).await;
    assert!(w.running_tasks().is_empty());
    assert_eq!(w.job_record().await.status, JobStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_or_call_starts_every_rank_once() {
    let calls = {
        let w = fleet_of(2).await;
        w.submit(JOB, on(2)).await.unwrap();
        calls_of(&w, LAUNCHER)
    };
    for (nth, call) in (1..).zip(&calls) {
        for fault in [
            Fault::FailAfterEffect,
            Fault::TimeoutBefore,
            Fault::server_error(),
        ] {
            let w = fleet_of(2).await;
            fault_at(&w, LAUNCHER, nth, fault.clone());
            let told = format!("{fault:?} at call {nth} ({})", call.action);
            w.submit(JOB, on(2))
                .await
                .unwrap_or_else(|e| panic!("{told}: {e}"));
            let running: BTreeSet<String> = w.running_tasks().into_keys().collect();
            let recorded = w
                .ranks(1)
                .await
                .into_iter()
                .map(|r| r.task_arn.as_str().to_owned());
            assert_eq!(running, recorded.collect(), "{told}");
            assert_eq!(running.len(), 2, "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_leaves_alone_the_record_of_an_instance_that_a_recovery_holds() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    let held = w.instance_record(1).await;
    w.set_ecs_status(1, "ACTIVE");
    w.submit("other-job", [instance_id(1)]).await.unwrap();
    assert_eq!(w.instance_record(1).await, held);
    assert_eq!(held.holder, Some(World::arn(&recovery.execution)));
}

#[tokio::test(start_paused = true)]
async fn a_rank_that_died_before_it_was_recorded_is_named() {
    let w = fleet_of(3).await;
    let job = w.submit(JOB, on(3)).await.unwrap();
    let launcher = w.context(LAUNCHER);
    let look = look_again(&launcher, &job).await.unwrap();
    assert_eq!(look, SecondLook::default());
    w.pass(60).await;
    w.exit(2, 1).await;
    assert_eq!(look_again(&launcher, &job).await.unwrap().stopped, [2]);
}
