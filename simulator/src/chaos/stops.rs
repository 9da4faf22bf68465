//! Operators who stop a rank at the moments that matter: long before anything fails, or just as another rank does.

use super::dice::Dice;
use crate::{
    ecs::Run,
    plan::{Deed, Plan},
};
use std::time::Duration;

impl Plan {
    /// By dice of their own.
    pub(super) fn stop_a_rank(&mut self) {
        let dice = Dice::new(self.seed, "stops");
        if !dice.chance(0.08) {
            return;
        }
        let job = dice.below(self.jobs.len());
        let ends = self.jobs[job]
            .ranks
            .iter()
            .filter_map(|rank| match &rank.run {
                Run::Exits { after, .. } => Some(*after),
                _ => None,
            });
        let failure = ends.min().unwrap_or(Duration::from_secs(60));
        let at = match dice.chance(0.5) {
            true => {
                self.jobs[job].at
                    + failure
                    + Duration::from_millis(u64::from(dice.between(0, 3000)))
            }
            false => dice.seconds(15, 25),
        };
        let rank = dice.below(64);
        let reason = match dice.chance(0.2) {
            true => "keep-others: I look at this one",
            false => "enough for today",
        };
        let reason = reason.to_owned();
        self.deeds.push((at, Deed::StopTask { job, rank, reason }));
        self.deeds.sort_by_key(|(at, _)| *at);
    }
}
