//! `stop`.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_is_stopped_for_good_and_its_instances_are_freed() {
    let world = World::new().await;
    world.pass(300).await;
    let line = ["stop", JOB, "--reason", "wrong data", "--by", "ada"];
    has(
        &world.gives(0, &line).await,
        &["job llama-7b is USER_STOPPED: 2 ranks stopped, 2 instances freed"],
    );
    world.job_is(JobStatus::UserStopped, 1).await;
    assert_eq!(world.instance_status().await, InstanceStatus::Available);
    let tasks = world.cloud.fleet.tasks();
    assert!(tasks.iter().all(|task| task["lastStatus"] == "STOPPED"));
    let job = world.gives(0, &["status", JOB]).await;
    has(
        &job,
        &["stopped by ada: wrong data", "0 of 2 tasks RUNNING"],
    );
    let told = world.cloud.sns.published();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0].subject.as_deref(),
        Some("[gpu-recovery] STOPPED llama-7b: by ada")
    );
    has(
        &told[0].message,
        &[
            "wrong data",
            "2 of 2 ranks were stopped, and 2 instances are free",
            "gpu-recovery submit --again llama-7b NEWID",
        ],
    );
    // Nothing starts it again, and to stop it once more is no error.
    world.pass(1200).await;
    has(&world.gives(0, &line).await, &["0 instances freed"]);
    world.job_is(JobStatus::UserStopped, 1).await;
    has(&world.gives(0, &["recoveries"]).await, &["no recovery"]);
    assert_eq!(world.cloud.sns.published().len(), 1, "told once");
    has(
        &world.gives(0, &["history", JOB]).await,
        &["STOPPED wrong data ada"],
    );
}

#[tokio::test(start_paused = true)]
async fn that_nobody_could_be_told_of_a_stop_is_no_success_and_is_made_good_by_repeating_it() {
    let world = World::new().await;
    world.pass(300).await;
    world.refuse("Publish", "AuthorizationError", 403);
    let line = ["stop", JOB, "--by", "ada"];
    has(
        &world.gives(1, &line).await,
        &["is USER_STOPPED", "the operators were not told"],
    );
    world.cloud.wire.faults().set_plan(|_| Fault::Proceed);
    world.gives(0, &line).await;
    assert_eq!(world.cloud.sns.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_a_recovery_holds_or_that_is_over_is_not_stopped() {
    let (world, _) = World::aborted().await;
    has(
        &world.gives(3, &["stop", JOB]).await,
        &["holds job llama-7b", "gpu-recovery replay llama-7b"],
    );
    has(
        &world.gives(1, &["stop", "gpt"]).await,
        &["no job gpt is recorded"],
    );
    world.gives(0, &["replay", JOB]).await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    world.gives(0, &["stop", JOB]).await;
    world.job_is(JobStatus::UserStopped, 2).await;
}
