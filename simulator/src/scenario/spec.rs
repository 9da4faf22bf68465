//! What a scenario file may say.

use crate::{
    duration,
    ecs::{Behaviour, GpuHealth, OnSigterm, RebootOutcome, Run, SsmAgent},
    eventbridge,
    plan::Master,
    ssm::Fate,
    throttle::Limit,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use workers::records::JobStatus;

/// A scenario. Ranks and nodes are counted from 0; rank 3 runs on node 3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// One line.
    pub about: String,
    /// Ranks of the job, one a node.
    #[serde(default = "eight")]
    pub nodes: u32,
    /// Nodes that stand by as spares of the pool `default`: numbered after the job's.
    #[serde(default, skip_serializing_if = "is_default")]
    pub spares: u32,
    /// Another job of one rank, on a node of its own after the spares, loses its GPU after so long: Xid 79, until a reboot. It
    /// wants a spare of the same pool.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "duration::optional"
    )]
    pub rival_fails: Option<Duration>,
    /// ECS Anywhere nodes (`mi-…`) instead of EC2 instances.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hybrid: bool,
    /// Settings of the system by their environment names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// A log router without GPUs runs beside each trainer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sidecar: bool,
    /// How the ranks know where rank 0 is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub master: Master,
    /// What each rank does; one that is not named does as `others` say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ranks: BTreeMap<u32, RankSpec>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub others: RankSpec,
    /// What is wrong with a node; one that is not named is well.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instances: BTreeMap<u32, InstanceSpec>,
    /// How events travel.
    #[serde(default, skip_serializing_if = "is_default")]
    pub delivery: Delivery,
    /// Agents lose their connection several times an hour, as in normal life.
    #[serde(default, skip_serializing_if = "is_default")]
    pub flapping_agents: bool,
    /// Rates that others in the account leave for the recovery.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle: Vec<Throttle>,
    /// `throttle` holds while the job is submitted, too.
    #[serde(default, skip_serializing_if = "is_default")]
    pub throttled_submission: bool,
    /// What people do, in the order of the times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    pub expect: Expect,
}

/// What a rank's task does in its first attempts; after those, and by default, it runs until it is stopped.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RankSpec {
    /// Exits by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exits: Option<Exit>,
    /// Exits so long after another rank has died, as NCCL's watchdog makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aborts_with_gang: Option<Exit>,
    /// Its container ends without an exit code.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "duration::optional"
    )]
    pub ends_without_code: Option<Duration>,
    /// Its Spot instance is taken away; it exits with this code all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Exit>,
    /// The kernel kills it for want of memory.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "duration::optional"
    )]
    pub out_of_memory: Option<Duration>,
    /// Its task never starts, for this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub does_not_start: Option<String>,
    /// Ignores SIGTERM, so that it is killed at the stop time-out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ignores_sigterm: bool,
    /// Not even SIGKILL ends it: its task never stops.
    #[serde(default, skip_serializing_if = "is_default")]
    pub never_stops: bool,
    /// Its image is pulled for so long before it is RUNNING.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "duration::optional"
    )]
    pub starts_after: Option<Duration>,
    /// In so many attempts; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What it does in its second launch, its third, ...; after those it runs. An attempt whose launch is undone has more
    /// than one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<RankSpec>,
}

/// When, and with which code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exit {
    /// Counted from RUNNING, or from the other rank's end.
    #[serde(with = "duration")]
    pub after: Duration,
    pub code: i32,
}

/// What is wrong with a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceSpec {
    #[serde(default)]
    pub gpu: GpuHealth,
    #[serde(default)]
    pub reboot: RebootOutcome,
    #[serde(default)]
    pub ssm: SsmAgent,
    /// A task of another job runs on it beside ours.
    #[serde(default)]
    pub shared_with_another_job: bool,
    /// What its kernel has logged when the job fails.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel: Vec<KernelLine>,
    /// What its driver asks for then, by NVML's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver_action: Option<u8>,
    /// Who else has a GPU open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
    /// That many GPUs are there after the next reboot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus_after_reboot: Option<usize>,
    /// What its SSM agent does with what it is sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orders: Orders,
}

/// An Xid, so long before the first rank ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelLine {
    pub xid: u32,
    #[serde(with = "duration")]
    pub before: Duration,
}

/// Who has a GPU open beside the job's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holder {
    /// Somebody's session.
    Login,
    /// A process of a container that is over.
    Orphan,
}

/// What an SSM agent does with the two documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Orders {
    #[serde(default, skip_serializing_if = "is_default")]
    pub probe: Fate,
    #[serde(default, skip_serializing_if = "is_default")]
    pub reboot: Fate,
}

/// How events travel: once, in order and on time when left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delivery {
    /// How likely an event comes twice.
    #[serde(default)]
    pub duplicates: f64,
    /// How likely an event of ECS or SSM is lost for good. Where one may be, lost stops are looked for every five minutes.
    #[serde(default)]
    pub lost: f64,
    /// How likely an event is late, by up to `lateBy`.
    #[serde(default)]
    pub late: f64,
    #[serde(default = "ninety_seconds", with = "duration")]
    pub late_by: Duration,
    #[serde(default = "yes")]
    pub in_order: bool,
}

/// A token bucket for an action's group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Throttle {
    pub service: String,
    pub action: String,
    pub burst: f64,
    pub per_second: f64,
}

impl Throttle {
    /// Service, action, and what others leave of it.
    pub fn taken(&self) -> (String, String, Limit) {
        let limit = Limit {
            burst: self.burst,
            per_second: self.per_second,
        };
        (self.service.clone(), self.action.clone(), limit)
    }
}

/// What an operator does, so long after the job was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Action {
    #[serde(with = "duration")]
    pub at: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_task: Option<StopTask>,
    /// Sends every stop event so far once more.
    #[serde(default, skip_serializing_if = "is_default")]
    pub repeat_stop_events: bool,
    /// Sets this node DRAINING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<u32>,
    /// Runs `gpu-recovery quarantine` on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<u32>,
    /// Runs `gpu-recovery check` on this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<u32>,
    /// A GPU of this node goes bad until a reboot, if it is well. Nobody does that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_gpu: Option<u32>,
    /// The launcher of another job starts that on this node, and takes all of its GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occupy: Option<u32>,
    /// Cuts this node's ECS agent off for so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disconnect_agent: Option<Disconnect>,
    /// Stops the running executions in the console.
    #[serde(default, skip_serializing_if = "is_default")]
    pub abort_execution: bool,
    /// Redrives the executions that did not succeed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub redrive_execution: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopTask {
    pub rank: u32,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Disconnect {
    pub node: u32,
    #[serde(rename = "for", with = "duration")]
    pub how_long: Duration,
}

/// How it must end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    pub job: JobStatus,
    pub attempt: u32,
    /// The job's reason holds these words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Reboots by node; a node that is not named has none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reboots: BTreeMap<u32, u32>,
    /// Nodes that are QUARANTINED; no other is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantined: Vec<u32>,
    /// On which node a rank runs at the end; one that is not named runs on that of its number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub places: BTreeMap<u32, u32>,
    /// Nodes that are marked as spares at the end; the spares of the beginning when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<Vec<u32>>,
    /// The events of the notifications, in order.
    pub notifications: Vec<String>,
    /// The states of the execution that did the work, each where it was entered first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
}

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {message}")]
pub struct ScenarioError {
    pub file: String,
    pub message: String,
}

impl Scenario {
    /// The same with another number of nodes. A node that is named and is not there then is taken to be the last one
    /// that is not named.
    ///
    /// # Errors
    /// When the scenario names more nodes than there are then.
    pub fn with_nodes(mut self, nodes: u32) -> Result<Self, ScenarioError> {
        let before = std::mem::replace(&mut self.nodes, nodes);
        self.move_named(before);
        match self.check() {
            Ok(()) => Ok(self),
            Err(message) => Err(ScenarioError {
                file: self.name,
                message,
            }),
        }
    }

    /// The same with so many spares, wherever there were none or others.
    ///
    /// # Errors
    /// When it names spares that are not there then.
    pub fn with_spares(mut self, spares: u32) -> Result<Self, ScenarioError> {
        self.spares = spares;
        match self.check() {
            Ok(()) => Ok(self),
            Err(message) => Err(ScenarioError {
                file: self.name,
                message,
            }),
        }
    }

    fn move_named(&mut self, before: u32) {
        let spares = before..before + self.spares;
        let named: BTreeSet<u32> = self.named().into_iter().map(|(_, node)| node).collect();
        let mut free = (0..self.nodes).rev().filter(|node| !named.contains(node));
        let mut moves: BTreeMap<u32, u32> = named
            .iter()
            .filter(|node| **node >= self.nodes && !spares.contains(node))
            .map_while(|node| Some((*node, free.next()?)))
            .collect();
        moves.extend(spares.map(|node| (node, node - before + self.nodes)));
        let moved = |node: u32| moves.get(&node).copied().unwrap_or(node);
        self.ranks = rekeyed(std::mem::take(&mut self.ranks), moved);
        self.instances = rekeyed(std::mem::take(&mut self.instances), moved);
        self.expect.reboots = rekeyed(std::mem::take(&mut self.expect.reboots), moved);
        let places = std::mem::take(&mut self.expect.places);
        let places = places.into_iter();
        self.expect.places = places.map(|(r, n)| (moved(r), moved(n))).collect();
        let marked = self.expect.spares.iter_mut().flatten();
        for node in self.expect.quarantined.iter_mut().chain(marked) {
            *node = moved(*node);
        }
        for (_, node) in self.actions.iter_mut().flat_map(Action::named) {
            *node = moved(*node);
        }
    }

    /// The actions in the order of their times.
    pub fn in_order(&self) -> Vec<&Action> {
        let mut actions: Vec<&Action> = self.actions.iter().collect();
        actions.sort_by_key(|action| action.at);
        actions
    }

    /// What this rank does.
    pub fn rank(&self, rank: u32) -> &RankSpec {
        self.ranks.get(&rank).unwrap_or(&self.others)
    }
}

impl RankSpec {
    /// In how many attempts it does so.
    pub fn attempts(&self) -> u32 {
        self.attempts.unwrap_or(1)
    }

    /// What of it is scheduled takes so long.
    pub fn takes(&self) -> Duration {
        let exits = self.exits.as_ref().map(|exit| exit.after);
        let ends = exits
            .or(self.ends_without_code)
            .or(self.interrupted.as_ref().map(|exit| exit.after))
            .or(self.out_of_memory);
        self.starts_after.unwrap_or_default() + ends.unwrap_or_default()
    }

    pub fn behaviour(&self) -> Behaviour {
        let run = if let Some(Exit { after, code }) = self.exits.clone() {
            Run::Exits { after, code }
        } else if let Some(Exit { after, code }) = self.aborts_with_gang.clone() {
            Run::AbortsWithGang { after, code }
        } else if let Some(Exit { after, code }) = self.interrupted.clone() {
            Run::Interrupted { after, code }
        } else if let Some(after) = self.out_of_memory {
            Run::OutOfMemory { after }
        } else if let Some(after) = self.ends_without_code {
            Run::EndsWithoutCode { after }
        } else if let Some(reason) = self.does_not_start.clone() {
            Run::NotStarted { reason }
        } else {
            Run::Forever
        };
        let on_sigterm = if self.never_stops {
            OnSigterm::Unkillable
        } else if self.ignores_sigterm {
            OnSigterm::Ignores
        } else {
            OnSigterm::default()
        };
        Behaviour {
            run,
            on_sigterm,
            pulls_for: self.starts_after.unwrap_or_default(),
            // Beside a killed trainer a log router ends well by itself.
            sidecar_code: if self.out_of_memory.is_some() { 0 } else { 143 },
            ..Behaviour::default()
        }
    }
}

impl From<&Delivery> for eventbridge::Delivery {
    fn from(spec: &Delivery) -> Self {
        Self {
            duplicates: spec.duplicates,
            lost: spec.lost,
            late: spec.late,
            late_by: Duration::from_secs(1)..spec.late_by.max(Duration::from_secs(2)),
            in_order: spec.in_order,
            ..Self::default()
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            duplicates: 0.0,
            lost: 0.0,
            late: 0.0,
            late_by: ninety_seconds(),
            in_order: true,
        }
    }
}

fn rekeyed<T>(map: BTreeMap<u32, T>, key: impl Fn(u32) -> u32) -> BTreeMap<u32, T> {
    map.into_iter()
        .map(|(old, value)| (key(old), value))
        .collect()
}

fn eight() -> u32 {
    8
}

fn ninety_seconds() -> Duration {
    Duration::from_secs(90)
}

fn yes() -> bool {
    true
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
