//! UncordonInstance.

use serde_json::json;
use tests::{Recovery, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::InstanceStatus;

const UNCORDON: &str = "uncordon-instance";

async fn cordoned() -> (World, Recovery) {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    (w, recovery)
}

#[tokio::test(start_paused = true)]
async fn a_rebooted_instance_is_active_again_and_still_held() {
    let (w, recovery) = cordoned().await;
    w.outcome(UNCORDON, recovery.on(1, json!({})), "Uncordoned")
        .await;
    assert_eq!(w.ecs_status(1), "ACTIVE");
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::PendingHealthcheck);
    assert_eq!(record.holder, Some(World::arn(&recovery.execution)));
    assert_eq!((record.cordoned, record.task_token), (false, None));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_not_held_any_more_stays_cordoned() {
    for (attribute, value) in [
        (
            "holder",
            json!({ "S": "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:other" }),
        ),
        ("holder", json!(null)),
        ("status", json!({ "S": "QUARANTINED" })),
    ] {
        let (w, recovery) = cordoned().await;
        w.edit_instance(&instance_id(1), attribute, value).await;
        let before = w.instances_as_they_are().await;
        let error = w
            .call(UNCORDON, recovery.on(1, json!({})))
            .await
            .unwrap_err();
        assert_eq!(error.name(), "ClaimLost");
        assert_eq!(w.instances_as_they_are().await, before);
    }
}

/// ECS does not tell an operator's DRAINING from ours; `gpu-recovery quarantine` does.
#[tokio::test(start_paused = true)]
async fn an_instance_that_an_operator_wants_out_meanwhile_stays_cordoned() {
    let (w, recovery) = cordoned().await;
    let seen = w.instance_record(1).await;
    let instances = &w.context("person").instances;
    let asked = instances
        .ask_to_keep_out(&seen, "ann", "fan is loud")
        .await
        .unwrap();
    assert!(asked.is_some());
    let error = w
        .call(UNCORDON, recovery.on(1, json!({})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.name(), error.to_string().as_str()),
        ("KeptOut", "fan is loud (ann)")
    );
    assert_eq!(w.ecs_status(1), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_record_is_not_ours() {
    let (w, recovery) = cordoned().await;
    w.delete_instance_record(&instance_id(1)).await;
    let error = w
        .call(UNCORDON, recovery.on(1, json!({})))
        .await
        .unwrap_err();
    assert_eq!(error.name(), "ClaimLost");
    assert_eq!(w.ecs_status(1), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_agent_is_away_or_that_has_left_the_cluster_stays_cordoned_until_it_is_back()
 {
    let (w, recovery) = cordoned().await;
    w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    for left in [false, true] {
        if left {
            w.cloud.fleet.deregister(&instance_id(1));
        }
        let before = w.instances_as_they_are().await;
        let error = w
            .call(UNCORDON, recovery.on(1, json!({})))
            .await
            .unwrap_err();
        assert_eq!(error.name(), "AgentAway");
        assert_eq!(w.instances_as_they_are().await, before);
    }
}

#[tokio::test(start_paused = true)]
async fn an_uncordon_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(UNCORDON, || async {
        let (w, recovery) = cordoned().await;
        (w, recovery.on(1, json!({})))
    })
    .await;
}
