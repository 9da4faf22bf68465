use super::*;
use crate::{
    stepfunctions::Answer,
    wire::{IntegrationFailure, Wire},
};
use aws_sdk_ecs::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        ContainerInstanceStatus, DesiredStatus, LaunchType, PlacementConstraint,
        PlacementConstraintType, TaskField,
    },
};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

const I1: &str = "i-00000000000000001";
const I2: &str = "i-00000000000000002";
const CLUSTER: &str = "gpu-training";

struct World {
    wire: Wire,
    fleet: Ecs,
    bus: Bus,
    client: Client,
}

fn world_with(settings: EcsSettings) -> World {
    let clock = Clock::default();
    let bus = Bus::new(clock, 7);
    let fleet = Ecs::new(clock, 7, bus.clone(), settings);
    let wire = Wire::new(clock, 7);
    wire.register("ecs", fleet.handler());
    fleet.define(TaskDefinition::new("train", TaskKind::Job, 8));
    fleet.define(TaskDefinition::new("dcgm", TaskKind::GpuCheck, 8));
    for id in [I1, I2, "mi-00000000000000003"] {
        fleet.add_instance(NewInstance::p5(id));
    }
    World {
        client: wire.ecs("test"),
        wire,
        fleet,
        bus,
    }
}

fn world() -> World {
    world_with(EcsSettings::default())
}

fn pin(id: &str) -> PlacementConstraint {
    PlacementConstraint::builder()
        .r#type(PlacementConstraintType::MemberOf)
        .expression(format!("ec2InstanceId == '{id}'"))
        .build()
}

impl World {
    fn run(&self, id: &str) -> aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder {
        let call = self
            .client
            .run_task()
            .cluster(CLUSTER)
            .task_definition("train");
        call.placement_constraints(pin(id)).started_by("job-1/1")
    }

    /// Runs a task and waits until it is RUNNING.
    async fn running(&self, id: &str) -> String {
        let answer = self.run(id).send().await.unwrap();
        assert_eq!(answer.failures(), []);
        sleep(Duration::from_secs(40)).await;
        answer.tasks()[0].task_arn().unwrap().to_owned()
    }

    async fn not_placed(&self, id: &str) -> String {
        let answer = self.run(id).send().await.unwrap();
        assert!(answer.tasks().is_empty());
        answer.failures()[0].reason().unwrap().to_owned()
    }

    async fn stop(&self, arn: &str) -> aws_sdk_ecs::types::Task {
        let call = self.client.stop_task().cluster(CLUSTER).task(arn);
        call.reason("gpu-recovery: test")
            .send()
            .await
            .unwrap()
            .task
            .unwrap()
    }

    async fn describe(&self, arn: &str) -> aws_sdk_ecs::types::Task {
        let call = self.client.describe_tasks().cluster(CLUSTER).tasks(arn);
        let answer = call.include(TaskField::Tags).send().await.unwrap();
        answer.tasks()[0].clone()
    }

    async fn set_status(&self, id: &str, status: ContainerInstanceStatus) {
        let arn = self.fleet.instance(id).unwrap().arn;
        let call = self
            .client
            .update_container_instances_state()
            .cluster(CLUSTER);
        let answer = call
            .container_instances(arn)
            .status(status)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.failures(), []);
    }

    /// detail.lastStatus/detail.desiredStatus of the task's events.
    fn history(&self, arn: &str) -> Vec<String> {
        self.bus
            .record()
            .iter()
            .filter(|event| event["detail"]["taskArn"] == arn)
            .map(|event| {
                let detail = &event["detail"];
                format!(
                    "{}/{}",
                    detail["lastStatus"].as_str().unwrap(),
                    detail["desiredStatus"].as_str().unwrap()
                )
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_run_task_starts_one_task_and_another_request_with_its_token_conflicts() {
    let w = world();
    let run = || w.run(I1).client_token("job-1.1.0");
    let first = run().send().await.unwrap();
    let again = run().send().await.unwrap();
    assert_eq!(first.tasks()[0].task_arn(), again.tasks()[0].task_arn());
    assert_eq!(w.fleet.tasks().len(), 1);
    let conflict = run()
        .started_by("other")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let conflict = match conflict {
        aws_sdk_ecs::operation::run_task::RunTaskError::ConflictException(e) => e,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        conflict.resource_ids()[0],
        first.tasks()[0].task_arn().unwrap()
    );
    let task = &first.tasks()[0];
    assert_eq!(task.last_status(), Some("PENDING"));
    assert_eq!(task.containers()[0].gpu_ids().len(), 8);
    assert_eq!(
        task.container_instance_arn(),
        Some(w.fleet.instance(I1).unwrap().arn.as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_is_spent_by_a_failed_placement_too_until_an_hour_has_passed() {
    let w = world();
    w.fleet.disconnect_agent(I1, Some(Duration::from_secs(60)));
    let run = || w.run(I1).client_token("job-1.1.0");
    let reason = |answer: &aws_sdk_ecs::operation::run_task::RunTaskOutput| {
        answer
            .failures()
            .first()
            .and_then(|f| f.reason().map(str::to_owned))
    };
    assert_eq!(
        reason(&run().send().await.unwrap()).as_deref(),
        Some("AGENT")
    );
    sleep(Duration::from_secs(120)).await;
    assert_eq!(
        reason(&run().send().await.unwrap()).as_deref(),
        Some("AGENT")
    );
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(reason(&run().send().await.unwrap()), None);
    w.fleet
        .on_job_task(|_| Behaviour::exits(Duration::from_secs(5), 0));
    sleep(Duration::from_secs(120)).await;
    let stopped = run().send().await.unwrap();
    assert_eq!(stopped.tasks()[0].last_status(), Some("STOPPED"));
    assert!(stopped.tasks()[0].containers().is_empty());
    sleep(Duration::from_secs(3600)).await;
    let anew = run().send().await.unwrap();
    assert_ne!(anew.tasks()[0].task_arn(), stopped.tasks()[0].task_arn());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_placed_is_a_failure_not_an_error() {
    let w = world();
    w.running(I1).await;
    assert_eq!(w.not_placed(I1).await, "RESOURCE:GPU");
    w.fleet.disconnect_agent(I2, None);
    assert_eq!(w.not_placed(I2).await, "AGENT");
    w.fleet.connect_agent(I2);
    sleep(Duration::from_secs(1)).await;
    w.set_status(I2, ContainerInstanceStatus::Draining).await;
    assert_eq!(
        w.not_placed(I2).await,
        "MemberOf placement constraint unsatisfied."
    );
    w.set_status(I2, ContainerInstanceStatus::Active).await;
    w.fleet.set_gpu_health(I2, GpuHealth::CannotPlace);
    assert_eq!(w.not_placed(I2).await, "RESOURCE:GPU");
    let hybrid = "mi-00000000000000003";
    assert_eq!(
        w.not_placed(hybrid).await,
        "MemberOf placement constraint unsatisfied."
    );
    let external = w
        .run(hybrid)
        .launch_type(LaunchType::External)
        .send()
        .await
        .unwrap();
    assert_eq!(
        external.tasks()[0].launch_type(),
        Some(&LaunchType::External)
    );
}

#[tokio::test(start_paused = true)]
async fn requests_outside_the_quotas_are_refused_with_the_apis_errors() {
    let w = world();
    let code = |e: Option<&str>| e.unwrap().to_owned();
    let long = w
        .run(I1)
        .started_by("x".repeat(129))
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(long.code()), "InvalidParameterException");
    let many = w.run(I1).count(11).send().await.unwrap_err();
    assert_eq!(code(many.code()), "InvalidParameterException");
    let nowhere = w.run(I1).cluster("other").send().await.unwrap_err();
    assert_eq!(code(nowhere.code()), "ClusterNotFoundException");
    let unknown = w
        .run(I1)
        .task_definition("nothing:1")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(unknown.code()), "ClientException");
    let tasks = Some((0..101).map(|n| n.to_string()).collect());
    let describe = w.client.describe_tasks().cluster(CLUSTER).set_tasks(tasks);
    let many = describe.send().await.unwrap_err();
    assert_eq!(code(many.code()), "InvalidParameterException");
    let both = w
        .client
        .list_tasks()
        .cluster(CLUSTER)
        .started_by("a")
        .family("b");
    assert_eq!(
        code(both.send().await.unwrap_err().code()),
        "InvalidParameterException"
    );
}

#[tokio::test(start_paused = true)]
async fn stop_task_ends_by_sigterm_or_by_sigkill_at_the_stop_timeout() {
    let w = world();
    w.fleet.on_job_task(|facts| {
        let behaviour = Behaviour::default();
        if facts.instance_id == I2 {
            behaviour.hanging()
        } else {
            behaviour
        }
    });
    let (obeys, hangs) = (w.running(I1).await, w.running(I2).await);
    assert_eq!(w.stop(&obeys).await.desired_status(), Some("STOPPED"));
    w.stop(&hangs).await;
    sleep(Duration::from_secs(10)).await;
    let obeyed = w.describe(&obeys).await;
    assert_eq!(obeyed.last_status(), Some("STOPPED"));
    assert_eq!(obeyed.containers()[0].exit_code(), Some(143));
    assert_eq!(obeyed.stop_code().unwrap().as_str(), "UserInitiated");
    assert_eq!(obeyed.stopped_reason(), Some("gpu-recovery: test"));
    assert_eq!(w.describe(&hangs).await.last_status(), Some("STOPPING"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(
        w.describe(&hangs).await.containers()[0].exit_code(),
        Some(137)
    );
    let again = w.stop(&obeys).await;
    assert_eq!(again.version(), obeyed.version());
    let gone = w
        .client
        .stop_task()
        .cluster(CLUSTER)
        .task("0123")
        .send()
        .await
        .unwrap_err();
    assert_eq!(gone.code(), Some("InvalidParameterException"));
    assert_eq!(gone.message(), Some("The referenced task was not found."));
}

#[tokio::test(start_paused = true)]
async fn while_the_agent_is_away_a_stopped_task_stays_running() {
    let w = world();
    let arn = w.running(I1).await;
    w.fleet.disconnect_agent(I1, Some(Duration::from_secs(300)));
    w.stop(&arn).await;
    sleep(Duration::from_secs(290)).await;
    let waiting = w.describe(&arn).await;
    assert_eq!(
        (waiting.last_status(), waiting.desired_status()),
        (Some("RUNNING"), Some("STOPPED"))
    );
    sleep(Duration::from_secs(20)).await;
    assert_eq!(w.describe(&arn).await.last_status(), Some("STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_task_is_missing_after_an_hour() {
    let w = world();
    w.fleet
        .on_job_task(|_| Behaviour::exits(Duration::from_secs(5), 1));
    let arn = w.running(I1).await;
    let task = w.describe(&arn).await;
    assert_eq!(task.containers()[0].exit_code(), Some(1));
    assert_eq!(
        task.stop_code().unwrap().as_str(),
        "EssentialContainerExited"
    );
    assert!(task.stopped_at().unwrap() > task.started_at().unwrap());
    sleep(Duration::from_secs(3600)).await;
    let call = w.client.describe_tasks().cluster(CLUSTER).tasks(&arn);
    let answer = call.send().await.unwrap();
    assert!(answer.tasks().is_empty());
    assert_eq!(answer.failures()[0].reason(), Some("MISSING"));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_cannot_start_has_no_exit_code() {
    let w = world();
    w.fleet
        .on_job_task(|_| Behaviour::not_started("CannotPullContainerError: not found"));
    let arn = w.running(I1).await;
    let task = w.describe(&arn).await;
    assert_eq!(task.stop_code().unwrap().as_str(), "TaskFailedToStart");
    assert_eq!(task.containers()[0].exit_code(), None);
    assert_eq!(
        task.stopped_reason(),
        Some("CannotPullContainerError: not found")
    );
    assert_eq!(w.history(&arn), ["PENDING/RUNNING", "STOPPED/STOPPED"]);
}

#[tokio::test(start_paused = true)]
async fn the_sdk_retries_throttled_calls_in_virtual_time() {
    let w = world();
    let arn = w.running(I1).await;
    let calls = (0..150).map(|_| w.describe(&arn));
    let before = tokio::time::Instant::now();
    assert_eq!(futures::future::join_all(calls).await.len(), 150);
    assert!(before.elapsed() >= Duration::from_secs(1));
    let throttled = Err("ThrottlingException".to_owned());
    let calls = w.wire.calls();
    let refused = calls
        .iter()
        .filter(|call| call.outcome == throttled)
        .count();
    assert!(refused >= 50, "{refused}");
    assert!(
        calls
            .iter()
            .all(|call| call.caller == "test" && call.service == "ecs")
    );
}

#[tokio::test(start_paused = true)]
async fn every_change_is_an_event_with_a_growing_version() {
    let w = world();
    let arn = w.running(I1).await;
    w.stop(&arn).await;
    sleep(Duration::from_secs(10)).await;
    assert_eq!(
        w.history(&arn),
        [
            "PENDING/RUNNING",
            "RUNNING/RUNNING",
            "RUNNING/STOPPED",
            "DEACTIVATING/STOPPED",
            "STOPPING/STOPPED",
            "STOPPED/STOPPED"
        ]
    );
    let record = w.bus.record();
    let events: Vec<_> = record
        .iter()
        .filter(|e| e["detail"]["taskArn"] == *arn)
        .collect();
    let versions: Vec<_> = events
        .iter()
        .map(|e| e["detail"]["version"].as_u64().unwrap())
        .collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    let last = events[5];
    assert_eq!(last["detail-type"], "ECS Task State Change");
    assert_eq!(last["resources"], json!([arn]));
    assert_eq!(last["detail"]["containers"][0]["exitCode"], 143);
    assert!(last["detail"]["stoppedAt"].as_str().unwrap().ends_with('Z'));
    assert!(last["detail"].get("tags").is_none());
    let instance = w.fleet.instance(I1).unwrap();
    let changes = record
        .iter()
        .filter(|e| e["detail"]["ec2InstanceId"] == instance.id);
    let gpus: Vec<usize> = changes
        .map(|e| {
            e["detail"]["remainingResources"][3]["stringSetValue"]
                .as_array()
                .unwrap()
                .len()
        })
        .collect();
    assert_eq!(gpus, [8, 0, 0, 0, 8]);
}

#[tokio::test(start_paused = true)]
async fn a_task_with_its_own_network_goes_through_every_status() {
    let w = world();
    w.fleet.define(TaskDefinition {
        awsvpc: true,
        ..TaskDefinition::new("train", TaskKind::Job, 8)
    });
    let refused = w.run(I1).send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidParameterException"));
    let network = aws_sdk_ecs::types::AwsVpcConfiguration::builder()
        .subnets("subnet-1")
        .build()
        .unwrap();
    let network = aws_sdk_ecs::types::NetworkConfiguration::builder()
        .awsvpc_configuration(network)
        .build();
    let answer = w
        .run(I1)
        .network_configuration(network)
        .send()
        .await
        .unwrap();
    let arn = answer.tasks()[0].task_arn().unwrap().to_owned();
    sleep(Duration::from_secs(60)).await;
    w.stop(&arn).await;
    sleep(Duration::from_secs(60)).await;
    let statuses: Vec<String> = w
        .history(&arn)
        .iter()
        .map(|s| s.split('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        statuses,
        [
            "PROVISIONING",
            "PENDING",
            "ACTIVATING",
            "RUNNING",
            "RUNNING",
            "DEACTIVATING",
            "STOPPING",
            "DEPROVISIONING",
            "STOPPED"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reboot_kills_the_tasks_fixes_the_gpu_and_leaves_the_instance_draining() {
    let w = world();
    w.fleet.set_gpu_health(I1, GpuHealth::FaultUntilReboot);
    let arn = w.running(I1).await;
    w.set_status(I1, ContainerInstanceStatus::Draining).await;
    let before = w.fleet.instance(I1).unwrap();
    w.fleet.reboot(I1, "shell");
    sleep(Duration::from_secs(60)).await;
    let down = w.fleet.instance(I1).unwrap();
    assert!(!down.up && !down.agent_connected && down.ssm_online == Some(false));
    assert_eq!(down.status, "DRAINING");
    assert_eq!(w.describe(&arn).await.last_status(), Some("RUNNING"));
    sleep(Duration::from_secs(720)).await;
    let back = w.fleet.instance(I1).unwrap();
    assert!(back.up && back.agent_connected && back.ssm_online == Some(true));
    assert_eq!((back.status.as_str(), back.reboots), ("DRAINING", 1));
    assert_ne!(back.boot_id, before.boot_id);
    assert!(back.booted_at > before.booted_at);
    assert_eq!(back.gpu_health, GpuHealth::Healthy);
    let task = w.describe(&arn).await;
    assert_eq!(task.last_status(), Some("STOPPED"));
    assert_eq!(task.containers()[0].exit_code(), Some(137));
}

#[tokio::test(start_paused = true)]
async fn a_hung_shutdown_needs_ec2_and_a_dead_host_stays_away() {
    let w = world();
    w.fleet
        .set_reboot_outcome(I1, RebootOutcome::HangsInShutdown);
    w.fleet.set_reboot_outcome(I2, RebootOutcome::NeverReturns);
    w.fleet.reboot(I1, "shell");
    w.fleet.ec2_reboot(I2);
    sleep(Duration::from_secs(3600)).await;
    assert!(!w.fleet.instance(I1).unwrap().up);
    assert!(!w.fleet.instance(I2).unwrap().up);
    w.fleet.ec2_reboot(I1);
    sleep(Duration::from_secs(1200)).await;
    assert!(w.fleet.instance(I1).unwrap().agent_connected);
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_and_paged() {
    let w = world();
    let arn = w.running(I1).await;
    let paged = w
        .client
        .list_container_instances()
        .cluster(CLUSTER)
        .max_results(2);
    let pages = paged
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await;
    assert_eq!(pages.unwrap().len(), 3);
    let filter = format!("ec2InstanceId == {I1}");
    let one = w
        .client
        .list_container_instances()
        .cluster(CLUSTER)
        .filter(filter)
        .send()
        .await
        .unwrap();
    let instance = w.fleet.instance(I1).unwrap().arn;
    assert_eq!(
        one.container_instance_arns(),
        std::slice::from_ref(&instance)
    );
    let only = std::slice::from_ref(&arn);
    let list = || w.client.list_tasks().cluster(CLUSTER);
    assert_eq!(
        list()
            .started_by("job-1/1")
            .send()
            .await
            .unwrap()
            .task_arns(),
        only
    );
    assert_eq!(
        list()
            .container_instance(&instance)
            .send()
            .await
            .unwrap()
            .task_arns(),
        only
    );
    assert!(
        list()
            .started_by("job-2")
            .send()
            .await
            .unwrap()
            .task_arns()
            .is_empty()
    );
    w.stop(&arn).await;
    assert!(list().send().await.unwrap().task_arns().is_empty());
    let stopped = list()
        .desired_status(DesiredStatus::Stopped)
        .send()
        .await
        .unwrap();
    assert_eq!(stopped.task_arns(), only);
}

#[tokio::test(start_paused = true)]
async fn a_daemon_comes_back_on_an_active_instance_and_holds_no_gpu() {
    let w = world();
    w.fleet
        .define(TaskDefinition::new("exporter", TaskKind::Daemon, 0));
    w.fleet.add_daemon(I1, "exporter");
    sleep(Duration::from_secs(60)).await;
    w.running(I1).await;
    let daemon = |w: &World| {
        let tasks = w.fleet.tasks();
        let running = tasks
            .iter()
            .filter(|t| t["group"] == "service:exporter" && t["lastStatus"] == "RUNNING");
        running
            .map(|t| t["taskArn"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = daemon(&w);
    w.fleet.stop(&first[0], "test");
    sleep(Duration::from_secs(60)).await;
    assert_eq!(daemon(&w).len(), 1);
    assert_ne!(daemon(&w), first);
}

/// Runs the task and waits for its end.
async fn run_to_its_end(w: &World, arguments: Value) -> Result<Value, IntegrationFailure> {
    match run_task_sync(&w.wire, &w.fleet, "machine", arguments).await? {
        Answer::Runs { submitted, end } => {
            assert!(submitted["Tasks"][0]["TaskArn"].is_string());
            end.await
        }
        _ => panic!("nothing runs"),
    }
}

#[tokio::test(start_paused = true)]
async fn run_task_sync_succeeds_or_fails_with_the_task_in_pascal_case() {
    let w = world();
    let arguments = |id: &str| {
        json!({ "Cluster": CLUSTER, "TaskDefinition": "dcgm", "LaunchType": "EC2",
            "PlacementConstraints": [{ "Type": "memberOf", "Expression": format!("ec2InstanceId == '{id}'") }] })
    };
    let run = |id: &str| run_to_its_end(&w, arguments(id));
    let healthy = run(I1).await.unwrap();
    assert_eq!(healthy["Containers"][0]["ExitCode"], 0);
    assert_eq!(healthy["StartedBy"], "AWS Step Functions");
    w.fleet.set_gpu_health(I1, GpuHealth::FaultForever);
    let faulty = run(I1).await.unwrap_err();
    assert_eq!(faulty.error, "States.TaskFailed");
    let task: Value = serde_json::from_str(&faulty.cause).unwrap();
    assert_eq!(task["Containers"][0]["ExitCode"], 1);
    assert_eq!(task["StopCode"], "EssentialContainerExited");
    w.fleet.set_gpu_health(I1, GpuHealth::NoExitCode);
    let lost: Value = serde_json::from_str(&run(I1).await.unwrap_err().cause).unwrap();
    assert_eq!(lost["LastStatus"], "STOPPED");
    assert!(lost["Containers"][0].get("ExitCode").is_none());
    w.fleet.set_gpu_health(I1, GpuHealth::CannotPlace);
    let failure = run(I1).await.unwrap_err();
    assert_eq!(failure.error, "AmazonECS.Unknown");
    assert!(failure.cause.contains("RESOURCE:GPU"));
    let mut elsewhere = arguments(I1);
    elsewhere["Cluster"] = json!("other");
    let refused = run_to_its_end(&w, elsewhere).await.unwrap_err();
    assert_eq!(refused.error, "ECS.ClusterNotFoundException");
}

#[tokio::test(start_paused = true)]
async fn dropping_run_task_sync_stops_the_task() {
    // A check of the user's has no bound of its own.
    let w = world_with(EcsSettings {
        own_check: None,
        ..EcsSettings::default()
    });
    w.fleet.set_gpu_health(I1, GpuHealth::DcgmHangs);
    let arguments = json!({ "Cluster": CLUSTER, "TaskDefinition": "dcgm",
        "PlacementConstraints": [{ "Type": "memberOf", "Expression": format!("ec2InstanceId == '{I1}'") }] });
    let run = run_to_its_end(&w, arguments);
    let timed_out = tokio::time::timeout(Duration::from_secs(600), run).await;
    assert!(timed_out.is_err());
    sleep(Duration::from_secs(60)).await;
    let tasks = w.fleet.tasks();
    assert_eq!(tasks[0]["lastStatus"], "STOPPED");
    assert_eq!(tasks[0]["containers"][0]["exitCode"], 137);
    assert_eq!(w.wire.calls().last().unwrap().action, "StopTask");
}

/// 1,024 ranks, the first of which dies.
async fn gang(seed: u64, ranks: usize) -> (Bus, Ecs) {
    let clock = Clock::default();
    let bus = Bus::new(clock, seed);
    let fleet = Ecs::new(clock, seed, bus.clone(), EcsSettings::default());
    fleet.define(TaskDefinition::new("train", TaskKind::Job, 8));
    fleet.on_job_task(|facts| {
        if facts.environment["RANK"] == "0" {
            Behaviour::exits(Duration::from_secs(600), 1)
        } else {
            Behaviour::aborts_with_gang(Duration::from_secs(30), 134)
        }
    });
    for rank in 0..ranks {
        let id = format!("i-{rank:017x}");
        fleet.add_instance(NewInstance::p5(&id));
        let body = json!({ "cluster": CLUSTER, "taskDefinition": "train", "startedBy": "job-1/1",
            "placementConstraints": [{ "type": "memberOf", "expression": format!("ec2InstanceId == '{id}'") }],
            "overrides": { "containerOverrides": [
                { "name": "train", "environment": [{ "name": "RANK", "value": rank.to_string() }] }] } });
        fleet.api("RunTask", &body).unwrap();
    }
    sleep(Duration::from_secs(900)).await;
    (bus, fleet)
}

#[tokio::test(start_paused = true)]
async fn a_gang_of_a_thousand_aborts_after_one_death_at_a_cost_that_grows_with_it() {
    let (bus, fleet) = gang(3, 1024).await;
    let codes: Vec<_> = fleet
        .tasks()
        .iter()
        .map(|t| t["containers"][0]["exitCode"].as_i64().unwrap())
        .collect();
    assert_eq!(codes.iter().filter(|c| **c == 134).count(), 1023);
    assert_eq!(codes.iter().filter(|c| **c == 1).count(), 1);
    // A task: PENDING, RUNNING, STOPPED. An instance: registered, and one for each of these.
    assert_eq!(bus.record().len(), 1024 * 7);
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_trace() {
    let trace = |bus: &Bus| {
        bus.record()
            .iter()
            .map(|e| e.to_string())
            .collect::<Vec<_>>()
    };
    let (first, _) = gang(11, 16).await;
    let (again, _) = gang(11, 16).await;
    let (other, _) = gang(12, 16).await;
    assert_eq!(trace(&first), trace(&again));
    assert_ne!(trace(&first), trace(&other));
}

#[tokio::test(start_paused = true)]
async fn agents_that_flap_change_nothing_but_the_connection() {
    let minutes = |from: u64, to: u64| Duration::from_secs(60 * from)..Duration::from_secs(60 * to);
    let w = world_with(EcsSettings {
        flaps: Some(Flaps {
            every: minutes(5, 20),
            away: minutes(1, 2),
        }),
        ..EcsSettings::default()
    });
    let arn = w.running(I1).await;
    sleep(Duration::from_secs(4 * 3600)).await;
    assert_eq!(w.describe(&arn).await.last_status(), Some("RUNNING"));
    let record = w.bus.record();
    let away = record
        .iter()
        .filter(|e| e["detail"]["agentConnected"] == false)
        .count();
    assert!(away > 20, "{away}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_described_with_its_capacity_providers_and_another_is_missing() {
    let w = world();
    let provider = json!({ "name": "gpus", "status": "ACTIVE", "type": "EC2_AUTOSCALING" });
    w.fleet.set_capacity_providers(vec![provider]);
    let asked = w.client.describe_clusters();
    let asked = asked.clusters(CLUSTER).clusters("other").send().await;
    let asked = asked.expect("an answer");
    let [cluster] = asked.clusters() else {
        panic!("{asked:?}");
    };
    assert_eq!(cluster.status(), Some("ACTIVE"));
    assert_eq!(cluster.registered_container_instances_count(), 3);
    assert_eq!(cluster.capacity_providers(), ["gpus"]);
    let [failure] = asked.failures() else {
        panic!("{asked:?}");
    };
    assert_eq!(failure.reason(), Some("MISSING"));
    for (name, known) in [("gpus", 1), ("none", 0)] {
        let described = w.client.describe_capacity_providers();
        let described = described.capacity_providers(name).send().await;
        let described = described.expect("an answer");
        assert_eq!(described.capacity_providers().len(), known, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attribute_is_put_found_by_an_expression_and_deleted() {
    let w = world();
    let arn = w.fleet.instance(I1).unwrap().arn;
    let attribute = |value: Option<&str>| {
        aws_sdk_ecs::types::Attribute::builder()
            .name("stack")
            .set_value(value.map(str::to_owned))
            .target_id(&arn)
            .build()
            .unwrap()
    };
    let found = async |filter: &str| {
        let listed = w.client.list_container_instances().cluster(CLUSTER);
        let listed = listed.filter(filter).send().await.unwrap();
        listed.container_instance_arns().to_vec()
    };
    let put = |value: &str| {
        let put = w.client.put_attributes().cluster(CLUSTER);
        put.attributes(attribute(Some(value))).send()
    };
    put("gold").await.unwrap();
    assert_eq!(found("attribute:stack == gold").await, [arn.as_str()]);
    put("iron").await.unwrap();
    assert!(found("attribute:stack == gold").await.is_empty());
    assert_eq!(found("attribute:stack exists").await, [arn.as_str()]);
    // A host outside of EC2 has no instance type.
    let of_ec2 = found("attribute:ecs.instance-type == p5.48xlarge").await;
    assert_eq!(of_ec2.len(), 2);
    assert_eq!(
        put(" bad").await.unwrap_err().code(),
        Some("InvalidParameterException")
    );
    for _ in 0..2 {
        let delete = w.client.delete_attributes().cluster(CLUSTER);
        delete.attributes(attribute(None)).send().await.unwrap();
        assert!(found("attribute:stack exists").await.is_empty());
    }
    w.fleet.deregister(I1);
    let gone = put("gold").await.unwrap_err();
    assert_eq!(gone.code(), Some("TargetNotFoundException"));
}
