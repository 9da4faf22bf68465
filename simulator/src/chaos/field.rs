//! What the field has and the first draws lack: all settings, kernels that say what is wrong, ranks that are deaf to SIGTERM,
//! that are interrupted or want for memory, trainers that ask for no recovery, and operators who quarantine and check.

use super::dice::Dice;
use crate::{
    ecs::{Behaviour, GpuHealth, OnSigterm, RebootOutcome, Run, SsmAgent},
    plan::{Deed, Job, Later, Node, Plan},
};
use std::{collections::BTreeSet, time::Duration};

/// Xids of hardware, as often as they come (Meta's Llama 3 report has GPU and HBM first), and two that a trainer makes itself.
const XIDS: [(u32, u32); 8] = [
    (5, 79),
    (4, 48),
    (3, 94),
    (3, 95),
    (2, 119),
    (1, 140),
    (2, 31),
    (1, 13),
];
/// What healthy nodes log when another is lost: preemptive removal, and a link's error.
const ECHOES: [(u32, u32); 3] = [(4, 45), (2, 43), (1, 74)];

impl Plan {
    /// Drawn by dice of their own, so that a seed's other draws are what they were before there was this.
    pub(super) fn like_the_field(&mut self) {
        let dice = Dice::new(self.seed, "field");
        self.policies(&dice);
        let well = dice.chance(0.93);
        if well {
            self.can_recover(&dice);
        }
        for job in &mut self.jobs {
            ends(&dice, job, if well { 0.08 } else { 0.3 });
        }
        let gang_aborts = self.jobs.iter().any(|job| {
            let gang = |rank: &Behaviour| matches!(rank.run, Run::AbortsWithGang { .. });
            job.ranks.iter().any(gang)
        });
        for node in &mut self.nodes {
            kernel(&dice, node, gang_aborts);
        }
        self.hands(&dice);
        self.wedge();
        // A gang of dozens cannot be stopped at a call in three seconds within all bounds.
        if self.nodes.len() > 24 {
            for (.., limit) in &mut self.throttle {
                limit.per_second = limit.per_second.max(1.0);
            }
        }
    }

    fn policies(&mut self, dice: &Dice) {
        let mut set = |name: &str, value: &str| {
            self.settings.insert(name.to_owned(), value.to_owned());
        };
        set(
            "MAX_FAULTS_PER_MONTH",
            dice.weigh(&[(1, "1"), (4, "2"), (7, "3")]),
        );
        if dice.chance(0.8) {
            set("HEALTHY_POLICY", "relaunch");
        }
        if dice.chance(0.2) {
            set("PERSON_STOP", "leave");
        }
        if let Some(policy) = dice.weigh(&[(17, None), (2, Some("tell")), (1, Some("ignore"))]) {
            set("OTHER_EXIT_POLICY", policy);
        }
    }

    /// Most nodes come back from a reboot, and most faults go with it: else hardly a schedule would relaunch.
    fn can_recover(&mut self, dice: &Dice) {
        for node in &mut self.nodes {
            if dice.chance(0.05) {
                continue;
            }
            node.reboot = RebootOutcome::Returns;
            node.ssm = SsmAgent::Running;
            node.relapses = None;
            for orders in [&mut node.orders.0, &mut node.orders.1] {
                orders.lost = false;
                orders.late = orders.late.filter(|late| *late < Duration::from_secs(60));
            }
            if node.gpu != GpuHealth::Healthy {
                node.gpu = GpuHealth::FaultUntilReboot;
            }
        }
        self.deeds.retain(|(_, deed)| {
            let hinders = matches!(
                deed,
                Deed::Cordon { .. } | Deed::Deregister { .. } | Deed::StopTask { .. }
            );
            !hinders || dice.chance(0.3)
        });
        // A node that runs another job's task is not rebooted.
        let mut taken = BTreeSet::new();
        if dice.chance(0.9) {
            self.jobs
                .retain(|job| job.nodes.iter().all(|node| taken.insert(*node)));
        }
        for job in &mut self.jobs {
            if matches!(job.later, Later::DoesNotStart { .. }) && dice.chance(0.7) {
                job.later = Later::RunsOn;
            }
        }
        for attempts in self.jobs.iter_mut().map(|job| &mut job.recovery_attempts) {
            *attempts = attempts.map_or(Some(2), Some);
        }
        self.settings.remove("MAX_FAULTY_INSTANCES");
        self.settings
            .insert("MAX_FAULTS_PER_MONTH".to_owned(), "3".to_owned());
    }

    /// A process of which nothing rids the node but a reboot, by dice of its own. Mostly the kernel says why.
    fn wedge(&mut self) {
        let dice = Dice::new(self.seed, "wedged");
        for job in &mut self.jobs {
            if !dice.chance(0.04) {
                continue;
            }
            let rank = dice.below(job.nodes.len());
            job.ranks[rank].on_sigterm = OnSigterm::Unkillable;
            let node = &mut self.nodes[job.nodes[rank]];
            if dice.chance(0.75) {
                node.gpu = GpuHealth::FaultUntilReboot;
                node.kernel.push((Duration::from_secs(30), 79));
            }
        }
    }

    fn hands(&mut self, dice: &Dice) {
        if dice.chance(0.75) {
            return;
        }
        let nodes = self.nodes.len();
        for _ in 0..dice.between(1, 3) {
            let node = dice.below(nodes);
            let at = dice.seconds(60, 5400);
            if dice.chance(0.5) {
                self.deeds.push((at, Deed::Quarantine { node }));
            }
            let late = dice.seconds(1, 3600);
            self.deeds.push((at + late, Deed::Check { node }));
        }
        self.deeds.sort_by_key(|(at, _)| *at);
    }
}

/// Some ranks end otherwise than by a code of their own.
fn ends(dice: &Dice, job: &mut Job, share: f64) {
    if dice.chance(0.25) {
        job.turn_deaf();
    }
    let otherwise = dice.chance(share);
    for Behaviour { run, .. } in &mut job.ranks {
        let Run::Exits { after, code: 1 } = run else {
            continue;
        };
        let after = *after;
        if otherwise {
            *run = match dice.below(10) {
                0..=2 => Run::Exits { after, code: 93 },
                3..=5 => Run::OutOfMemory { after },
                6..=7 => Run::Interrupted { after, code: 143 },
                _ => Run::Interrupted { after, code: 0 },
            };
        }
    }
}

/// A bad GPU's kernel mostly says so; the other nodes of a lost gang log echoes, now and then.
fn kernel(dice: &Dice, node: &mut Node, gang_aborts: bool) {
    let age = Duration::from_secs(dice.between(1, 90).into());
    if node.gpu != GpuHealth::Healthy {
        if dice.chance(0.6) {
            node.kernel.push((age, dice.weigh(&XIDS)));
        }
    } else if gang_aborts && dice.chance(0.15) {
        node.kernel.push((age, dice.weigh(&ECHOES)));
    } else if dice.chance(0.01) {
        node.kernel.push((age, dice.weigh(&XIDS)));
    }
}
