//! What a seed stands for: the cluster, the jobs, what goes wrong with them, and what people do.

use super::dice::Dice;
use crate::{
    ecs::{GpuHealth, RebootOutcome, Run, SsmAgent},
    eventbridge::Delivery,
    launcher::GPUS,
    plan::{Deed, Job, Later, Master, Node, Plan, Storm},
    ssm::Fate,
    throttle::Limit,
};
use std::{collections::BTreeMap, time::Duration};

const FAULTY: [(u32, GpuHealth); 8] = [
    (24, GpuHealth::FaultUntilReboot),
    (4, GpuHealth::FaultForever),
    (1, GpuHealth::Isolate),
    (1, GpuHealth::DcgmCrashes(204)),
    (1, GpuHealth::DcgmCrashes(203)),
    (1, GpuHealth::DcgmHangs),
    (1, GpuHealth::NoExitCode),
    (1, GpuHealth::CannotPlace),
];

impl Plan {
    /// What this seed stands for.
    pub fn of(seed: u64) -> Self {
        if let Some(large) = Self::large(seed) {
            return large;
        }
        let dice = Dice::new(seed, "chaos");
        let size = match dice.below(100) {
            0..=54 => dice.between(1, 4),
            55..=84 => dice.between(5, 10),
            85..=96 => dice.between(11, 24),
            _ => dice.between(25, 64),
        } as usize;
        let nodes = nodes(&dice, size);
        let mut jobs = jobs(&dice, size);
        let mut nodes = nodes;
        for job in &mut jobs {
            tell_story(&dice, job, &mut nodes);
        }
        let first_failure = jobs
            .iter()
            .flat_map(|job| {
                job.ranks
                    .iter()
                    .filter_map(|rank| end_of(job.at, &rank.run))
            })
            .min()
            .unwrap_or(Duration::from_secs(300));
        let deeds = deeds(&dice, size, jobs.len(), first_failure);
        let mut plan = Self {
            seed,
            settings: settings(&dice),
            delivery: delivery(&dice),
            flaps: dice.chance(0.3),
            throttle: throttle(&dice),
            throttled_submission: false,
            storm: storm(&dice),
            nodes,
            spares: Vec::new(),
            jobs,
            sidecar: false,
            deeds,
        };
        plan.lose_and_lag();
        plan.like_the_field();
        plan.stand_by();
        plan.contest();
        plan.stop_a_rank();
        plan.tell_of_rank_0();
        plan
    }

    /// Most launchers leave rank 0's address open: by dice of their own.
    fn tell_of_rank_0(&mut self) {
        let dice = Dice::new(self.seed, "master");
        for job in &mut self.jobs {
            job.master = dice.weigh(&[
                (2, Master::Fixed),
                (3, Master::OfInstance),
                (1, Master::OfTask),
            ]);
            // Its definition has all GPUs, and ECS gives no interface to tasks on hosts outside of EC2.
            let mut nodes = job.nodes.iter().map(|node| &self.nodes[*node].id);
            let hosts = job.gpus == GPUS && nodes.all(|id| id.starts_with("i-"));
            if job.master == Master::OfTask && !hosts {
                job.master = Master::OfInstance;
            }
        }
    }

    /// Spares: by dice of their own, too.
    fn stand_by(&mut self) {
        let dice = Dice::new(self.seed, "spares");
        let spares = dice.weigh(&[(4, 0), (4, 1), (2, 2), (1, 4)]);
        if spares == 0 {
            return;
        }
        let first = self.nodes.len();
        for nth in first..first + spares {
            let kind = if dice.chance(0.1) { "mi" } else { "i" };
            let mut spare = Node::well(&format!("{kind}-0c4a05{nth:011x}"));
            spare.gpu = dice.weigh(&[
                (12, GpuHealth::Healthy),
                (1, GpuHealth::CannotPlace),
                (1, GpuHealth::FaultForever),
            ]);
            self.spares.push(nth);
            self.nodes.push(spare);
        }
    }

    /// Drawn by dice of their own, so that a seed's other draws are what they were before there was this.
    fn lose_and_lag(&mut self) {
        let dice = Dice::new(self.seed, "losses");
        self.delivery.lost = dice.weigh(&[(7, 0.0), (2, 0.05), (1, 0.3)]);
        self.storm.ecs_lag = Duration::from_secs(dice.weigh(&[(6, 0), (2, 5), (1, 60), (1, 280)]));
        self.storm.states_lag = Duration::from_secs(dice.weigh(&[(6, 0), (3, 2), (1, 40)]));
        let dice = Dice::new(self.seed, "orders");
        let fate = || Fate {
            lost: dice.chance(0.04),
            twice: dice.chance(0.08),
            late: dice
                .weigh(&[(17, None), (1, Some(8)), (1, Some(90)), (1, Some(900))])
                .map(Duration::from_secs),
        };
        for node in &mut self.nodes {
            node.orders = (fate(), fate());
        }
    }
}

fn nodes(dice: &Dice, size: usize) -> Vec<Node> {
    let hybrid = dice.weigh(&[(6, 0.0), (2, 1.0), (2, 0.5)]);
    (0..size)
        .map(|n| {
            let kind = if dice.chance(hybrid) { "mi" } else { "i" };
            Node {
                relapses: dice
                    .chance(0.06)
                    .then(|| dice.pick(&[1, 400, 700, 1000, 2000]))
                    .map(Duration::from_secs),
                reboot: match dice.below(100) {
                    0..=74 => RebootOutcome::Returns,
                    75..=79 => RebootOutcome::ReturnsAfter(dice.seconds(1, 20)),
                    80..=84 => RebootOutcome::ReturnsAfter(dice.seconds(1200, 2400)),
                    85..=88 => RebootOutcome::NeverReturns,
                    89..=92 => RebootOutcome::HangsInShutdown,
                    93..=96 => RebootOutcome::EcsAgentStaysAway,
                    _ => RebootOutcome::SsmAgentStaysAway,
                },
                ssm: dice.weigh(&[
                    (92, SsmAgent::Running),
                    (4, SsmAgent::Stopped),
                    (4, SsmAgent::Unregistered),
                ]),
                ..Node::well(&format!("{kind}-0c4a05{n:011x}"))
            }
        })
        .collect()
}

/// Jobs beside each other, and some on the same nodes.
fn jobs(dice: &Dice, size: usize) -> Vec<Job> {
    let mut jobs = match dice.below(100) {
        0..=66 => vec![Job::new("llama", GPUS, (0..size).collect())],
        67..=89 if size > 1 => {
            let cut = dice.between(1, size as u32 - 1) as usize;
            vec![
                Job::new("llama", GPUS, (0..cut).collect()),
                Job::new("mixtral", GPUS, (cut..size).collect()),
            ]
        }
        _ => vec![
            Job::new("llama", GPUS / 2, (0..size).collect()),
            Job::new("mixtral", GPUS / 2, (0..size).collect()),
        ],
    };
    if dice.chance(0.25) {
        let count = 1 + dice.below(size.min(4));
        jobs.push(Job::new("embeddings", 0, dice.some_of(count, size)));
    }
    for job in &mut jobs {
        job.at = dice.seconds(0, 5);
        if dice.chance(0.1) {
            job.turn_deaf();
        }
        job.recovery_attempts = dice.weigh(&[(4, None), (3, Some(2)), (1, Some(4))]);
    }
    jobs
}

/// What happens to a job's first attempt, and to its nodes.
fn tell_story(dice: &Dice, job: &mut Job, nodes: &mut [Node]) {
    let ranks = job.nodes.len();
    let at = dice.seconds(30, 1200);
    let some = 1 + if dice.chance(0.3) {
        dice.below(ranks.min(5))
    } else {
        0
    };
    let chosen = dice.some_of(some, ranks);
    if dice.chance(0.4) {
        let run = Run::AbortsWithGang {
            after: Duration::from_millis(u64::from(dice.between(1, 3000))),
            code: dice.weigh(&[(5, 1), (1, 134)]),
        };
        job.all_do(&run);
    }
    let story = dice.below(100);
    for rank in chosen {
        let after = at + dice.seconds(0, 2);
        job.ranks[rank].run = match story {
            0..=69 => {
                nodes[job.nodes[rank]].gpu = dice.weigh(&FAULTY);
                Run::Exits { after, code: 1 }
            }
            70..=77 => Run::Exits { after, code: 1 },
            78..=81 => Run::Exits {
                after,
                code: dice.pick(&[2, 134, 137, 139, 255]),
            },
            82..=84 => Run::EndsWithoutCode { after },
            85..=87 => Run::NotStarted {
                reason: "CannotPullContainerError: pull access denied".to_owned(),
            },
            _ => {
                // A completion; some of them fail at the last moment.
                for (other, behaviour) in job.ranks.iter_mut().enumerate() {
                    behaviour.run = Run::Exits {
                        after: at + dice.seconds(0, 3),
                        code: i32::from(other == rank && dice.chance(0.5)),
                    };
                }
                break;
            }
        };
    }
    job.later = match dice.below(10) {
        0..=3 => Later::RunsOn,
        4..=5 => Later::Completes(dice.seconds(60, 1800)),
        6..=8 => Later::FailsAgain {
            rank: dice.below(ranks),
            after: dice.seconds(1, 1200),
            code: dice.weigh(&[(5, 1), (1, 137), (1, 0)]),
        },
        _ => Later::DoesNotStart {
            rank: dice.below(ranks),
        },
    };
}

fn end_of(start: Duration, run: &Run) -> Option<Duration> {
    match run {
        Run::Exits { after, .. } | Run::EndsWithoutCode { after } => Some(start + *after),
        _ => None,
    }
}

fn settings(dice: &Dice) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
    set(
        "RECOVERY_ATTEMPTS",
        dice.weigh(&[(8, 1), (1, 0), (5, 3)]).to_string(),
    );
    set("MAX_FAULTS_PER_MONTH", dice.between(1, 3).to_string());
    set("STOP_ROUNDS", dice.pick(&[1, 3, 6]).to_string());
    if dice.chance(0.3) {
        set("OTHER_EXIT_POLICY", "recover".to_owned());
    }
    if dice.chance(0.3) {
        set("INSTANCES_TO_CHECK", "all".to_owned());
    }
    if dice.chance(0.1) {
        set("MAX_FAULTY_INSTANCES", "1".to_owned());
    }
    if dice.chance(0.2) {
        set("REBOOT_TIMEOUT_SECONDS", dice.pick(&[600, 900]).to_string());
    }
    if dice.chance(0.2) {
        set("DCGM_TIMEOUT_SECONDS", dice.pick(&[300, 420]).to_string());
    }
    settings
}

fn delivery(dice: &Dice) -> Delivery {
    let late_by = dice.pick(&[30, 600, 3600]);
    let bad = dice.chance(0.6);
    Delivery {
        duplicates: if bad {
            dice.pick(&[0.0, 0.1, 0.5])
        } else {
            0.0
        },
        late: if bad {
            dice.pick(&[0.0, 0.1, 0.5])
        } else {
            0.0
        },
        late_by: Duration::from_secs(1)..Duration::from_secs(late_by),
        in_order: !(bad && dice.chance(0.5)),
        ..Delivery::default()
    }
}

fn throttle(dice: &Dice) -> Vec<(String, String, Limit)> {
    if !dice.chance(0.15) {
        return Vec::new();
    }
    let limit = Limit {
        burst: f64::from(dice.between(1, 10)),
        per_second: dice.pick(&[0.3, 1.0, 4.0]),
    };
    let action = dice.pick(&["StopTask", "DescribeTasks"]).to_owned();
    vec![("ecs".to_owned(), action, limit)]
}

fn storm(dice: &Dice) -> Storm {
    let (rate, budget) = dice.weigh(&[
        (2, (0.0, 0)),
        (3, (0.01, 6)),
        (3, (0.03, 15)),
        (2, (0.1, 40)),
    ]);
    Storm {
        rate,
        budget,
        index_lag: Duration::from_millis(dice.pick(&[0, 0, 20, 300, 3000])),
        ecs_lag: Duration::ZERO,
        states_lag: Duration::ZERO,
        unprocessed: dice.pick(&[0.0, 0.0, 0.1]),
        at: Vec::new(),
    }
}

fn deeds(dice: &Dice, nodes: usize, jobs: usize, first_failure: Duration) -> Vec<(Duration, Deed)> {
    let count = dice.weigh(&[(3, 0), (3, 1), (3, 3), (2, 6), (1, 10)]);
    let mut deeds = Vec::new();
    for _ in 0..count {
        // Most of them while the first recovery is at work.
        let at = if dice.chance(0.7) {
            let late = dice.pick(&[20, 240, 1500]);
            first_failure + Duration::from_millis(u64::from(dice.between(0, late * 1000)))
        } else {
            dice.seconds(1, 7200)
        };
        let (job, node, rank) = (dice.below(jobs), dice.below(nodes), dice.below(64));
        let deed = match dice.below(100) {
            0..=9 => Deed::StopTask {
                job,
                rank,
                reason: reason(rank).to_owned(),
            },
            10..=24 => Deed::Kill {
                job,
                rank,
                code: dice.weigh(&[(5, Some(1)), (1, Some(137)), (1, Some(0)), (1, None)]),
            },
            25..=32 => Deed::Cordon { node },
            33..=50 => Deed::Abort,
            51..=62 => Deed::Redrive,
            63..=74 => Deed::Replay,
            75..=82 => Deed::CutAgent {
                node,
                how_long: dice.seconds(5, 900),
            },
            83..=90 => Deed::GpuGoesBad {
                node,
                health: dice.weigh(&FAULTY),
            },
            91..=92 => Deed::Deregister { node },
            _ => Deed::Resubmit { job },
        };
        if let Deed::Cordon { node } = deed
            && dice.chance(0.5)
        {
            deeds.push((at + dice.seconds(10, 3600), Deed::Uncordon { node }));
        }
        if deed == Deed::Abort && dice.chance(0.7) {
            deeds.push((at + dice.seconds(1, 3600), Deed::Redrive));
        }
        if deed == Deed::Abort && dice.chance(0.4) {
            deeds.push((at + dice.seconds(1, 600), Deed::Replay));
        }
        deeds.push((at, deed));
    }
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}

/// One in five leaves the others alone; drawn by the rank, so that old seeds stay what they were.
fn reason(rank: usize) -> &'static str {
    match rank % 5 {
        4 => "keep-others: I look at this one",
        _ => "enough for today",
    }
}
