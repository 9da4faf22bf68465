//! `spare`, and what `submit` does about spares.

use super::*;

const POOL: [&str; 2] = ["--pool", "night"];

/// A world whose bad instance was repaired, and whose job has ended since: the instance is free, and its check has passed.
async fn repaired() -> World {
    let world = World::new().await;
    world
        .until(|world| world.history_has("NotifyOperators"))
        .await;
    world.pass(60).await;
    world.gives(0, &["stop", JOB]).await;
    world.pass(120).await;
    world
}

impl World {
    /// The marks that ECS has of the instance.
    fn mark(&self) -> Option<String> {
        let view = self.cloud.fleet.instance(BAD).expect("it is there");
        view.attributes.get("gpu-recovery.spare").cloned().flatten()
    }
}

#[tokio::test(start_paused = true)]
async fn a_free_and_checked_node_becomes_a_spare_that_submit_does_not_take() {
    let world = repaired().await;
    has(
        &world.gives(0, &["spare", "list"]).await,
        &["no node is marked"],
    );
    let add = [&["spare", "add", BAD][..], &POOL].concat();
    let warm = [&add[..], &["--task-definition", TRAINING]].concat();
    has(
        &world.gives(0, &warm).await,
        &["i-0f3a9c5d7e0000001 is a spare of pool night"],
    );
    assert_eq!(world.mark().as_deref(), Some("night"));
    // The images are there, and nothing runs any more.
    world.pass(60).await;
    assert_eq!(world.cloud.fleet.instance(BAD).unwrap().gpus_in_use, 0);
    has(
        &world.gives(0, &["spare", "list"]).await,
        &["i-0f3a9c5d7e0000001 night ready"],
    );
    let listed = world
        .json(&["spare", "list", "--pool", "day", "--json"])
        .await;
    assert_eq!(listed["spares"], json!([]));
    let listed = world.json(&["spare", "list", "--json"]).await;
    super::schemas::fits("spare-list", &listed);
    assert_eq!(listed["spares"][0]["notReady"], Value::Null, "{listed}");
    let submit = ["submit", "bert", "--task-definition", TRAINING];
    has(
        &world
            .gives(1, &[&submit[..], &["--nodes", "2"]].concat())
            .await,
        &[
            "2 instances are asked for, 1 are free",
            "1 spare left alone",
        ],
    );
    let named = [&submit[..], &["--instances", BAD, "--pool", "night"]].concat();
    has(
        &world.gives(3, &named).await,
        &["i-0f3a9c5d7e0000001 is a spare of pool night (gpu-recovery spare remove"],
    );
    has(
        &world.gives(0, &["spare", "remove", BAD]).await,
        &["is no spare of pool night any more"],
    );
    has(
        &world.gives(0, &["spare", "remove", BAD]).await,
        &["is no spare"],
    );
    assert_eq!(world.mark(), None);
    assert_eq!(world.gives(0, &named).await, "bert");
    let job = world
        .desk
        .context
        .jobs
        .get(&JobId::new("bert"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(job.policies.pool.unwrap().as_str(), "night");
    has(
        &world.gives(3, &add).await,
        &["was not marked: it is IN_PROGRESS for job bert"],
    );
}

#[tokio::test(start_paused = true)]
async fn a_node_without_a_passed_check_or_with_an_image_that_cannot_be_pulled_is_not_marked() {
    let world = repaired().await;
    world
        .cloud
        .fleet
        .add_instance(NewInstance::p5("i-0f3a9c5d7e0000002"));
    has(
        &world
            .gives(3, &["spare", "add", "i-0f3a9c5d7e0000002"])
            .await,
        &[
            "no health check has passed on it",
            "run gpu-recovery check i-0f3a9c5d7e0000002",
        ],
    );
    let reason = "CannotPullContainerError: no basic auth credentials";
    world
        .cloud
        .fleet
        .on_job_task(|_| Behaviour::not_started(reason));
    let add = ["spare", "add", BAD, "--task-definition", TRAINING];
    has(
        &world.gives(1, &add).await,
        &["was not marked: train does not start on it: CannotPullContainerError"],
    );
    assert_eq!(world.mark(), None);
    has(
        &world
            .gives(1, &["spare", "add", "i-0123456789abcdef0"])
            .await,
        &["the cluster does not know i-0123456789abcdef0"],
    );
}
