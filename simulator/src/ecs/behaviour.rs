//! What tasks, GPUs and hosts do: decided by the scenario.

use crate::duration;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// What a job's task does. Default: runs for ever and obeys SIGTERM.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    pub run: Run,
    pub on_sigterm: OnSigterm,
    /// The tasks of one gang notice when one of them dies; default: the tasks with the same `startedBy`.
    pub gang: Option<String>,
    /// What the other containers leave when the main one ends (143 obeys SIGTERM, 137 is killed, 0 ends by itself).
    pub sidecar_code: i32,
    /// Its image is pulled for so long before it is RUNNING, beside the time that every start takes.
    pub pulls_for: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            run: Run::Forever,
            on_sigterm: OnSigterm::default(),
            gang: None,
            sidecar_code: 143,
            pulls_for: Duration::ZERO,
        }
    }
}

impl Behaviour {
    /// Exits with this code after this time, counted from RUNNING.
    pub fn exits(after: Duration, code: i32) -> Self {
        Self {
            run: Run::Exits { after, code },
            ..Self::default()
        }
    }

    /// Exits with this code so long after another of its gang has died: what an NCCL abort looks like.
    pub fn aborts_with_gang(after: Duration, code: i32) -> Self {
        Self {
            run: Run::AbortsWithGang { after, code },
            ..Self::default()
        }
    }

    /// Never starts; the reason is the task's, such as `CannotPullContainerError: …`.
    pub fn not_started(reason: &str) -> Self {
        Self {
            run: Run::NotStarted {
                reason: reason.to_owned(),
            },
            ..Self::default()
        }
    }

    /// The same, but deaf to SIGTERM.
    pub fn hanging(self) -> Self {
        Self {
            on_sigterm: OnSigterm::Ignores,
            ..self
        }
    }
}

/// How a task's main container lives.
#[derive(Debug, Clone, PartialEq)]
pub enum Run {
    Forever,
    Exits {
        after: Duration,
        code: i32,
    },
    AbortsWithGang {
        after: Duration,
        code: i32,
    },
    /// Ends without an exit code, as a container does whose runtime has lost it.
    EndsWithoutCode {
        after: Duration,
    },
    /// Its Spot instance is taken away: ends with this code all the same.
    Interrupted {
        after: Duration,
        code: i32,
    },
    /// The kernel kills it for want of memory.
    OutOfMemory {
        after: Duration,
    },
    NotStarted {
        reason: String,
    },
}

/// What SIGTERM does to the main container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSigterm {
    /// Exits so long after the signal; killed (137) when that is past the stop time-out.
    Exits { after: Duration, code: i32 },
    /// Killed (137) at the stop time-out.
    Ignores,
    /// Not even SIGKILL ends it: it sleeps in the driver, and its task stays as it is until the host reboots
    /// (aws/amazon-ecs-agent#2808).
    Unkillable,
}

impl Default for OnSigterm {
    fn default() -> Self {
        Self::Exits {
            after: Duration::from_secs(2),
            code: 143,
        }
    }
}

/// What the scenario knows when it decides on a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskFacts {
    pub task_arn: String,
    pub family: String,
    pub instance_id: String,
    pub started_by: Option<String>,
    pub group: String,
    /// Of the main container: the definition's environment under the overrides'.
    pub environment: BTreeMap<String, String>,
    /// How many tasks of this family were started on this instance, this one included.
    pub starts_on_instance: u32,
    pub gpu_health: GpuHealth,
}

/// Decides what a job's task does, when its containers start.
pub type BehaviourOf = Arc<dyn Fn(&TaskFacts) -> Behaviour + Send + Sync>;

/// An instance's GPUs, as DCGM sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GpuHealth {
    /// The check ends with 0.
    #[default]
    Healthy,
    /// The check fails; a reboot fixes it.
    FaultUntilReboot,
    /// The check fails, after a reboot too.
    FaultForever,
    /// An error after which no reboot helps.
    Isolate,
    /// Only settings are wrong: 3, but from a bare dcgmi 226, as from any error.
    Misconfigured,
    /// The check ends with this code: 203 killed, 204 not found, ...
    #[serde(rename = "dcgm-exits")]
    DcgmCrashes(i32),
    /// The diagnosis never ends.
    DcgmHangs,
    /// The check's container is lost: it ends without a code.
    CheckCrashes,
    /// The same, the first time on this instance.
    CheckCrashesOnce,
    /// The check's image cannot be pulled.
    ImageUnavailable,
    /// No container that asks for a GPU starts: the check's has no exit code.
    NoExitCode,
    /// A GPU is gone for ECS too: the check cannot be placed (RESOURCE:GPU).
    CannotPlace,
}

/// What becomes of a host that is told to reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootOutcome {
    /// Back after a boot time of the settings' range.
    #[default]
    Returns,
    ReturnsAfter(#[serde(with = "duration")] Duration),
    NeverReturns,
    /// Agents stop, then the shutdown hangs. Only EC2's hard reboot helps, where it is an EC2 instance.
    HangsInShutdown,
    /// Host and SSM agent come back, the ECS agent does not.
    EcsAgentStaysAway,
    /// Host and ECS agent come back, the SSM agent does not.
    SsmAgentStaysAway,
}

/// What the probe finds on a node beside ECS's tasks. It decides no health check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The GPUs that nvidia-smi lists, by UUID.
    pub gpus: Vec<String>,
    /// Xids in the kernel's log, and when each was written; oldest first.
    pub kernel: Vec<(SystemTime, u32)>,
    /// The driver's recovery action, by NVML's number.
    pub action: Option<u8>,
    /// nvidia-smi does not end.
    pub smi_hangs: bool,
    /// Somebody's session has a GPU open.
    pub login: bool,
    /// A process of a container that is over has a GPU open.
    pub orphan: bool,
    /// That many GPUs are there after the next reboot.
    pub gpus_after_reboot: Option<usize>,
}

impl Host {
    /// No process outlives a boot, and the driver starts anew.
    pub(super) fn rebooted(&mut self) {
        self.action = None;
        self.smi_hangs = false;
        self.login = false;
        self.orphan = false;
        if let Some(left) = self.gpus_after_reboot.take() {
            self.gpus.truncate(left);
        }
    }
}

/// What Systems Manager knows of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SsmAgent {
    /// Takes commands while the host is up.
    #[default]
    Running,
    /// Registered, but takes no commands.
    Stopped,
    /// Unknown to Systems Manager.
    Unregistered,
}

/// Agents that come and go in normal life (ECS developer guide, ecs_container_instance_events: "several times an hour").
#[derive(Debug, Clone, PartialEq)]
pub struct Flaps {
    pub every: Range<Duration>,
    pub away: Range<Duration>,
}

impl Default for Flaps {
    fn default() -> Self {
        Self {
            every: seconds(600, 1800),
            away: seconds(5, 120),
        }
    }
}

/// How long things take, and what they are called. AWS publishes none of these times; they are what clusters of
/// p5.48xlarge show, as orders of magnitude.
#[derive(Debug, Clone)]
pub struct EcsSettings {
    /// The cluster's name.
    pub cluster: String,
    /// PROVISIONING: until the network interface is attached (awsvpc only).
    pub provisioning: Range<Duration>,
    /// PENDING: image pull and container start.
    pub starting: Range<Duration>,
    /// From StopTask to the agent's SIGTERM, and from a container's end to ECS's knowledge of it.
    pub agent_delay: Range<Duration>,
    /// DEPROVISIONING (awsvpc only).
    pub deprovisioning: Range<Duration>,
    /// From the reboot to the end of all processes.
    pub shutdown: Range<Duration>,
    /// From the end of all processes to the new kernel.
    pub boot: Range<Duration>,
    /// From the new kernel to the connected ECS agent.
    pub agent_start: Range<Duration>,
    /// From the new kernel to the connected SSM agent.
    pub ssm_start: Range<Duration>,
    /// EC2 hard-reboots an instance that has not shut down by then ("a few minutes":
    /// <https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-reboot.html>).
    pub hard_reboot_after: Duration,
    /// The exit code, if any, of a container that was running when its host rebooted.
    pub reboot_exit_code: Option<i32>,
    /// DCGM level 2.
    pub dcgm: Range<Duration>,
    /// The check is the stack's own (`infra/nodes/health-check.sh`): it ends by its contract, and a minute before this
    /// bound; `None` is a bare `dcgmi diag`.
    pub own_check: Option<Duration>,
    /// How long a stopped task can be described ("at least one hour": API_DescribeTasks).
    pub keep_stopped: Duration,
    pub flaps: Option<Flaps>,
    /// How long after RunTask a task is listed and described ("an eventual consistency model", API_RunTask).
    pub shown_after: Duration,
}

const fn seconds(from: u64, to: u64) -> Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

impl Default for EcsSettings {
    fn default() -> Self {
        Self {
            cluster: "gpu-training".to_owned(),
            provisioning: seconds(4, 9),
            starting: seconds(6, 25),
            agent_delay: Duration::from_millis(300)..Duration::from_millis(1500),
            deprovisioning: seconds(3, 10),
            shutdown: seconds(5, 20),
            boot: seconds(360, 600),
            agent_start: seconds(15, 60),
            ssm_start: seconds(10, 45),
            hard_reboot_after: Duration::from_secs(240),
            reboot_exit_code: Some(137),
            dcgm: seconds(110, 130),
            own_check: Some(Duration::from_secs(1800)),
            keep_stopped: Duration::from_secs(3600),
            flaps: None,
            shown_after: Duration::ZERO,
        }
    }
}
