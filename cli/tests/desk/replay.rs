//! `replay`.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_replay_redrives_and_is_safe_to_repeat() {
    let (world, execution) = World::aborted().await;
    has(
        &world.gives(0, &["status"]).await,
        &[
            "Needs an operator",
            "gpu-recovery replay llama-7b --dry-run",
        ],
    );
    let dry = world.gives(0, &["replay", JOB, "--dry-run"]).await;
    has(
        &dry,
        &[
            "ABORTED at 2026-01-05",
            "WaitForInstanceActive of i-0f3a9c5d7e0000001",
            "redrive: it goes on where it stands",
            "nothing was done (--dry-run)",
        ],
    );
    assert_eq!(world.recovery().status, ExecutionStatus::Aborted);
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["redriven", "gpu-recovery watch arn:"],
    );
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["nothing to do: it runs"],
    );
    has(
        &world.gives(0, &["watch", JOB]).await,
        &["RECOVERED llama-7b in "],
    );
    world.job_is(JobStatus::InProgress, 2).await;
    has(
        &world.gives(1, &["replay", JOB]).await,
        &["no execution holds it"],
    );
    has(
        &world.gives(3, &["replay", &execution]).await,
        &["it SUCCEEDED"],
    );
    assert_eq!(
        world
            .cloud
            .fleet
            .instance(BAD)
            .expect("it is there")
            .reboots,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_replay_refuses_to_reboot_an_instance_that_was_given_away() {
    let (world, execution) = World::aborted().await;
    let refused = world.gives(3, &["release", BAD]).await;
    has(
        &refused,
        &["held by a recovery that ended badly", &execution, "--force"],
    );
    has(
        &world.gives(0, &["release", BAD, "--force"]).await,
        &["is AVAILABLE, and ACTIVE in ECS"],
    );
    let refused = world.gives(3, &["replay", JOB]).await;
    has(
        &refused,
        &["refused", "holds it no more: it must not be rebooted"],
    );
    assert_eq!(world.recovery().status, ExecutionStatus::Aborted);
    let json: Value =
        serde_json::from_str(&world.run(&["replay", JOB, "--json", "--dry-run"]).await.1)
            .expect("JSON");
    assert_eq!(json[0]["way"], "refuse", "{json}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_never_starts_a_job_twice() {
    let (world, execution) = World::aborted().await;
    world.gives(0, &["replay", &execution]).await;
    world.gives(0, &["watch", &execution]).await;
    world.job_is(JobStatus::InProgress, 2).await;
    // Forced, it starts anew from the same event, and the worker's own condition ends it.
    has(
        &world.gives(0, &["replay", &execution, "--force"]).await,
        &["started arn:", "replay-of-"],
    );
    world.pass(120).await;
    world.job_is(JobStatus::InProgress, 2).await;
    has(
        &world.gives(0, &["replay", &execution, "--force"]).await,
        &["replayed before"],
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_redriven_is_started_anew_from_its_event() {
    let (world, execution) = World::aborted().await;
    world.pass(15 * 24 * 3600).await;
    let dry = world.gives(0, &["replay", JOB, "--dry-run"]).await;
    has(
        &dry,
        &["start anew", "Execution redrivable period exceeded"],
    );
    has(
        &world.gives(0, &["replay", JOB]).await,
        &["started arn:", "replay-of-"],
    );
    world.pass(20).await;
    has(
        &world.gives(0, &["replay", &execution]).await,
        &["its replay runs"],
    );
    let executions = world.cloud.stepfunctions.executions();
    let replay = executions
        .iter()
        .find(|e| e.name.starts_with("replay-of-"))
        .expect("it was started");
    assert_eq!(replay.input["replayOf"], execution);
    assert_eq!(replay.input["detail-type"], "ECS Task State Change");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failed_executions_is_replayed_at_once() {
    let world = World::new().await;
    world.refuse("Publish", "AuthorizationError", 403);
    world
        .until(|world| world.history_has("NotifyOperators"))
        .await;
    world.pass(300).await;
    assert_eq!(world.recovery().status, ExecutionStatus::Failed);
    let dry = world
        .gives(0, &["replay", "--all-failed", "--dry-run"])
        .await;
    has(
        &dry,
        &[
            "NotifyOperators",
            "AuthorizationError",
            "1 execution ended badly: 0 replayed",
        ],
    );
    world.cloud.wire.faults().set_plan(|_| Fault::Proceed);
    has(
        &world
            .gives(0, &["replay", "--all-failed", "--since", "1d"])
            .await,
        &["redriven", "1 replayed, 0 refused"],
    );
    world.pass(60).await;
    assert_eq!(world.recovery().status, ExecutionStatus::Succeeded);
    has(
        &world.gives(0, &["replay", "--all-failed"]).await,
        &["0 executions ended badly"],
    );
}
