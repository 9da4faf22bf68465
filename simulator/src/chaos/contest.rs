//! Two jobs that want the same spare.

use super::dice::Dice;
use crate::{
    ecs::{Behaviour, GpuHealth},
    launcher::GPUS,
    plan::{Job, Node, Plan},
};
use std::time::Duration;

/// Off the bus: the kernel accuses the node at once, and a spare takes over before any check.
const LOST: u32 = 79;
/// An Xid that says to look, and no more: a lead.
const LEAD: u32 = 61;

impl Plan {
    /// In some schedules two jobs of one pool fail at about the same time, and one spare stands by. By dice of their own.
    pub(super) fn contest(&mut self) {
        let dice = Dice::new(self.seed, "contest");
        let size = self.nodes.len() - self.spares.len();
        if size < 4 || !dice.chance(0.06) {
            return;
        }
        let half = size / 2;
        let at = dice.seconds(30, 600);
        self.jobs = [("llama", 0..half), ("mixtral", half..size)]
            .map(|(id, nodes)| Job {
                recovery_attempts: Some(2),
                ..Job::new(id, GPUS, nodes.collect())
            })
            .to_vec();
        for job in &mut self.jobs {
            let after = at + Duration::from_millis(u64::from(dice.between(0, 8000)));
            job.ranks[1] = Behaviour::exits(after, 1);
            let node = &mut self.nodes[job.nodes[1]];
            *node = Node {
                gpu: GpuHealth::FaultUntilReboot,
                kernel: vec![(Duration::from_secs(5), LOST)],
                ..Node::well(&node.id)
            };
        }
        if dice.chance(0.5) {
            self.nodes[0].kernel = vec![(Duration::from_secs(9), LEAD)];
        }
        self.nodes.truncate(size);
        self.nodes.push(Node::well(&format!("i-0c4a05{size:011x}")));
        self.spares = vec![size];
    }
}
