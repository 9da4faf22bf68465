//! Instances as a scenario gives and sees them.

use super::{
    behaviour::{GpuHealth, Host, SsmAgent},
    model::{Instance, Power, Process},
    state::State,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::SystemTime,
};

/// A new container instance: p5.48xlarge by default.
#[derive(Debug, Clone, PartialEq)]
pub struct NewInstance {
    /// `i-…`, or `mi-…` for ECS Anywhere.
    pub id: String,
    pub instance_type: String,
    /// Availability zone.
    pub zone: String,
    pub gpus: usize,
    /// CPU units.
    pub cpu: u64,
    /// MiB.
    pub memory: u64,
}

impl NewInstance {
    /// A p5.48xlarge: 8 GPUs, 192 vCPU, 2 TiB.
    pub fn p5(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            instance_type: "p5.48xlarge".to_owned(),
            zone: "us-east-1a".to_owned(),
            gpus: 8,
            cpu: 192 * 1024,
            memory: 2_000_000,
        }
    }
}

/// What can be seen of an instance and its host.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    pub id: String,
    pub arn: String,
    /// ACTIVE, DRAINING, INACTIVE.
    pub status: String,
    pub agent_connected: bool,
    /// What PutAttributes has added.
    pub attributes: BTreeMap<String, Option<String>>,
    pub gpu_health: GpuHealth,
    pub host: Host,
    /// The host runs: neither shutting down, nor off, nor booting.
    pub up: bool,
    pub boot_id: String,
    pub booted_at: SystemTime,
    pub reboots: u32,
    /// `None`: Systems Manager does not know the node. `Some(true)`: its agent takes commands now.
    pub ssm_online: Option<bool>,
    /// Tasks that are not STOPPED.
    pub tasks: BTreeSet<String>,
    /// How many GPUs processes really use now, whatever ECS knows.
    pub gpus_in_use: usize,
}

pub(super) fn view(state: &State, instance: &Instance) -> InstanceView {
    let holders = instance.gpus.iter().filter_map(|(_, task)| task.as_ref());
    let busy = holders.filter_map(|arn| state.tasks.get(arn));
    InstanceView {
        id: instance.id.clone(),
        arn: instance.arn.clone(),
        status: instance.status.to_owned(),
        agent_connected: instance.agent_connected,
        attributes: instance.attributes.clone(),
        gpu_health: instance.gpu_health,
        host: instance.host.clone(),
        up: instance.power == Power::Up,
        boot_id: instance.boot_id.clone(),
        booted_at: instance.booted_at,
        reboots: instance.reboots,
        ssm_online: (instance.ssm != SsmAgent::Unregistered).then_some(
            instance.ssm_up && instance.ssm == SsmAgent::Running && instance.power == Power::Up,
        ),
        tasks: instance.tasks.clone(),
        gpus_in_use: busy
            .filter(|task| matches!(task.process, Process::Running(_)))
            .count(),
    }
}
