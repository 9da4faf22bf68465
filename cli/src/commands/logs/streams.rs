//! The log streams of a task, by its definition's awslogs options.

use crate::{
    Failure,
    account::{Desk, refused},
};
use aws_sdk_ecs::types::{ContainerDefinition, LogDriver, Task};
use schemars::JsonSchema;
use serde::Serialize;
use workers::{decisions::console, ids::TaskArn};

/// A log stream, and what reads it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    container: String,
    region: String,
    pub group: String,
    pub stream: String,
    /// Reads it, with any version of the AWS CLI.
    pub command: String,
    /// Follows it: version 2 only.
    pub follow: String,
    /// The stream in the console.
    pub console: String,
}

/// Those of a task's containers, or of one, and in words where the others log.
///
/// # Errors
/// When ECS does not know the task's definition, or it has no such container.
pub async fn streams(
    desk: &Desk,
    task: &TaskArn,
    recorded_definition: Option<&str>,
    only: Option<&str>,
) -> Result<(Vec<Stream>, Vec<String>), Failure> {
    let described = desk.context.fleet.tasks(std::slice::from_ref(task)).await?;
    let described = described.get(task);
    // A family stands for its newest revision; while ECS shows the task, it names its own.
    let definition = described
        .and_then(Task::task_definition_arn)
        .or(recorded_definition);
    let Some(definition) = definition else {
        return Err(Failure::Broken(format!(
            "ECS does not show {task} any more (it does for an hour), and its task definition is not recorded"
        )));
    };
    let answer = desk
        .ecs
        .describe_task_definition()
        .task_definition(definition)
        .send()
        .await
        .map_err(refused("ecs:DescribeTaskDefinition", definition))?;
    let containers = answer
        .task_definition
        .and_then(|definition| definition.container_definitions)
        .unwrap_or_default();
    let mut found = (Vec::new(), Vec::new());
    let name = |container: &ContainerDefinition| container.name().unwrap_or_default().to_owned();
    for container in &containers {
        let name = name(container);
        if only.is_some_and(|only| only != name) {
            continue;
        }
        match stream(container, &name, task, described) {
            Ok(stream) => found.0.push(stream),
            Err(elsewhere) => found.1.push(elsewhere),
        }
    }
    if found.0.is_empty() && found.1.is_empty() {
        let all: Vec<String> = containers.iter().map(name).collect();
        return Err(Failure::BadInput(format!(
            "{definition} has no such container; it has {}",
            all.join(", ")
        )));
    }
    Ok(found)
}

/// The container's stream, or where else it logs.
fn stream(
    container: &ContainerDefinition,
    name: &str,
    task: &TaskArn,
    described: Option<&Task>,
) -> Result<Stream, String> {
    let Some(log) = container.log_configuration() else {
        return Err(format!(
            "container {name} has no logConfiguration: its log is on the instance, with the driver of its container runtime"
        ));
    };
    if *log.log_driver() != LogDriver::Awslogs {
        let driver = log.log_driver().as_str();
        return Err(format!(
            "container {name} logs by the driver {driver}, not to CloudWatch"
        ));
    }
    let option = |key: &str| log.options().and_then(|all| all.get(key)).cloned();
    let (arn, id) = (parts(task), task.as_str().rsplit('/').next());
    let id = id.unwrap_or_default();
    let region = option("awslogs-region").unwrap_or_else(|| arn.1.to_owned());
    let group = option("awslogs-group").unwrap_or_default();
    // "prefix-name/container-name/ecs-task-id"; without a prefix "the log stream is named after the container ID" (ECS
    // developer guide, using_awslogs; API reference, LogConfiguration).
    let stream = match option("awslogs-stream-prefix") {
        Some(prefix) => format!("{prefix}/{name}/{id}"),
        None => runtime_id(described, name).ok_or_else(|| {
            format!(
                "container {name} logs to group {group} without awslogs-stream-prefix: its stream is named after the \
                 container's id, which ECS does not show any more"
            )
        })?,
    };
    let (g, s) = (quoted(&group), quoted(&stream));
    Ok(Stream {
        container: name.to_owned(),
        command: format!(
            "aws logs get-log-events --region {region} --log-group-name {g} --log-stream-name {s} --start-from-head \
             --query 'events[].[message]' --output text"
        ),
        follow: format!(
            "aws logs tail {g} --region {region} --log-stream-names {s} --since 1d --follow"
        ),
        console: console::log_stream_link(arn.0, &region, &group, &stream),
        region,
        group,
        stream,
    })
}

/// Partition and region of a task.
fn parts(task: &TaskArn) -> (&str, &str) {
    let mut parts = task.as_str().split(':').skip(1);
    let partition = parts.next().unwrap_or("aws");
    (partition, parts.nth(1).unwrap_or_default())
}

fn runtime_id(task: Option<&Task>, container: &str) -> Option<String> {
    let containers = task?.containers().iter();
    let mut named = containers.filter(|c| c.name() == Some(container));
    named.next()?.runtime_id().map(str::to_owned)
}

/// For a shell: as it is where it can be.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_.-:@%+=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
