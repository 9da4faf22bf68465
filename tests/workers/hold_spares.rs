//! HoldSpares.

use serde_json::{Value, json};
use tests::{Recovery, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::InstanceStatus;

const HOLD: &str = "hold-spares";

/// Rank 1 of two has failed; the spares are instances 2, 3, ...
async fn failed(spares: usize) -> (World, Recovery) {
    let w = World::with_job(2).await;
    (2..2 + spares).for_each(|nth| w.stand_by(nth, "default"));
    let recovery = w.claim_and_stop(1).await;
    (w, recovery)
}

fn input(recovery: &Recovery) -> Value {
    suspects(recovery, &[1], None)
}

fn suspects(recovery: &Recovery, ranks: &[usize], refused_before: Option<usize>) -> Value {
    let suspects = ranks.iter();
    let suspects: Vec<Value> = suspects
        .map(|rank| json!({ "instance": instance_id(*rank), "rank": rank }))
        .collect();
    recovery.input(json!({ "suspects": suspects, "repair": true, "refusedBefore": refused_before }))
}

async fn free(w: &World, nth: usize) -> bool {
    let record = w.instance_record(nth).await;
    record.status == InstanceStatus::Available && record.holder.is_none() && record.job_id.is_none()
}

#[tokio::test(start_paused = true)]
async fn a_spare_is_held_for_the_suspect_with_who_for_what_and_since_when() {
    let (w, recovery) = failed(2).await;
    let answer = w.outcome(HOLD, input(&recovery), "Held").await;
    let place = &answer["places"][0];
    assert_eq!(place["rank"], 1);
    assert_eq!(place["instance"], instance_id(2));
    assert_eq!(
        (&place["instead"], &place["repair"]),
        (&json!(instance_id(1)), &json!(true))
    );
    let spare = w.instance_record(2).await;
    assert_eq!(spare.status, InstanceStatus::Held);
    assert_eq!(spare.holder, Some(World::arn(&recovery.execution)));
    assert_eq!(spare.job_id.unwrap().as_str(), recovery.job);
    assert!(spare.held_since.is_some());
    assert!(w.job_record().await.spares.contains(&instance_id(2)));
    assert!(free(&w, 3).await);
}

#[tokio::test(start_paused = true)]
async fn without_a_spare_for_each_none_is_held() {
    let w = World::with_job(3).await;
    w.stand_by(3, "default");
    let recovery = w.claim_and_stop(1).await;
    w.outcome(HOLD, suspects(&recovery, &[1, 2], None), "NotEnough")
        .await;
    assert!(free(&w, 3).await);
    assert!(w.job_record().await.spares.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_free_and_healthy_spare_of_the_pool_is_left_alone() {
    let (w, recovery) = failed(0).await;
    w.stand_by(2, "night");
    w.stand_by(3, "default");
    w.set_ecs_status(3, "DRAINING");
    w.stand_by(4, "default");
    w.edit_instance(
        &instance_id(4),
        "keep_out",
        json!({ "S": "fan is loud (ann)" }),
    )
    .await;
    w.stand_by(5, "default");
    w.edit_instance(
        &instance_id(5),
        "last_verdict",
        json!({ "S": "no answer (exit 4)" }),
    )
    .await;
    w.stand_by(6, "default");
    w.edit_instance(&instance_id(6), "status", json!({ "S": "QUARANTINED" }))
        .await;
    w.stand_by(7, "default");
    w.run_alone("train", 7).await;
    w.stand_by(8, "default");
    w.cloud.fleet.disconnect_agent(&instance_id(8), None);
    let before = w.instances_as_they_are().await;
    w.outcome(HOLD, input(&recovery), "NotEnough").await;
    assert_eq!(w.instances_as_they_are().await, before);
}

#[tokio::test(start_paused = true)]
async fn a_spare_that_another_execution_holds_is_its_own_until_that_has_ended() {
    let (w, recovery) = failed(1).await;
    let holder = w.running_execution();
    for (name, value) in [
        ("status", json!({ "S": "HELD" })),
        ("holder", json!({ "S": holder })),
        ("job_id", json!({ "S": "bert" })),
    ] {
        w.edit_instance(&instance_id(2), name, value).await;
    }
    w.outcome(HOLD, input(&recovery), "NotEnough").await;
    assert_eq!(w.instance_record(2).await.holder, Some(World::arn(&holder)));
    w.end(&holder);
    // Step Functions shows an end a moment later.
    w.pass(600).await;
    w.outcome(HOLD, input(&recovery), "Held").await;
    let holder = w.instance_record(2).await.holder;
    assert_eq!(holder, Some(World::arn(&recovery.execution)));
}

#[tokio::test(start_paused = true)]
async fn rank_0_of_several_keeps_its_place() {
    let w = World::with_job(2).await;
    w.stand_by(2, "default");
    let recovery = w.claim_and_stop(0).await;
    let answer = w
        .outcome(HOLD, suspects(&recovery, &[0], None), "NotEnough")
        .await;
    assert!(
        answer["why"].as_str().unwrap().contains("rank 0"),
        "{answer}"
    );
    assert!(free(&w, 2).await);
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_place_the_next_spare_is_held_and_only_then() {
    let (w, recovery) = failed(2).await;
    let first = w.outcome(HOLD, input(&recovery), "Held").await;
    assert_eq!(first["refused"], 0);
    w.cloud
        .fleet
        .set_gpu_health(&instance_id(2), simulator::ecs::GpuHealth::CannotPlace);
    let relaunch = recovery.input(json!({ "instances": [], "places": first["places"] }));
    let error = w.call("relaunch-job", relaunch).await.unwrap_err();
    assert_eq!(error.name(), "NotOnSpares", "{error}");
    let again = suspects(&recovery, &[1], Some(0));
    let second = w.outcome(HOLD, again, "Held").await;
    assert_eq!(second["places"][0]["instance"], instance_id(3));
    assert_eq!(second["refused"], 1);
    assert!(free(&w, 2).await);
    // The same again, and no place was refused meanwhile.
    w.outcome(HOLD, suspects(&recovery, &[1], Some(1)), "NotEnough")
        .await;
    assert!(free(&w, 2).await && free(&w, 3).await);
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_has_lost_the_job_holds_nothing() {
    let (w, recovery) = failed(1).await;
    w.edit_job(
        tests::JOB,
        "job",
        "holder",
        json!({ "S": w.running_execution() }),
    )
    .await;
    let error = w.call(HOLD, input(&recovery)).await.unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert!(free(&w, 2).await);
}

#[tokio::test(start_paused = true)]
async fn it_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(HOLD, || async {
        let (w, recovery) = failed(1).await;
        let input = input(&recovery);
        (w, input)
    })
    .await;
}
