//! The ECS API: which operation goes where, and what its operations share.

use super::{
    model::{Container, TaskDefinition, TaskKind},
    render,
    state::State,
};
use crate::{ACCOUNT, REGION, wire::ApiError};
use serde_json::{Value, json};
use std::time::Duration;

/// "The specified parameter isn't valid" (API reference, common to all operations).
pub(super) fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

pub(super) fn client(message: &str) -> ApiError {
    ApiError::new("ClientException", message)
}

/// An entry of `failures[]`.
pub(super) fn failure(arn: &str, reason: &str) -> Value {
    json!({ "arn": arn, "reason": reason })
}

pub(super) fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Value::as_str)
}

pub(super) fn strings(body: &Value, member: &str) -> Vec<String> {
    let list = body.get(member).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A page of a sorted list: at most `maxResults` (1 to 100, default 100) after `nextToken`.
pub(super) fn page(body: &Value, all: Vec<&String>, member: &str) -> Result<Value, ApiError> {
    let size = match body.get("maxResults").and_then(Value::as_u64) {
        None => 100,
        Some(n @ 1..=100) => n as usize,
        Some(_) => return Err(invalid("Invalid maxResults.")),
    };
    let after = text(body, "nextToken").unwrap_or_default();
    let mut rest = all.into_iter().filter(|arn| arn.as_str() > after);
    let page: Vec<&String> = rest.by_ref().take(size).collect();
    let mut answer = json!({ member: page });
    if rest.next().is_some() {
        answer["nextToken"] = json!(page.last());
    }
    Ok(answer)
}

impl State {
    /// # Errors
    /// ECS's own; `UnsupportedFeatureException` for an operation that is not simulated.
    pub fn api(&mut self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        match operation {
            "RegisterTaskDefinition" => return self.register_task_definition(body),
            "DescribeTaskDefinition" => return self.describe_task_definition(body),
            "DescribeClusters" => return self.describe_clusters(body),
            "DescribeCapacityProviders" => return self.describe_capacity_providers(body),
            _ => {}
        }
        let cluster = text(body, "cluster").unwrap_or("default");
        if cluster != self.settings.cluster && cluster != self.cluster_arn() {
            return Err(ApiError::new(
                "ClusterNotFoundException",
                "Cluster not found.",
            ));
        }
        match operation {
            "RunTask" => self.run_task(body),
            "StartTask" => self.start_task(body),
            "StopTask" => self.stop_task(body),
            "DescribeTasks" => self.describe_tasks(body),
            "ListTasks" => self.list_tasks(body),
            "DescribeContainerInstances" => self.describe_container_instances(body),
            "ListContainerInstances" => self.list_container_instances(body),
            "UpdateContainerInstancesState" => self.update_container_instances_state(body),
            "PutAttributes" => self.put_attributes(body),
            "DeleteAttributes" => self.delete_attributes(body),
            _ => Err(ApiError::new(
                "UnsupportedFeatureException",
                format!("ECS {operation} is not simulated"),
            )),
        }
    }

    fn describe_task_definition(&self, body: &Value) -> Result<Value, ApiError> {
        let name = text(body, "taskDefinition").unwrap_or_default();
        let revision = self
            .revision(name)
            .map_err(|_| client("Unable to describe task definition."))?;
        Ok(json!({ "taskDefinition": render::task_definition(&revision), "tags": [] }))
    }

    fn register_task_definition(&mut self, body: &Value) -> Result<Value, ApiError> {
        let family = text(body, "family").filter(|f| !f.is_empty());
        let family = family.ok_or_else(|| client("Family can not be blank."))?;
        let containers: Vec<Container> = body["containerDefinitions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(container)
            .collect();
        if !containers.iter().any(|c| c.essential) {
            return Err(client(
                "Task definition does not have any essential container.",
            ));
        }
        let definition = TaskDefinition {
            family: family.to_owned(),
            kind: TaskKind::Job,
            awsvpc: text(body, "networkMode") == Some("awsvpc"),
            containers,
        };
        let arn = self.define(definition);
        let revision = self.revision(&arn)?;
        Ok(json!({ "taskDefinition": render::task_definition(&revision), "tags": [] }))
    }

    /// Adds a revision; the answer is its ARN.
    pub fn define(&mut self, definition: TaskDefinition) -> String {
        let family = definition.family.clone();
        let revisions = self.families.entry(family.clone()).or_default();
        let revision = revisions.len() + 1;
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}");
        revisions.push(std::sync::Arc::new(super::model::Revision {
            arn: arn.clone(),
            revision,
            definition,
        }));
        arn
    }
}

fn container(json: &Value) -> Container {
    let default = Container::new(text(json, "name").unwrap_or_default());
    let environment = json["environment"].as_array().into_iter().flatten();
    let gpus = json["resourceRequirements"]
        .as_array()
        .into_iter()
        .flatten();
    Container {
        image: text(json, "image").unwrap_or_default().to_owned(),
        essential: json["essential"].as_bool().unwrap_or(true),
        gpus: gpus
            .filter(|r| text(r, "type") == Some("GPU"))
            .filter_map(|r| text(r, "value")?.parse::<usize>().ok())
            .sum(),
        cpu: json["cpu"].as_u64().unwrap_or(default.cpu),
        memory: json["memory"].as_u64().unwrap_or(default.memory),
        stop_timeout: json["stopTimeout"]
            .as_u64()
            .map_or(default.stop_timeout, Duration::from_secs),
        environment: environment
            .filter_map(|e| Some((text(e, "name")?.to_owned(), text(e, "value")?.to_owned())))
            .collect(),
        log: json["logConfiguration"].clone(),
        ..default
    }
}
