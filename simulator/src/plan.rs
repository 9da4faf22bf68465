//! What is to happen: the cluster, its jobs, what goes wrong with them, what operators do, and how AWS fails. A scenario's file
//! stands for one, and so does a seed.

use crate::{
    chaos::FaultKind,
    ecs::{Behaviour, GpuHealth, OnSigterm, RebootOutcome, Run, SsmAgent},
    eventbridge::Delivery,
    ssm::Fate,
    throttle::Limit,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// A plan before it is played. A test may write one by hand.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    /// By their environment names, over the defaults.
    pub settings: BTreeMap<String, String>,
    pub nodes: Vec<Node>,
    /// Which of the nodes stand by as spares.
    pub spares: Vec<usize>,
    pub jobs: Vec<Job>,
    /// A log router without GPUs runs beside each trainer with all GPUs of a node.
    pub sidecar: bool,
    pub delivery: Delivery,
    /// Agents lose their connection several times an hour.
    pub flaps: bool,
    /// What others in the account leave of the APIs' rates, by service and action.
    pub throttle: Vec<(String, String, Limit)>,
    /// They leave no more while the jobs are submitted, either.
    pub throttled_submission: bool,
    /// In the order of the times.
    pub deeds: Vec<(Duration, Deed)>,
    pub storm: Storm,
}

/// One instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: String,
    pub gpu: GpuHealth,
    /// So long after each reboot the GPU is bad again, if it was fixed.
    pub relapses: Option<Duration>,
    pub reboot: RebootOutcome,
    pub ssm: SsmAgent,
    /// What its SSM agent does with the probe and with the reboot order.
    pub orders: (Fate, Fate),
    /// Xids that its kernel has logged when the first job fails, and how long before.
    pub kernel: Vec<(Duration, u32)>,
    /// What its driver asks for then, by NVML's number.
    pub driver_action: Option<u8>,
    /// Somebody's session has a GPU open.
    pub login: bool,
    /// A process of a container that is over has a GPU open.
    pub orphan: bool,
    /// That many GPUs are there after the next reboot.
    pub gpus_after_reboot: Option<usize>,
}

/// One job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: String,
    pub at: Duration,
    /// Of each rank: 8, 4 or 0.
    pub gpus: usize,
    /// Where each rank runs.
    pub nodes: Vec<usize>,
    /// What each rank does in attempt 1.
    pub ranks: Vec<Behaviour>,
    pub later: Later,
    pub recovery_attempts: Option<u32>,
    pub master: Master,
}

/// How a job's ranks know where rank 0 is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Master {
    /// By an address that its launcher has given once.
    #[default]
    Fixed,
    /// Each launch tells them the address of its instance, an attribute.
    OfInstance,
    /// Each launch tells them the address of its task (awsvpc).
    OfTask,
}

/// What a job does in the attempts after the first.
#[derive(Debug, Clone, PartialEq)]
pub enum Later {
    RunsOn,
    Completes(Duration),
    /// This rank fails, in every attempt.
    FailsAgain {
        rank: usize,
        after: Duration,
        code: i32,
    },
    /// This rank's task does not start.
    DoesNotStart {
        rank: usize,
    },
    /// What each rank does by itself: a scenario's.
    ByRank(Vec<Again>),
}

/// What a rank does after its first launch.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// The same, in so many attempts; then it runs.
    Attempts(u32),
    /// This in its second launch, its third, ...; then it runs. An attempt whose launch is undone has more than one.
    Launches(Vec<Behaviour>),
}

/// What an operator does, or nature beside what nodes and ranks do by themselves. Numbers are taken modulo what is there.
#[derive(Debug, Clone, PartialEq)]
pub enum Deed {
    /// An operator stops a rank's task.
    StopTask {
        job: usize,
        rank: usize,
        reason: String,
    },
    /// A rank's process dies, with this code or none.
    Kill {
        job: usize,
        rank: usize,
        code: Option<i32>,
    },
    Cordon {
        node: usize,
    },
    /// Only of a node that an operator has cordoned.
    Uncordon {
        node: usize,
    },
    /// By `gpu-recovery quarantine`.
    Quarantine {
        node: usize,
    },
    /// By `gpu-recovery check`.
    Check {
        node: usize,
    },
    /// Stops every running execution.
    Abort,
    /// Redrives every execution that did not succeed.
    Redrive,
    /// Sends every stop event so far once more.
    Replay,
    CutAgent {
        node: usize,
        how_long: Duration,
    },
    /// If it is healthy.
    GpuGoesBad {
        node: usize,
        health: GpuHealth,
    },
    Deregister {
        node: usize,
    },
    /// Another job's launcher, which heeds neither marks nor records, takes all GPUs of a node.
    Occupy {
        node: usize,
    },
    /// The owner of an ended job starts it anew, under another id, where there is room.
    Resubmit {
        job: usize,
    },
}

/// How AWS fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Storm {
    /// How likely a call is struck.
    pub rate: f64,
    /// How many strikes there are at the most, so that recoveries can end.
    pub budget: u32,
    /// So long the table's index lags behind.
    pub index_lag: Duration,
    /// So long ECS hides a task after RunTask.
    pub ecs_lag: Duration,
    /// So long Step Functions answers about an execution as it was.
    pub states_lag: Duration,
    /// How likely BatchWriteItem leaves items unwritten.
    pub unprocessed: f64,
    /// Calls that are struck in any case.
    pub at: Vec<Strike>,
}

/// A call, told apart from all others of the schedule, and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// Who calls: a worker's name, `state-machine`, `eventbridge`.
    pub role: String,
    /// As in IAM actions; `lambda` for an invocation.
    pub service: String,
    pub action: String,
    /// Counts the calls of this role, service and action from 1.
    pub nth: u64,
    pub kind: FaultKind,
}

impl Node {
    /// A node to which nothing happens.
    pub fn well(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            gpu: GpuHealth::Healthy,
            relapses: None,
            reboot: RebootOutcome::Returns,
            ssm: SsmAgent::Running,
            orders: (Fate::default(), Fate::default()),
            kernel: Vec::new(),
            driver_action: None,
            login: false,
            orphan: false,
            gpus_after_reboot: None,
        }
    }
}

impl Job {
    /// A job that runs on.
    pub fn new(id: &str, gpus: usize, nodes: Vec<usize>) -> Self {
        Self {
            id: id.to_owned(),
            at: Duration::ZERO,
            gpus,
            ranks: vec![Behaviour::default(); nodes.len()],
            nodes,
            later: Later::RunsOn,
            recovery_attempts: None,
            master: Master::Fixed,
        }
    }

    /// Somebody else's job of one rank, which runs on.
    pub fn another(gpus: usize, node: usize) -> Self {
        Self::new(&format!("embeddings-{node}"), gpus, vec![node])
    }

    /// Every rank does the same.
    pub fn all_do(&mut self, run: &Run) {
        for rank in &mut self.ranks {
            rank.run = run.clone();
        }
    }

    /// Every rank ignores SIGTERM.
    pub fn turn_deaf(&mut self) {
        for rank in &mut self.ranks {
            rank.on_sigterm = OnSigterm::Ignores;
        }
    }

    /// What a rank's task does; `launch` counts the rank's tasks from 1.
    pub fn behaviour(&self, rank: usize, attempt: u32, launch: usize) -> Option<Behaviour> {
        let first = self.ranks.get(rank)?;
        let does = |run| Behaviour {
            run,
            on_sigterm: match first.on_sigterm {
                // What held it in the driver was of one boot.
                OnSigterm::Unkillable if attempt > 1 => OnSigterm::default(),
                other => other,
            },
            ..Behaviour::default()
        };
        Some(match &self.later {
            Later::ByRank(again) => return again.get(rank)?.behaviour(first, attempt, launch),
            _ if attempt == 1 => first.clone(),
            Later::Completes(after) => does(Run::Exits {
                after: *after,
                code: 0,
            }),
            Later::FailsAgain {
                rank: other,
                after,
                code,
            } if rank == *other => does(Run::Exits {
                after: *after,
                code: *code,
            }),
            Later::DoesNotStart { rank: other } if rank == *other => does(Run::NotStarted {
                reason: "CannotPullContainerError: pull access denied".to_owned(),
            }),
            _ => does(Run::Forever),
        })
    }
}

impl Again {
    fn behaviour(&self, first: &Behaviour, attempt: u32, launch: usize) -> Option<Behaviour> {
        match self {
            Self::Attempts(attempts) => (attempt <= *attempts).then(|| first.clone()),
            Self::Launches(later) => match launch.checked_sub(2) {
                None => Some(first.clone()),
                Some(nth) => later.get(nth).cloned(),
            },
        }
    }
}

impl Storm {
    /// Nothing fails.
    pub const CALM: Self = Self {
        at: Vec::new(),
        rate: 0.0,
        budget: 0,
        index_lag: Duration::ZERO,
        ecs_lag: Duration::ZERO,
        states_lag: Duration::ZERO,
        unprocessed: 0.0,
    };
}
