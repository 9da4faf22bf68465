//! RunTask and StartTask.

use super::{
    api::{client, failure, invalid, strings, text},
    behaviour::GpuHealth,
    expression::Expression,
    model::{Instance, LaunchParameters, Revision, launch_type},
    render,
    state::{State, Token},
};
use crate::{object::object, wire::ApiError};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Quotas of a call (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html>).
const MAX_COUNT: u64 = 10;
const MAX_STARTED_BY: usize = 128;
const MAX_TAGS: usize = 50;
const MAX_CLIENT_TOKEN: usize = 64;
const MAX_OVERRIDES: usize = 8192;

/// A client token is remembered for 24 hours, or for the life of its tasks plus an hour where that is less
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>).
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);
const TOKEN_LIFE_WITHOUT_TASKS: Duration = Duration::from_secs(3600);

/// <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/api_failures_messages.html>
const MEMBER_OF: &str = "MemberOf placement constraint unsatisfied.";

impl State {
    pub fn run_task(&mut self, body: &Value) -> Result<Value, ApiError> {
        let token = text(body, "clientToken");
        if let Some(token) = token {
            if token.len() > MAX_CLIENT_TOKEN || !token.bytes().all(|b| (33..=126).contains(&b)) {
                return Err(invalid("clientToken: up to 64 ASCII characters (33-126)."));
            }
            if let Some(answer) = self.repeated(token, body)? {
                return Ok(answer);
            }
        }
        let count = body["count"].as_u64().unwrap_or(1);
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(invalid("count must be between 1 and 10."));
        }
        let (revision, launch) = self.launch_parameters(body)?;
        let wanted = self.wanted_launch_type(body, &revision)?;
        let constraints = constraints(body)?;
        let mut arns = Vec::new();
        let mut failures = Vec::new();
        for _ in 0..count {
            match self.find_place(&constraints, wanted, &revision)? {
                Ok(id) => arns.push(self.place(&id, &revision, &launch)),
                Err(failure) => failures.push(failure),
            }
        }
        if let Some(token) = token {
            let answered = Token {
                request: body.clone(),
                tasks: arns.clone(),
                failures: failures.clone(),
                made: Instant::now(),
            };
            self.tokens.insert(token.to_owned(), answered);
        }
        Ok(self.launched(&arns, failures))
    }

    pub fn start_task(&mut self, body: &Value) -> Result<Value, ApiError> {
        let instances = strings(body, "containerInstances");
        if instances.is_empty() || instances.len() > 10 {
            return Err(invalid("Container instances: between 1 and 10."));
        }
        let (revision, launch) = self.launch_parameters(body)?;
        let mut arns = Vec::new();
        let mut failures = Vec::new();
        for given in &instances {
            let arn = self.instance_arn(given);
            let found = self.instance_ids.get(&arn).cloned();
            let reason = match found.as_ref().and_then(|id| self.instances.get(id)) {
                None => Some("MISSING"),
                Some(instance) if instance.status == "INACTIVE" => Some("INACTIVE"),
                Some(instance) => obstacle(instance, &revision),
            };
            match (reason, found) {
                (None, Some(id)) => arns.push(self.place(&id, &revision, &launch)),
                (reason, _) => failures.push(failure(&arn, reason.unwrap_or("MISSING"))),
            }
        }
        Ok(self.launched(&arns, failures))
    }

    fn launched(&self, arns: &[String], failures: Vec<Value>) -> Value {
        let cluster = self.cluster_arn();
        let tasks: Vec<Value> = arns
            .iter()
            .filter_map(|arn| self.tasks.get(arn))
            .map(|task| render::with_tags(task, &cluster, render::api_time))
            .collect();
        object!({ "tasks": tasks, "failures": failures })
    }

    /// The answer to a request that was made before, the failures too: a token that was answered 200 is spent, placed
    /// or not. Of a stopped task it tells ARN and statuses only. A token that served another request is a conflict
    /// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ECS_Idempotency.html>).
    fn repeated(&self, token: &str, body: &Value) -> Result<Option<Value>, ApiError> {
        let Some(known) = self.tokens.get(token).filter(|t| self.remembers(t)) else {
            return Ok(None);
        };
        if known.request != *body {
            return Err(ApiError::new(
                "ConflictException",
                "The provided clientToken is already in use with a different RunTask request.",
            )
            .with("resourceIds", json!(known.tasks)));
        }
        let mut answer = self.launched(&known.tasks, known.failures.clone());
        for task in answer["tasks"].as_array_mut().into_iter().flatten() {
            if task["lastStatus"] == "STOPPED"
                && let Some(members) = task.as_object_mut()
            {
                members.retain(|name, _| {
                    matches!(name.as_str(), "taskArn" | "lastStatus" | "desiredStatus")
                });
            }
        }
        Ok(Some(answer))
    }

    fn remembers(&self, token: &Token) -> bool {
        let age = token.made.elapsed();
        if token.tasks.is_empty() {
            age < TOKEN_LIFE_WITHOUT_TASKS
        } else {
            // A task is forgotten an hour after it has stopped.
            age < TOKEN_LIFE && token.tasks.iter().any(|arn| self.tasks.contains_key(arn))
        }
    }

    fn launch_parameters(
        &self,
        body: &Value,
    ) -> Result<(Arc<Revision>, LaunchParameters), ApiError> {
        for unsupported in ["capacityProviderStrategy", "volumeConfigurations"] {
            if body[unsupported]
                .as_array()
                .is_some_and(|list| !list.is_empty())
            {
                return Err(invalid(&format!("{unsupported} is not simulated.")));
            }
        }
        let name = text(body, "taskDefinition")
            .ok_or_else(|| client("TaskDefinition can not be blank."))?;
        let revision = self.revision(name)?;
        let started_by = text(body, "startedBy").map(str::to_owned);
        if started_by
            .as_ref()
            .is_some_and(|s| s.len() > MAX_STARTED_BY)
        {
            return Err(invalid("startedBy must be at most 128 characters long."));
        }
        if body["tags"]
            .as_array()
            .is_some_and(|tags| tags.len() > MAX_TAGS)
        {
            return Err(invalid("Tags can not be more than 50."));
        }
        check_overrides(&body["overrides"], &revision)?;
        let subnet = body["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0].as_str();
        match (revision.definition.awsvpc, subnet) {
            (true, None) => Err(invalid(
                "Network Configuration must be provided when networkMode 'awsvpc' is specified.",
            )),
            (false, Some(_)) => Err(invalid(
                "Network Configuration is not valid for the given networkMode of this task definition.",
            )),
            _ => Ok(()),
        }?;
        let launch = LaunchParameters {
            started_by,
            group: text(body, "group").map(str::to_owned),
            overrides: body["overrides"].clone(),
            tags: body["tags"].clone(),
            subnet: subnet.map(str::to_owned),
            execute_command: body["enableExecuteCommand"].as_bool().unwrap_or_default(),
        };
        Ok((revision, launch))
    }

    /// A revision by family, `family:revision` or ARN.
    pub fn revision(&self, name: &str) -> Result<Arc<Revision>, ApiError> {
        let short = name.rsplit('/').next().unwrap_or(name);
        let (family, number) = match short.split_once(':') {
            Some((family, number)) => (family, number.parse::<usize>().ok()),
            None => (short, None),
        };
        let revisions = self.families.get(family);
        let found = match number {
            None if !short.contains(':') => revisions.and_then(|all| all.last()),
            None => None,
            Some(number) => revisions.and_then(|all| all.iter().find(|r| r.revision == number)),
        };
        found
            .cloned()
            .ok_or_else(|| client("TaskDefinition not found."))
    }

    fn wanted_launch_type(
        &self,
        body: &Value,
        revision: &Revision,
    ) -> Result<&'static str, ApiError> {
        match text(body, "launchType").unwrap_or("EC2") {
            "EC2" => Ok("EC2"),
            // awsvpc is not for ECS Anywhere (developer guide, ecs-anywhere).
            "EXTERNAL" if !revision.definition.awsvpc => Ok("EXTERNAL"),
            other => Err(invalid(&format!(
                "Task definition does not support launch_type {other}."
            ))),
        }
    }

    /// An instance with room, or the failure that ECS reports for the closest one. ACTIVE instances only: DRAINING
    /// takes no new task (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-draining.html>).
    fn find_place(
        &self,
        constraints: &[Expression],
        wanted: &str,
        revision: &Revision,
    ) -> Result<Result<String, Value>, ApiError> {
        let pinned = constraints.iter().find_map(Expression::pinned);
        let candidates: Vec<&Instance> = match pinned {
            Some(id) => self.instances.get(id).into_iter().collect(),
            None => self.instances.values().collect(),
        };
        let mut closest = None;
        for instance in candidates.iter().filter(|i| i.status == "ACTIVE") {
            let fits = launch_type(&instance.id) == wanted
                && constraints.iter().all(|c| c.matches(instance));
            let reason = if fits {
                obstacle(instance, revision)
            } else {
                Some(MEMBER_OF)
            };
            match reason {
                None => return Ok(Ok(instance.id.clone())),
                Some(reason) => {
                    // A lack of room says more than a constraint that does not match.
                    if closest.is_none_or(|(_, known)| known == MEMBER_OF) {
                        closest = Some((instance.arn.as_str(), reason));
                    }
                }
            }
        }
        if let Some((arn, reason)) = closest {
            return Ok(Err(failure(arn, reason)));
        }
        match self.instances.values().find(|i| i.status == "ACTIVE") {
            Some(other) => Ok(Err(failure(&other.arn, MEMBER_OF))),
            None => Err(invalid(
                "No Container Instances were found in your cluster.",
            )),
        }
    }
}

/// Why the instance cannot take the task, in ECS's words.
fn obstacle(instance: &Instance, revision: &Revision) -> Option<&'static str> {
    let containers = &revision.definition.containers;
    let gpus: usize = containers.iter().map(|c| c.gpus).sum();
    if !instance.agent_connected {
        Some("AGENT")
    } else if gpus > instance.gpus_free()
        || (gpus > 0 && instance.gpu_health == GpuHealth::CannotPlace)
    {
        Some("RESOURCE:GPU")
    } else if containers.iter().map(|c| c.cpu).sum::<u64>() > instance.cpu_free {
        Some("RESOURCE:CPU")
    } else if containers.iter().map(|c| c.memory).sum::<u64>() > instance.memory_free {
        Some("RESOURCE:MEMORY")
    } else {
        None
    }
}

fn constraints(body: &Value) -> Result<Vec<Expression>, ApiError> {
    body["placementConstraints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|constraint| match text(constraint, "type") {
            Some("memberOf") => {
                let expression = text(constraint, "expression").unwrap_or_default();
                Expression::parse(expression)
                    .map_err(|why| invalid(&format!("Invalid expression {expression}: {why}.")))
            }
            other => Err(invalid(&format!(
                "placement constraint {} is not simulated.",
                other.unwrap_or("(none)")
            ))),
        })
        .collect()
}

fn check_overrides(overrides: &Value, revision: &Revision) -> Result<(), ApiError> {
    let Some(given) = overrides["containerOverrides"].as_array() else {
        return Ok(());
    };
    for name in given.iter().filter_map(|o| o["name"].as_str()) {
        let known = revision
            .definition
            .containers
            .iter()
            .any(|c| c.name == name);
        if !known {
            return Err(invalid(&format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
    }
    if overrides.to_string().len() > MAX_OVERRIDES {
        return Err(invalid("Container Overrides length must be at most 8192"));
    }
    Ok(())
}
