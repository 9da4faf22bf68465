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
    // Nothing starts it again, and to stop it once more is no error.
    world.pass(1200).await;
    has(&world.gives(0, &line).await, &["0 instances freed"]);
    world.job_is(JobStatus::UserStopped, 1).await;
    has(&world.gives(0, &["recoveries"]).await, &["no recovery"]);
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
