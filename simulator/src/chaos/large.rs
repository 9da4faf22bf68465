//! Jobs as large as they may be: one in two hundred schedules, each with one job, one bad node and few deeds, so that all of
//! them cost no more than the others.

use super::dice::Dice;
use crate::{
    ecs::{Behaviour, GpuHealth},
    eventbridge::Delivery,
    launcher::GPUS,
    plan::{Deed, Job, Node, Plan, Storm},
};
use std::{collections::BTreeMap, time::Duration};

/// The smallest of them, and how often that may double: 65 to 1,024 nodes, each power of two as likely as another.
const SMALLEST: f64 = 65.0;
const LARGEST: f64 = 1024.0;

impl Plan {
    /// The large schedule of a seed, if it is one.
    pub(super) fn large(seed: u64) -> Option<Self> {
        let dice = Dice::new(seed, "large");
        dice.chance(0.005).then(|| draw(seed, &dice))
    }
}

fn draw(seed: u64, dice: &Dice) -> Plan {
    let doubled = f64::from(dice.between(0, 1000)) / 1000.0;
    let size = (SMALLEST * (LARGEST / SMALLEST).powf(doubled)).round() as usize;
    let mut nodes: Vec<Node> = (0..size)
        .map(|n| Node::well(&format!("i-0c4a05{n:011x}")))
        .collect();
    let bad = dice.below(size);
    nodes[bad].gpu = dice.weigh(&[
        (4, GpuHealth::FaultUntilReboot),
        (1, GpuHealth::FaultForever),
        (1, GpuHealth::Healthy),
    ]);
    // Without a word of the kernel an abort of all ranks accuses all of their nodes.
    let told = dice.chance(0.7);
    if told {
        nodes[bad].kernel.push((dice.seconds(1, 90), 79));
    }
    let mut job = Job::new("llama", GPUS, (0..size).collect());
    job.recovery_attempts = Some(2);
    if told && dice.chance(0.7) || dice.chance(0.1) {
        let after = Duration::from_millis(u64::from(dice.between(1, 3000)));
        job.ranks.fill(Behaviour::aborts_with_gang(after, 1));
    }
    let failure = dice.seconds(30, 600);
    job.ranks[bad] = Behaviour::exits(failure, 1);
    let mut deeds = Vec::new();
    for _ in 0..dice.weigh(&[(4, 0), (2, 1), (1, 2)]) {
        let at = failure + dice.seconds(1, 900);
        deeds.push((at, dice.pick(&[Deed::Abort, Deed::Redrive, Deed::Replay])));
    }
    deeds.sort_by_key(|(at, _)| *at);
    let relaunch = ("HEALTHY_POLICY".to_owned(), "relaunch".to_owned());
    let mut plan = Plan {
        seed,
        settings: BTreeMap::from([relaunch]),
        spares: Vec::new(),
        nodes,
        jobs: vec![job],
        delivery: Delivery {
            duplicates: dice.pick(&[0.0, 0.1]),
            ..Delivery::default()
        },
        flaps: false,
        throttle: Vec::new(),
        throttled_submission: false,
        sidecar: false,
        deeds,
        storm: Storm {
            rate: dice.pick(&[0.0, 0.001, 0.01]),
            budget: 6,
            unprocessed: dice.pick(&[0.0, 0.1]),
            ..Storm::CALM
        },
    };
    if dice.chance(0.3) {
        plan.spares.push(size);
        plan.nodes.push(Node::well(&format!("i-0c4a05{size:011x}")));
    }
    plan
}
