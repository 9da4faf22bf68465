//! `watch`.

use super::*;

#[tokio::test(start_paused = true)]
async fn watch_follows_a_recovery_to_its_end_and_exits_with_it() {
    let world = World::new().await;
    has(
        &world.gives(1, &["watch", JOB]).await,
        &["no execution is or was at work on job llama-7b"],
    );
    world.until(|world| world.history_has("StopSiblings")).await;
    let seen = world.gives(0, &["watch", JOB]).await;
    has(
        &seen,
        &[
            "ClaimJob claimed job llama-7b",
            "WaitForInstanceActive",
            "RelaunchJob",
            "SUCCEEDED: recovered, runs as attempt 2",
        ],
    );
    let again = world.gives(0, &["watch", &world.recovery().arn]).await;
    has(&again, &["SUCCEEDED: recovered"]);
}

#[tokio::test(start_paused = true)]
async fn watch_tells_a_stopped_recovery_by_its_exit_code() {
    let (world, execution) = World::aborted().await;
    let seen = world.gives(1, &["watch", &execution]).await;
    has(
        &seen,
        &["ABORTED: an operator is needed", "gpu-recovery replay"],
    );
}
