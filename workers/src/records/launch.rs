//! What a relaunch needs of a task: kept on the rank's item in ECS's own shape.

use aws_sdk_ecs::types as ecs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// So long a rank's item is kept after its attempt: how it was started may hold secrets, as environment overrides do.
pub const KEPT_DAYS: i64 = 7;

/// How a rank's task was started, so that it can be started again the same way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LaunchSpec {
    pub task_definition: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// The task's own tags, and those propagated from its definition (`aws:` tags excluded: AWS sets those).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    pub enable_execute_command: bool,
    /// ECS tags the task with its cluster's name (enableECSManagedTags).
    #[serde(skip_serializing_if = "is_false")]
    pub managed_tags: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// `awsvpc` settings. ECS describes a task's subnet but not its security groups: the launcher records them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Network {
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    pub assign_public_ip: bool,
}

/// Set at every launch, in every container that ECS lists in a task's overrides.
pub const ATTEMPT_VARIABLE: &str = "GPU_RECOVERY_ATTEMPT";

/// A task's overrides (ECS API reference, TaskOverride).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Overrides {
    pub container_overrides: Vec<ContainerOverrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_role_arn: Option<String>,
}

/// One container's overrides (ECS API reference, ContainerOverride).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerOverrides {
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
    /// S3 ARNs of environment files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment_files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_reservation: Option<i32>,
    /// GPU and InferenceAccelerator counts by type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<(String, String)>,
}

impl LaunchSpec {
    /// Reads it from a task as DescribeTasks (include TAGS) gives it. `network` comes from the launcher's record.
    pub fn of(task: &ecs::Task, network: Option<Network>) -> Self {
        Self {
            task_definition: task.task_definition_arn().unwrap_or_default().to_owned(),
            overrides: task
                .overrides()
                .map(Overrides::of)
                .filter(|o| *o != Overrides::default()),
            tags: task
                .tags()
                .iter()
                .filter_map(|t| {
                    Some((
                        t.key()?.to_owned(),
                        t.value().unwrap_or_default().to_owned(),
                    ))
                })
                .filter(|(key, _)| !key.starts_with("aws:"))
                .collect(),
            // A task that names no group gets `family:…` from ECS, which RunTask would not take back as a service's.
            group: task
                .group()
                .filter(|g| !g.starts_with("family:") && !g.starts_with("service:"))
                .map(str::to_owned),
            network,
            enable_execute_command: task.enable_execute_command(),
            managed_tags: task
                .tags()
                .iter()
                .any(|tag| tag.key().is_some_and(|key| key.starts_with("aws:ecs:"))),
        }
    }

    /// The overrides in the SDK's types.
    pub fn ecs_overrides(&self) -> Option<ecs::TaskOverride> {
        self.overrides.as_ref().map(Overrides::to_ecs)
    }

    /// The tags in the SDK's types.
    pub fn ecs_tags(&self) -> Option<Vec<ecs::Tag>> {
        let tags: Vec<_> = self
            .tags
            .iter()
            .map(|(k, v)| ecs::Tag::builder().key(k).value(v).build())
            .collect();
        (!tags.is_empty()).then_some(tags)
    }

    /// The network configuration in the SDK's types.
    pub fn ecs_network(&self) -> Option<ecs::NetworkConfiguration> {
        let network = self.network.as_ref()?;
        let vpc = ecs::AwsVpcConfiguration::builder()
            .set_subnets(Some(network.subnets.clone()))
            .set_security_groups(Some(network.security_groups.clone()))
            .assign_public_ip(if network.assign_public_ip {
                ecs::AssignPublicIp::Enabled
            } else {
                ecs::AssignPublicIp::Disabled
            })
            .build()
            .ok()?;
        Some(
            ecs::NetworkConfiguration::builder()
                .awsvpc_configuration(vpc)
                .build(),
        )
    }
}

impl Overrides {
    fn of(o: &ecs::TaskOverride) -> Self {
        Self {
            container_overrides: o
                .container_overrides()
                .iter()
                // ECS lists every container, overridden or not: each is told its attempt.
                .map(ContainerOverrides::of)
                .collect(),
            cpu: o.cpu().map(str::to_owned),
            memory: o.memory().map(str::to_owned),
            task_role_arn: o.task_role_arn().map(str::to_owned),
            execution_role_arn: o.execution_role_arn().map(str::to_owned),
        }
    }

    fn to_ecs(&self) -> ecs::TaskOverride {
        ecs::TaskOverride::builder()
            .set_container_overrides(Some(
                self.container_overrides
                    .iter()
                    .map(ContainerOverrides::to_ecs)
                    .collect(),
            ))
            .set_cpu(self.cpu.clone())
            .set_memory(self.memory.clone())
            .set_task_role_arn(self.task_role_arn.clone())
            .set_execution_role_arn(self.execution_role_arn.clone())
            .build()
    }
}

impl ContainerOverrides {
    fn of(c: &ecs::ContainerOverride) -> Self {
        Self {
            name: c.name().unwrap_or_default().to_owned(),
            command: c.command().to_vec(),
            environment: c
                .environment()
                .iter()
                // Of one attempt, not of the next.
                .filter(|e| e.name() != Some(ATTEMPT_VARIABLE))
                .map(|e| {
                    (
                        e.name().unwrap_or_default().to_owned(),
                        e.value().unwrap_or_default().to_owned(),
                    )
                })
                .collect(),
            environment_files: c
                .environment_files()
                .iter()
                .map(|f| f.value().to_owned())
                .collect(),
            cpu: c.cpu(),
            memory: c.memory(),
            memory_reservation: c.memory_reservation(),
            resources: c
                .resource_requirements()
                .iter()
                .map(|r| (r.r#type().as_str().to_owned(), r.value().to_owned()))
                .collect(),
        }
    }

    fn to_ecs(&self) -> ecs::ContainerOverride {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
        ecs::ContainerOverride::builder()
            .name(&self.name)
            .set_command(list(&self.command))
            .set_environment(Some(
                self.environment
                    .iter()
                    .map(|(name, value)| {
                        ecs::KeyValuePair::builder().name(name).value(value).build()
                    })
                    .collect(),
            ))
            .set_environment_files(Some(
                self.environment_files
                    .iter()
                    .filter_map(|arn| {
                        ecs::EnvironmentFile::builder()
                            .r#type(ecs::EnvironmentFileType::S3)
                            .value(arn)
                            .build()
                            .ok()
                    })
                    .collect(),
            ))
            .set_cpu(self.cpu)
            .set_memory(self.memory)
            .set_memory_reservation(self.memory_reservation)
            .set_resource_requirements(Some(
                self.resources
                    .iter()
                    .filter_map(|(kind, value)| {
                        ecs::ResourceRequirement::builder()
                            .r#type(ecs::ResourceType::from(kind.as_str()))
                            .value(value)
                            .build()
                            .ok()
                    })
                    .collect(),
            ))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> LaunchSpec {
        LaunchSpec {
            task_definition: "arn:aws:ecs:us-east-1:123456789012:task-definition/train:7".into(),
            overrides: Some(Overrides {
                container_overrides: vec![ContainerOverrides {
                    name: "trainer".into(),
                    command: vec!["torchrun".into(), "train.py".into()],
                    environment: vec![("RANK".into(), "3".into()), ("EMPTY".into(), String::new())],
                    environment_files: vec!["arn:aws:s3:::bucket/env".into()],
                    cpu: Some(1024),
                    memory: Some(4096),
                    memory_reservation: Some(2048),
                    resources: vec![("GPU".into(), "8".into())],
                }],
                cpu: Some("4096".into()),
                memory: None,
                task_role_arn: Some("arn:aws:iam::123456789012:role/train".into()),
                execution_role_arn: None,
            }),
            tags: BTreeMap::from([("team".into(), "vision".into())]),
            group: Some("vision".into()),
            network: None,
            enable_execute_command: true,
            managed_tags: true,
        }
    }

    #[test]
    fn a_launch_survives_the_way_through_ecs_and_the_table() {
        let spec = spec();
        let task = ecs::Task::builder()
            .task_definition_arn(&spec.task_definition)
            .set_overrides(spec.ecs_overrides())
            .set_tags(spec.ecs_tags())
            .tags(
                ecs::Tag::builder()
                    .key("aws:ecs:clusterName")
                    .value("c")
                    .build(),
            )
            .group("vision")
            .enable_execute_command(true)
            .build();
        let read = LaunchSpec::of(&task, None);
        assert_eq!(read, spec);
        let item: crate::aws::dynamo::Item = serde_dynamo::to_item(&read).unwrap();
        let back: LaunchSpec = serde_dynamo::from_item(item).unwrap();
        assert_eq!(back, spec);
    }

    #[test]
    fn a_task_without_overrides_has_its_containers_named_and_nothing_overridden() {
        let task = ecs::Task::builder()
            .task_definition_arn("td")
            .group("family:train")
            .overrides(
                ecs::TaskOverride::builder()
                    .container_overrides(ecs::ContainerOverride::builder().name("trainer").build())
                    .build(),
            )
            .build();
        let spec = LaunchSpec::of(&task, None);
        let trainer = ContainerOverrides {
            name: "trainer".into(),
            ..ContainerOverrides::default()
        };
        assert_eq!(spec.overrides.unwrap().container_overrides, [trainer]);
        assert_eq!(spec.group, None);
    }
}
