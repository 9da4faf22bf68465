//! Tasks and container instances as JSON: one shape for the API and for events, with other times.

use super::model::{Instance, Revision, Task, launch_type};
use crate::{
    clock::{epoch_seconds, rfc3339},
    object::object,
};
use serde_json::{Map, Value, json};
use std::time::SystemTime;

/// How a time is written.
pub(super) type Time = fn(SystemTime) -> Value;

/// awsJson: seconds since the epoch.
pub(super) fn api_time(time: SystemTime) -> Value {
    json!(epoch_seconds(time))
}

/// Events: RFC 3339.
pub(super) fn event_time(time: SystemTime) -> Value {
    json!(rfc3339(time))
}

/// The Task of the API (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html>), without tags.
pub(super) fn task(task: &Task, cluster_arn: &str, time: Time) -> Value {
    let definition = &task.revision.definition;
    let mut json = object!({
        "attachments": attachments(task),
        "attributes": json!([{ "name": "ecs.cpu-architecture", "value": "x86_64" }]),
        "availabilityZone": "us-east-1a",
        "clusterArn": cluster_arn,
        "connectivity": "CONNECTED",
        "containerInstanceArn": task.instance_arn.as_str(),
        "containers": containers(task),
        "cpu": definition.containers.iter().map(|c| c.cpu).sum::<u64>().to_string(),
        "desiredStatus": task.desired_status,
        "enableExecuteCommand": task.launch.execute_command,
        "group": task.group.as_str(),
        "healthStatus": "UNKNOWN",
        "lastStatus": task.last_status,
        "launchType": launch_type(&task.instance_id),
        "memory": definition.containers.iter().map(|c| c.memory).sum::<u64>().to_string(),
        "overrides": overrides(task),
        "taskArn": task.arn.as_str(),
        "taskDefinitionArn": task.revision.arn.as_str(),
        "version": task.version,
    });
    let times = &task.times;
    let optional = [
        ("connectivityAt", times.created.map(time)),
        ("createdAt", times.created.map(time)),
        ("pullStartedAt", times.pull_started.map(time)),
        ("pullStoppedAt", times.pull_stopped.map(time)),
        ("startedAt", times.started.map(time)),
        ("stoppingAt", times.stopping.map(time)),
        ("executionStoppedAt", times.execution_stopped.map(time)),
        ("stoppedAt", times.stopped.map(time)),
        ("startedBy", task.launch.started_by.clone().map(Value::from)),
        ("stopCode", task.stop_code.map(Value::from)),
        (
            "stoppedReason",
            task.stopped_reason.clone().map(Value::from),
        ),
    ];
    insert(&mut json, optional);
    json
}

fn insert<const N: usize>(json: &mut Value, optional: [(&str, Option<Value>); N]) {
    if let Some(members) = json.as_object_mut() {
        for (name, value) in optional {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        }
    }
}

fn attachments(task: &Task) -> Value {
    let Some(subnet) = task.launch.subnet.as_ref().filter(|_| task.awsvpc()) else {
        return json!([]);
    };
    let status = match task.last_status {
        "PROVISIONING" => "PRECREATED",
        "DEPROVISIONING" => "DETACHING",
        "STOPPED" => "DELETED",
        _ => "ATTACHED",
    };
    let mut details = vec![json!({ "name": "subnetId", "value": subnet })];
    if task.last_status != "PROVISIONING" {
        let address = address(&task.attachment_id);
        details.push(json!({ "name": "privateIPv4Address", "value": address }));
    }
    json!([{
        "id": task.attachment_id,
        "type": if task.last_status == "PROVISIONING" { "ElasticNetworkInterface" } else { "eni" },
        "status": status,
        "details": details,
    }])
}

/// Another one for each interface, mostly.
fn address(interface: &str) -> String {
    let last = interface.get(interface.len().saturating_sub(4)..);
    let number = last.and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let [high, low] = number.unwrap_or_default().to_be_bytes();
    format!("10.1.{high}.{low}")
}

fn containers(task: &Task) -> Vec<Value> {
    let definitions = &task.revision.definition.containers;
    definitions
        .iter()
        .zip(&task.containers)
        .map(|(definition, run)| {
            let mut json = object!({
                "containerArn": run.arn.as_str(),
                "taskArn": task.arn.as_str(),
                "name": definition.name.as_str(),
                "image": definition.image.as_str(),
                "lastStatus": run.last_status,
                "networkInterfaces": json!([]),
                "healthStatus": "UNKNOWN",
                "cpu": definition.cpu.to_string(),
                "memory": definition.memory.to_string(),
            });
            let started = task.times.started.is_some();
            let optional = [
                ("exitCode", run.exit_code.map(Value::from)),
                ("reason", run.reason.clone().map(Value::from)),
                ("runtimeId", started.then(|| run.runtime_id.clone().into())),
                ("networkBindings", started.then(|| json!([]))),
                (
                    "gpuIds",
                    (!run.gpu_ids.is_empty()).then(|| json!(run.gpu_ids)),
                ),
            ];
            insert(&mut json, optional);
            json
        })
        .collect()
}

/// ECS lists every container in the overrides, overridden or not (sample events, ecs_task_events).
fn overrides(task: &Task) -> Value {
    let mut overrides = task
        .launch
        .overrides
        .as_object()
        .cloned()
        .unwrap_or_default();
    let given = overrides
        .get("containerOverrides")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let all: Vec<Value> = task
        .revision
        .definition
        .containers
        .iter()
        .map(|container| {
            let name = container.name.as_str();
            let found = given.iter().find(|o| o["name"] == name);
            found.cloned().unwrap_or_else(|| json!({ "name": name }))
        })
        .collect();
    overrides.insert("containerOverrides".to_owned(), all.into());
    overrides
        .entry("inferenceAcceleratorOverrides")
        .or_insert_with(|| json!([]));
    Value::Object(overrides)
}

/// The `detail` of an `ECS Task State Change`
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html>).
pub(super) fn task_event(task_: &Task, cluster_arn: &str, now: SystemTime) -> Value {
    let mut detail = task(task_, cluster_arn, event_time);
    insert(&mut detail, [("updatedAt", Some(event_time(now)))]);
    if let Some(members) = detail.as_object_mut() {
        members.remove("healthStatus");
        for container in members["containers"].as_array_mut().into_iter().flatten() {
            if let Some(container) = container.as_object_mut() {
                container.remove("healthStatus");
            }
        }
    }
    detail
}

fn resources(cpu: u64, memory: u64, gpus: Vec<&str>) -> Value {
    let number = |name: &str, amount: u64| object!({ "name": name, "type": "INTEGER", "doubleValue": 0.0, "longValue": 0, "integerValue": amount });
    let set = |name: &str, items: Vec<&str>| {
        object!({ "name": name, "type": "STRINGSET", "doubleValue": 0.0, "longValue": 0, "integerValue": 0,
                  "stringSetValue": items })
    };
    Value::Array(vec![
        number("CPU", cpu),
        number("MEMORY", memory),
        set("PORTS", vec!["22", "2375", "2376", "51678", "51679"]),
        set("GPU", gpus),
    ])
}

/// One without a value has no such member.
pub(super) fn attribute((name, value): (&str, Option<&str>)) -> Value {
    match value {
        Some(value) => json!({ "name": name, "value": value }),
        None => json!({ "name": name }),
    }
}

/// The members that the API and the event share.
fn instance_core(instance: &Instance) -> Map<String, Value> {
    let all = instance.gpus.iter().map(|(id, _)| id.as_str()).collect();
    let free = instance
        .gpus
        .iter()
        .filter(|(_, task)| task.is_none())
        .map(|(id, _)| id.as_str())
        .collect();
    let core = object!({
        "agentConnected": instance.agent_connected,
        "attributes": instance.all_attributes().into_iter().map(attribute).collect::<Vec<_>>(),
        "containerInstanceArn": instance.arn.as_str(),
        "ec2InstanceId": instance.id.as_str(),
        "registeredResources": resources(instance.cpu, instance.memory, all),
        "remainingResources": resources(instance.cpu_free, instance.memory_free, free),
        "status": instance.status,
        "version": instance.version,
        "versionInfo": json!({
            "agentHash": "0b8a1b9c",
            "agentVersion": "1.99.0",
            "dockerVersion": "DockerVersion: 25.0.8",
        }),
    });
    match core {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// The ContainerInstance of the API
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerInstance.html>).
pub(super) fn instance(instance: &Instance, running: usize, pending: usize) -> Value {
    let mut members = instance_core(instance);
    members.insert("attachments".to_owned(), json!([]));
    members.insert("registeredAt".to_owned(), api_time(instance.registered_at));
    members.insert("runningTasksCount".to_owned(), running.into());
    members.insert("pendingTasksCount".to_owned(), pending.into());
    members.insert("tags".to_owned(), json!([]));
    Value::Object(members)
}

/// The `detail` of an `ECS Container Instance State Change`
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_container_instance_events.html>).
pub(super) fn instance_event(instance: &Instance, cluster_arn: &str, now: SystemTime) -> Value {
    let mut members = instance_core(instance);
    members.insert("clusterArn".to_owned(), cluster_arn.into());
    members.insert(
        "registeredAt".to_owned(),
        event_time(instance.registered_at),
    );
    members.insert("updatedAt".to_owned(), event_time(now));
    Value::Object(members)
}

/// The TaskDefinition of the API.
pub(super) fn task_definition(revision: &Revision) -> Value {
    let definition = &revision.definition;
    let containers: Vec<Value> = definition
        .containers
        .iter()
        .map(|c| {
            let environment: Vec<Value> = c
                .environment
                .iter()
                .map(|(name, value)| json!({ "name": name, "value": value }))
                .collect();
            let gpus = (c.gpus > 0)
                .then(|| json!({ "type": "GPU", "value": c.gpus.to_string() }))
                .into_iter()
                .collect::<Vec<_>>();
            let mut container = json!({
                "name": c.name, "image": c.image, "essential": c.essential, "cpu": c.cpu, "memory": c.memory,
                "stopTimeout": c.stop_timeout.as_secs(), "environment": environment, "resourceRequirements": gpus,
                "mountPoints": [], "portMappings": [], "volumesFrom": [],
            });
            if !c.log.is_null() {
                container["logConfiguration"] = c.log.clone();
            }
            container
        })
        .collect();
    json!({
        "taskDefinitionArn": revision.arn,
        "family": definition.family,
        "revision": revision.revision,
        "status": "ACTIVE",
        "networkMode": if definition.awsvpc { "awsvpc" } else { "host" },
        "compatibilities": if definition.awsvpc { json!(["EC2"]) } else { json!(["EXTERNAL", "EC2"]) },
        "containerDefinitions": containers,
        "volumes": [],
        "placementConstraints": [],
    })
}

/// `ecs:runTask.sync`: milliseconds since the epoch.
pub(super) fn sfn_time(time: SystemTime) -> Value {
    json!(crate::clock::epoch_millis(time))
}

/// The Task with its tags.
pub(super) fn with_tags(task_: &Task, cluster_arn: &str, time: Time) -> Value {
    let mut json = task(task_, cluster_arn, time);
    json["tags"] = if task_.launch.tags.is_array() {
        task_.launch.tags.clone()
    } else {
        json!([])
    };
    json
}
