//! What the fleet consists of.

use super::behaviour::{Behaviour, GpuHealth, Host, RebootOutcome, SsmAgent};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// Who decides what a task of the definition does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// The scenario's behaviour.
    Job,
    /// DCGM: the instance's [`GpuHealth`].
    GpuCheck,
    /// Runs on every instance, for ever, started again when it is gone.
    Daemon,
}

/// One container of a task definition. The first essential one is the task's main container.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    pub name: String,
    pub image: String,
    pub essential: bool,
    pub gpus: usize,
    /// CPU units, 1,024 to a vCPU.
    pub cpu: u64,
    /// MiB.
    pub memory: u64,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    pub environment: BTreeMap<String, String>,
    /// As ECS takes and describes it (API reference, LogConfiguration); null when it has none.
    pub log: Value,
}

impl Container {
    /// An essential container without GPUs that takes little.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            image: format!("registry.example.com/{name}:latest"),
            essential: true,
            gpus: 0,
            cpu: 256,
            memory: 512,
            stop_timeout: Duration::from_secs(30),
            environment: BTreeMap::new(),
            log: json!({ "logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{name}"),
                "awslogs-region": crate::REGION,
                "awslogs-stream-prefix": name,
            } }),
        }
    }

    /// The same with GPUs.
    pub fn with_gpus(self, gpus: usize) -> Self {
        Self { gpus, ..self }
    }
}

/// A task definition, before it has a revision.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskDefinition {
    pub family: String,
    pub kind: TaskKind,
    /// One network interface per task; the task then goes through PROVISIONING and DEPROVISIONING.
    pub awsvpc: bool,
    pub containers: Vec<Container>,
}

impl TaskDefinition {
    /// A definition with one container of the family's name.
    pub fn new(family: &str, kind: TaskKind, gpus: usize) -> Self {
        Self {
            family: family.to_owned(),
            kind,
            awsvpc: false,
            containers: vec![Container::new(family).with_gpus(gpus)],
        }
    }

    pub(super) fn main_container(&self) -> usize {
        self.containers
            .iter()
            .position(|c| c.essential)
            .unwrap_or_default()
    }
}

#[derive(Debug)]
pub(super) struct Revision {
    pub arn: String,
    pub revision: usize,
    pub definition: TaskDefinition,
}

/// `EC2` for `i-…`, `EXTERNAL` (ECS Anywhere) for `mi-…`.
pub(super) fn launch_type(instance_id: &str) -> &'static str {
    if instance_id.starts_with("mi-") {
        "EXTERNAL"
    } else {
        "EC2"
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Power {
    Up,
    ShuttingDown,
    /// The shutdown hangs: agents are gone, the kernel is not.
    Hung,
    Down,
}

#[derive(Debug)]
pub(super) struct Instance {
    pub id: String,
    pub arn: String,
    pub instance_type: String,
    /// Availability zone.
    pub zone: String,
    /// What PutAttributes has added.
    pub attributes: BTreeMap<String, Option<String>>,
    pub status: &'static str,
    pub agent_connected: bool,
    pub registered_at: SystemTime,
    pub version: u64,
    pub cpu: u64,
    pub cpu_free: u64,
    pub memory: u64,
    pub memory_free: u64,
    /// GPU id, and the task that holds it.
    pub gpus: Vec<(String, Option<String>)>,
    /// Tasks that are not STOPPED.
    pub tasks: BTreeSet<String>,
    /// How many tasks of a family were started here.
    pub starts: BTreeMap<String, u32>,
    pub daemons: Vec<String>,
    pub gpu_health: GpuHealth,
    pub reboot_outcome: RebootOutcome,
    pub host: Host,
    pub power: Power,
    pub boot_id: String,
    pub booted_at: SystemTime,
    pub reboots: u32,
    pub ssm: SsmAgent,
    /// The SSM agent has said hello since the last boot.
    pub ssm_up: bool,
    /// Which (re)connection of the agent is the latest planned one.
    pub agent_plan: u64,
}

impl Instance {
    /// Its attributes, ECS's own first. A host outside of EC2 has neither instance type nor zone.
    pub fn all_attributes(&self) -> Vec<(&str, Option<&str>)> {
        let of_ec2 = [
            ("ecs.instance-type", Some(self.instance_type.as_str())),
            ("ecs.availability-zone", Some(self.zone.as_str())),
        ];
        let own = [
            ("ecs.os-type", Some("linux")),
            ("ecs.capability.task-eni", None),
        ];
        let of_ec2 = of_ec2
            .into_iter()
            .filter(|_| launch_type(&self.id) == "EC2");
        let custom = self.attributes.iter();
        let custom = custom.map(|(name, value)| (name.as_str(), value.as_deref()));
        of_ec2.chain(own).chain(custom).collect()
    }

    pub fn gpus_free(&self) -> usize {
        self.gpus.iter().filter(|(_, task)| task.is_none()).count()
    }
}

/// What the task's processes really do, which ECS learns only through the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Not started; the agent starts it at this time.
    Waiting(Option<Instant>),
    /// Running, and ending by itself or by a signal at this time with this code.
    Running(Option<(Instant, Option<i32>)>),
    /// Ended, with the main container's exit code.
    Ended(Option<i32>),
}

#[derive(Debug)]
pub(super) struct ContainerRun {
    pub arn: String,
    pub runtime_id: String,
    pub last_status: &'static str,
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    pub gpu_ids: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Times {
    pub created: Option<SystemTime>,
    pub pull_started: Option<SystemTime>,
    pub pull_stopped: Option<SystemTime>,
    pub started: Option<SystemTime>,
    pub stopping: Option<SystemTime>,
    pub execution_stopped: Option<SystemTime>,
    pub stopped: Option<SystemTime>,
}

/// What RunTask and StartTask give to a task.
#[derive(Debug, Clone, Default)]
pub(super) struct LaunchParameters {
    pub started_by: Option<String>,
    pub group: Option<String>,
    pub overrides: Value,
    pub tags: Value,
    pub subnet: Option<String>,
    pub execute_command: bool,
}

#[derive(Debug)]
pub(super) struct Task {
    pub arn: String,
    pub revision: Arc<Revision>,
    pub instance_id: String,
    pub instance_arn: String,
    pub launch: LaunchParameters,
    pub group: String,
    pub attachment_id: String,
    pub last_status: &'static str,
    pub desired_status: &'static str,
    pub process: Process,
    pub behaviour: Behaviour,
    /// The gang whose death this task watches or announces.
    pub gang: Option<String>,
    /// The agent has got the order to stop.
    pub stop_delivered: bool,
    pub containers: Vec<ContainerRun>,
    pub times: Times,
    pub stop_code: Option<&'static str>,
    pub stopped_reason: Option<String>,
    pub version: u64,
}

impl Task {
    pub fn is_stopped(&self) -> bool {
        self.last_status == "STOPPED"
    }

    pub fn awsvpc(&self) -> bool {
        self.revision.definition.awsvpc
    }
}
