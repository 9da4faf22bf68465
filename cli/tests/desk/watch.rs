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
            "RECOVERED llama-7b in ",
        ],
    );
    let again = world.gives(0, &["watch", &world.recovery().arn]).await;
    has(&again, &["RECOVERED llama-7b in "]);
}

#[tokio::test(start_paused = true)]
async fn watch_tells_a_stopped_recovery_by_its_exit_code() {
    let (world, execution) = World::aborted().await;
    let seen = world.gives(1, &["watch", &execution]).await;
    has(
        &seen,
        &[
            "EXECUTION ABORTED llama-7b: waiting for i-0f3a9c5d7e0000001",
            "gpu-recovery replay",
        ],
    );
}
