//! What can be made to happen, by name: everything that a scenario can do.

pub mod words;

use clap::Subcommand;
use serde::{Deserialize, Serialize};
use simulator::ecs::{GpuHealth, RebootOutcome, SsmAgent};
use std::time::Duration;

/// A node: its number, from 0, or its instance id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Node {
    Number(u32),
    Id(String),
}

/// Something that happens at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Subcommand)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deed {
    /// A node's GPU goes bad, and the rank on it ends with exit code 1.
    BreakGpu {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
        /// What the health check finds from now on: fault-until-reboot, fault-forever, isolate, dcgm-hangs, dcgm-exits=CODE,
        /// no-exit-code, cannot-place (docs/scenarios.md).
        #[arg(long, value_name = "KIND", default_value = "fault-until-reboot", value_parser = gpu)]
        gpu: GpuHealth,
        /// The rank runs on.
        #[arg(long)]
        #[serde(default)]
        quietly: bool,
    },
    /// A node's GPUs are well again.
    FixGpu {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// A node's kernel logs an Xid now; the job does not end of it.
    Xid {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
        /// NVIDIA's number: 79, 94, ... (infra/nodes/xids.csv)
        xid: u32,
    },
    /// A rank's process ends by itself.
    EndRank {
        rank: u32,
        /// Its exit code.
        #[arg(
            long,
            value_name = "CODE",
            default_value_t = 1,
            allow_negative_numbers = true
        )]
        code: i32,
        /// Its container is lost, without an exit code.
        #[arg(long, conflicts_with = "code")]
        #[serde(default)]
        without_code: bool,
        /// The job.
        #[arg(long, value_name = "ID", default_value = simulator::scenario::JOB)]
        job: String,
    },
    /// Every rank ends with exit code 0: the job is complete.
    EndJob {
        /// The job.
        #[arg(long, value_name = "ID", default_value = simulator::scenario::JOB)]
        job: String,
    },
    /// A rank hangs: it is deaf to SIGTERM from now on, and is killed at the stop time-out.
    HangRank {
        rank: u32,
        /// The job.
        #[arg(long, value_name = "ID", default_value = simulator::scenario::JOB)]
        job: String,
    },
    /// A rank's next tasks do not start.
    RefuseStart {
        rank: u32,
        /// Why, as ECS says it.
        #[arg(
            default_value = "CannotPullContainerError: pull image manifest has been retried 7 time(s)"
        )]
        reason: String,
        /// So many of them.
        #[arg(long, value_name = "N", default_value_t = 1)]
        times: u32,
    },
    /// An operator stops a rank's task.
    StopTask {
        rank: u32,
        /// The reason that is given to StopTask.
        #[arg(long, value_name = "TEXT", default_value = "Task stopped by user")]
        reason: String,
        /// The job.
        #[arg(long, value_name = "ID", default_value = simulator::scenario::JOB)]
        job: String,
    },
    /// An operator sets a node DRAINING.
    Cordon {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// A node's ECS agent loses its connection.
    DetachAgent {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
        /// So long, such as 90s or 10m; for good when left out.
        #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
        #[serde(default, rename = "for")]
        how_long: Option<Duration>,
    },
    /// A node's ECS agent connects.
    AttachAgent {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// A node reboots, as by `reboot` in its shell.
    Reboot {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// What becomes of a node's next reboots.
    Reboots {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
        /// returns, returns-after=DURATION, never-returns, hangs-in-shutdown, ecs-agent-stays-away, ssm-agent-stays-away.
        #[arg(value_parser = reboot)]
        outcome: RebootOutcome,
    },
    /// A node's SSM agent runs, is stopped, or is not registered.
    Ssm {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
        /// running, stopped, unregistered.
        #[arg(value_parser = ssm)]
        agent: SsmAgent,
    },
    /// A node is deregistered from the cluster by force.
    Deregister {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// A task that belongs to no recorded job starts on a node.
    Share {
        /// Number of the node, from 0, or its instance id.
        #[arg(value_parser = node)]
        node: Node,
    },
    /// Others in the account leave less of an API's rate.
    Throttle {
        /// As in IAM actions: ecs, ec2, states.
        service: String,
        /// RunTask, DescribeTasks, ...; actions of one group share their rate.
        action: String,
        /// Calls at once.
        #[arg(long, value_name = "CALLS", default_value_t = 1.0)]
        burst: f64,
        /// Calls a second.
        #[arg(long, value_name = "CALLS", default_value_t = 0.2)]
        per_second: f64,
    },
    /// How events travel from now on; on time, once and in order without options.
    Events {
        /// How likely an event comes twice, 0 to 1.
        #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
        #[serde(default)]
        duplicates: f64,
        /// How likely an event is late, 0 to 1.
        #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
        #[serde(default)]
        late: f64,
        /// By so much at the most.
        #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = humantime::parse_duration)]
        late_by: Duration,
        /// How likely an event of ECS or Systems Manager is lost, 0 to 1.
        #[arg(long, value_name = "CHANCE", default_value_t = 0.0)]
        #[serde(default)]
        lost: f64,
        /// Later events may overtake earlier ones.
        #[arg(long)]
        #[serde(default)]
        out_of_order: bool,
    },
    /// Every stop event that is remembered comes once more.
    RepeatStopEvents,
    /// An operator stops the running executions in the console.
    AbortExecution,
    /// An operator redrives the executions that did not succeed.
    RedriveExecution,
}

/// Reads a node.
fn node(text: &str) -> Result<Node, String> {
    match text.parse() {
        Ok(number) => Ok(Node::Number(number)),
        Err(_) if text.starts_with("i-") || text.starts_with("mi-") => {
            Ok(Node::Id(text.to_owned()))
        }
        Err(_) => Err("a node is a number, from 0, or an instance id".to_owned()),
    }
}

/// A word of a scenario file, or `word=value`.
fn word<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    let read = match text.split_once('=') {
        None => serde_json::from_value(text.into()),
        Some((word, value)) => {
            let value = value
                .parse::<i64>()
                .map_or_else(|_| value.into(), serde_json::Value::from);
            serde_json::from_value(serde_json::json!({ word: value }))
        }
    };
    read.map_err(|error| error.to_string())
}

fn gpu(text: &str) -> Result<GpuHealth, String> {
    word(text)
}

fn reboot(text: &str) -> Result<RebootOutcome, String> {
    word(text)
}

fn ssm(text: &str) -> Result<SsmAgent, String> {
    word(text)
}
