//! `release` and `quarantine`.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_instance_is_quarantined_and_released_by_hand_with_who_and_why() {
    let world = World::new().await;
    let line = ["quarantine", BAD, "--reason", "ECC errors", "--by", "ada"];
    has(
        &world.gives(0, &line).await,
        &[
            "QUARANTINED, and DRAINING in ECS",
            "its task of job llama-7b goes on",
        ],
    );
    assert_eq!(world.ecs_status(), "DRAINING");
    has(
        &world.gives(0, &line).await,
        &["QUARANTINED already: ECC errors (ada)"],
    );
    has(
        &world.gives(0, &["status", BAD]).await,
        &["because ECC errors (ada)", "quarantined by ada"],
    );
    let line = [
        "release", BAD, "--reason", "replaced", "--by", "bob", "--force",
    ];
    has(
        &world.gives(3, &line[..6]).await,
        &["was quarantined (ECC errors (ada)), and no health check has passed since"],
    );
    assert_eq!(world.ecs_status(), "DRAINING");
    has(
        &world.gives(0, &line).await,
        &[
            "is IN_PROGRESS: job llama-7b runs on it, and ACTIVE in ECS; it was QUARANTINED (ECC errors (ada))",
        ],
    );
    assert_eq!(
        (world.instance_status().await, world.ecs_status().as_str()),
        (InstanceStatus::InProgress, "ACTIVE")
    );
    has(
        &world.gives(0, &["status", BAD]).await,
        &["released by bob", "replaced"],
    );
    has(
        &world.gives(1, &["release", "i-0123456789abcdef0"]).await,
        &["no instance i-0123456789abcdef0 is recorded"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_quarantine_by_hand_is_told_once_also_when_the_topic_was_away_at_first() {
    let world = World::new().await;
    let line = ["quarantine", BAD, "--reason", "ECC errors", "--by", "ada"];
    world.refuse("Publish", "AuthorizationError", 403);
    has(
        &world.gives(1, &line).await,
        &["the operators were not told", "--topic"],
    );
    world.cloud.wire.faults().set_plan(|_| Fault::Proceed);
    for _ in 0..2 {
        has(&world.gives(0, &line).await, &["is QUARANTINED already"]);
    }
    let told = world.cloud.sns.published();
    assert_eq!(told.len(), 1, "{told:?}");
    let subject = format!("[gpu-recovery] QUARANTINED {BAD}: by ada");
    assert_eq!(told[0].subject.as_deref(), Some(subject.as_str()));
    has(
        &told[0].message,
        &[
            "ECC errors",
            "DRAINING in ECS",
            "goes on; the job is not relaunched on it",
            &format!("gpu-recovery check {BAD}"),
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_running_recovery_is_not_released_by_hand() {
    let world = World::new().await;
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    has(
        &world.gives(3, &["release", BAD, "--force"]).await,
        &["held by a recovery that runs", "gpu-recovery watch arn:"],
    );
    assert_eq!(world.instance_status().await, InstanceStatus::Rebooting);
}

/// NVIDIA/NVSentinel#141: the repaired node was put back into service under the operator's hands.
#[tokio::test(start_paused = true)]
async fn an_instance_that_is_wanted_out_during_its_repair_stays_out() {
    let world = World::new().await;
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    let line = ["quarantine", BAD, "--reason", "fan is loud", "--by", "ann"];
    has(
        &world.gives(0, &line).await,
        &["the recovery that holds it will quarantine it"],
    );
    assert_eq!(world.instance_status().await, InstanceStatus::Rebooting);
    world.pass(3600).await;
    assert_eq!(world.instance_status().await, InstanceStatus::Quarantined);
    has(
        &world.gives(0, &["status", BAD]).await,
        &["fan is loud (ann)", "DRAINING"],
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_job_is_gone_from_it_is_released_as_free() {
    let (world, _) = World::aborted().await;
    let line = ["release", BAD, "--force", "--reason", "given up"];
    has(
        &world.gives(0, &line).await,
        &["is AVAILABLE, and ACTIVE in ECS"],
    );
    assert_eq!(
        (world.instance_status().await, world.ecs_status().as_str()),
        (InstanceStatus::Available, "ACTIVE")
    );
    has(&world.gives(0, &line).await, &["AVAILABLE already"]);
}
