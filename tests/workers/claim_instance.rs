//! ClaimInstance: an instance is taken for a check by hand.

use serde_json::{Value, json};
use tests::{JOB, World, faults::ends_the_same_after_any_fault, instance_id};
use workers::records::{InstanceStatus, JobStatus};

const CLAIM: &str = "claim-instance";

fn input(execution: &str, nth: usize) -> Value {
    json!({
        "execution": execution,
        "request": { "instance": instance_id(nth), "by": "ann", "reason": "GPU 5 replaced" },
    })
}

/// Three instances without a job; the second was quarantined by an operator.
async fn quarantined() -> World {
    let w = World::new().await;
    w.instances(3);
    let context = w.context("person");
    let id = instance_id(1).parse().unwrap();
    let found = context.fleet.find(&id).await.unwrap().unwrap();
    let arn = workers::ids::ContainerInstanceArn::new(found.container_instance_arn().unwrap());
    let hands = &context.instances;
    let written = hands.quarantine_by_hand(&id, &arn, None, "ann", "fan is loud");
    assert!(written.await.unwrap().is_some());
    context.fleet.drain(&arn).await.unwrap();
    w
}

async fn refusal(w: &World, nth: usize) -> String {
    let before = w.instances_as_they_are().await;
    let answer = w
        .outcome(CLAIM, input(&w.running_execution(), nth), "Refused")
        .await;
    assert_eq!(w.instances_as_they_are().await, before);
    answer["why"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_instance_takes_tasks_again_and_no_job_gets_it() {
    let w = quarantined().await;
    assert_eq!(w.ecs_status(1), "DRAINING");
    let execution = w.running_execution();
    let answer = w.outcome(CLAIM, input(&execution, 1), "Claimed").await;
    assert_eq!(answer["recoveriesLeft"], 0);
    assert_eq!(answer["instances"], json!([instance_id(1)]));
    assert_eq!(w.ecs_status(1), "ACTIVE");
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::PendingHealthcheck);
    assert_eq!((record.cordoned, &record.quarantine_reason), (false, &None));
    let check = answer["jobId"].as_str().unwrap();
    assert_eq!(record.job_id.unwrap().as_str(), check);
    let job = w.job_record_of(check).await;
    assert!(job.check && job.expires_at.is_some());
    assert_eq!(job.holder, Some(World::arn(&execution)));
    assert_eq!(job.running, None, "no look for lost stops finds it");
}

#[tokio::test(start_paused = true)]
async fn an_instance_without_a_record_can_be_checked() {
    let w = World::new().await;
    w.instances(2);
    w.outcome(CLAIM, input(&w.running_execution(), 1), "Claimed")
        .await;
    let record = w.instance_record(1).await;
    assert_eq!(record.status, InstanceStatus::PendingHealthcheck);
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_a_job_is_left_alone() {
    let w = World::with_job(2).await;
    let why = refusal(&w, 1).await;
    assert_eq!(why, format!("it works for job {JOB}, which is IN_PROGRESS"));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_a_recovery_holds_is_left_alone() {
    let w = World::with_job(2).await;
    let recovery = w.claim_and_cordon(1).await;
    let why = refusal(&w, 1).await;
    assert_eq!(why, format!("execution {} holds it", recovery.execution));
}

#[tokio::test(start_paused = true)]
async fn an_instance_on_which_something_holds_a_gpu_is_left_alone() {
    let w = World::new().await;
    w.instances(2);
    w.run_alone(simulator::cloud::TRAINING, 1).await;
    w.pass(60).await;
    let why = refusal(&w, 1).await;
    assert!(why.contains("of no job holds a GPU of it"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn an_operators_drain_in_ecs_is_kept() {
    let w = World::new().await;
    w.instances(2);
    w.set_ecs_status(1, "DRAINING");
    let why = refusal(&w, 1).await;
    assert!(why.contains("an operator set it DRAINING"), "{why}");
    assert_eq!(w.ecs_status(1), "DRAINING");
}

#[tokio::test(start_paused = true)]
async fn an_instance_whose_agent_is_away_or_that_is_gone_is_left_alone() {
    let w = World::new().await;
    w.instances(3);
    w.cloud.fleet.disconnect_agent(&instance_id(1), None);
    let why = refusal(&w, 1).await;
    assert!(why.contains("its ECS agent is not connected"), "{why}");
    w.cloud.fleet.deregister(&instance_id(2));
    assert_eq!(refusal(&w, 2).await, "the cluster does not know it");
}

#[tokio::test(start_paused = true)]
async fn of_two_checks_at_once_one_is_refused_and_a_dead_one_stands_in_nobodys_way() {
    let w = quarantined().await;
    let first = w.running_execution();
    let answer = w.outcome(CLAIM, input(&first, 1), "Claimed").await;
    let check = answer["jobId"].as_str().unwrap();
    let why = refusal(&w, 1).await;
    let is = JobStatus::PendingHealthcheck;
    assert_eq!(why, format!("it works for job {check}, which is {is}"));
    w.end(&first);
    w.pass(400).await;
    w.outcome(CLAIM, input(&w.running_execution(), 1), "Claimed")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_an_instance_ends_the_same_after_any_fault() {
    ends_the_same_after_any_fault(CLAIM, || async {
        let w = quarantined().await;
        let input = input(&w.running_execution(), 1);
        (w, input)
    })
    .await;
}
