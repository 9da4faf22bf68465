//! What a submission needs to know of its task definition, and instances for it.

use crate::output::counted;
use crate::{
    Failure,
    account::{Desk, refused},
};
use aws_sdk_ecs::types::{ContainerInstanceStatus, NetworkMode, Resource, ResourceType};
use std::collections::BTreeMap;
use workers::{
    aws::marks::pool_of,
    ids::{InstanceId, Pool},
    records::{InstanceRecord, InstanceStatus},
};

/// A task definition.
pub struct Definition {
    name: String,
    pub containers: Vec<String>,
    pub awsvpc: bool,
    /// GPUs of all containers.
    pub gpus: usize,
    /// Attributes that ECS requires of an instance for it.
    pub requires: Vec<String>,
    /// The volume, if there is one, that RunTask would have to configure.
    pub volume_at_launch: Option<String>,
}

impl Definition {
    /// The container that trains.
    ///
    /// # Errors
    /// When it is not there, or there are several and none is named.
    pub fn container(&self, named: Option<&str>) -> Result<String, Failure> {
        let all = self.containers.join(", ");
        match (named, self.containers.as_slice()) {
            (Some(name), all) if all.iter().any(|known| known == name) => Ok(name.to_owned()),
            (Some(name), _) => Err(Failure::BadInput(format!(
                "{} has no container {name}; it has {all}",
                self.name
            ))),
            (None, [one]) => Ok(one.clone()),
            (None, _) => Err(Failure::BadInput(format!(
                "{} has several containers; give --container, one of {all}",
                self.name
            ))),
        }
    }
}

/// Reads a task definition.
///
/// # Errors
/// When ECS does not know it.
pub async fn definition(desk: &Desk, name: &str) -> Result<Definition, Failure> {
    let answer = desk
        .ecs
        .describe_task_definition()
        .task_definition(name)
        .send()
        .await;
    let answer = answer.map_err(|error| {
        let code = workers::error::code_of(&error);
        if matches!(code.as_str(), "ClientException" | "InvalidParameterException") {
            Failure::BadInput(format!(
                "ECS does not know the task definition {name}; check the name, the region and the account"
            ))
        } else {
            refused("ecs:DescribeTaskDefinition", name)(error)
        }
    })?;
    let described = answer
        .task_definition
        .unwrap_or_else(|| aws_sdk_ecs::types::TaskDefinition::builder().build());
    let containers = described.container_definitions();
    let gpus = containers
        .iter()
        .flat_map(|container| container.resource_requirements())
        .filter(|requirement| *requirement.r#type() == ResourceType::Gpu)
        .filter_map(|requirement| requirement.value().parse::<usize>().ok())
        .sum();
    Ok(Definition {
        name: name.to_owned(),
        containers: containers
            .iter()
            .filter_map(|container| container.name().map(str::to_owned))
            .collect(),
        awsvpc: described.network_mode() == Some(&NetworkMode::Awsvpc),
        gpus,
        requires: described
            .requires_attributes()
            .iter()
            .map(|attribute| attribute.name().to_owned())
            .collect(),
        volume_at_launch: described
            .volumes()
            .iter()
            .find(|volume| volume.configured_at_launch() == Some(true))
            .and_then(|volume| volume.name().map(str::to_owned)),
    })
}

/// So many instances that are free, by their ids.
///
/// # Errors
/// When there are not so many.
pub async fn instances(
    desk: &Desk,
    nodes: usize,
    needed: usize,
) -> Result<Vec<InstanceId>, Failure> {
    let context = &desk.context;
    let cluster = &context.settings.cluster;
    let active = Some(ContainerInstanceStatus::Active);
    let described = desk.container_instances(active).await?;
    let mut fitting: Vec<InstanceId> = described
        .values()
        .filter(|instance| {
            instance.agent_connected()
                && pool_of(instance).is_none()
                && gpus(instance.remaining_resources()) >= needed
        })
        .filter_map(|instance| instance.ec2_instance_id().map(InstanceId::new))
        .collect();
    fitting.sort_unstable();
    let found = fitting.len();
    let mut picked = Vec::with_capacity(nodes);
    for id in fitting {
        if picked.len() == nodes {
            break;
        }
        let record = context.instances.get(&id).await?;
        if record.as_ref().is_none_or(is_free) {
            picked.push(id);
        }
    }
    if picked.len() < nodes {
        let spares = described.values().filter(|i| pool_of(i).is_some()).count();
        let spares = match spares {
            0 => String::new(),
            some => format!("{} left alone, ", counted(some as u64, "spare")),
        };
        return Err(Failure::Broken(format!(
            "{nodes} instances are asked for, {} are free: of {} ACTIVE ones in cluster {cluster}, {spares}{found} are connected \
             with {needed} GPUs free, and the records of the others say that they are in use; see gpu-recovery status",
            picked.len(),
            described.len()
        )));
    }
    Ok(picked)
}

/// Refuses instances that a job or a recovery has, or that are out of service, as their records say, and spares.
///
/// # Errors
/// Each of them, with why.
pub async fn refuse_taken(desk: &Desk, instances: &[InstanceId]) -> Result<(), Failure> {
    let mut taken = Vec::new();
    if instances.is_empty() {
        return Ok(());
    }
    let marked = desk.context.fleet.marked(None).await?;
    let spares = marked.values().filter_map(|instance| {
        let id = instance.ec2_instance_id().map(InstanceId::new)?;
        Some((id, pool_of(instance)?))
    });
    let spares: BTreeMap<InstanceId, Pool> = spares.collect();
    for id in instances {
        if let Some(pool) = spares.get(id) {
            taken.push(format!(
                "{id} is a spare of pool {pool} (gpu-recovery spare remove {id})"
            ));
            continue;
        }
        let Some(record) = desk.context.instances.get(id).await? else {
            continue;
        };
        if is_free(&record) {
            continue;
        }
        let job = match &record.job_id {
            Some(job) => format!(" for job {job}"),
            None => String::new(),
        };
        taken.push(format!("{id} is {}{job}", record.status));
    }
    if taken.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "the job was not started: {}; give others, or --nodes to have them chosen",
        taken.join(", ")
    )))
}

/// No job and no recovery has it, and it is in service.
pub fn is_free(record: &InstanceRecord) -> bool {
    record.status == InstanceStatus::Available && record.holder.is_none()
}

/// The GPUs among an instance's resources.
pub fn gpus(resources: &[Resource]) -> usize {
    let gpus = resources
        .iter()
        .find(|resource| resource.name() == Some("GPU"));
    gpus.map_or(0, |gpus| gpus.string_set_value().len())
}
