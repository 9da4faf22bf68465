//! Letting virtual time pass until nothing happens any more.

use crate::{cloud::Cloud, eventbridge::Delivery};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// When it counts as over.
#[derive(Debug, Clone, Copy)]
pub struct Calm {
    /// Between two looks.
    pub step: Duration,
    /// No execution has run or started for so long.
    pub quiet: Duration,
    /// The same, before the first execution.
    pub patience: Duration,
    /// It is broken off then.
    pub bound: Instant,
}

impl Calm {
    /// So long without an execution, beside what may still be late.
    pub fn beside(self, delivery: &Delivery) -> Self {
        let may_be_late = delivery.late > 0.0 || delivery.duplicates > 0.0;
        let late_by = if may_be_late {
            delivery.late_by.end
        } else {
            Duration::ZERO
        };
        Self {
            quiet: self.quiet + late_by,
            patience: self.patience + late_by,
            ..self
        }
    }

    /// Waits; false when it never comes. `busy` is asked at each look, and true means that more is to come.
    pub async fn settle(self, cloud: &Cloud, mut busy: impl FnMut() -> bool) -> bool {
        let mut seen = 0;
        let mut last = Instant::now();
        while Instant::now() < self.bound {
            sleep(self.step).await;
            let (running, all) = cloud.stepfunctions.counts();
            if running > 0 || all != seen {
                seen = all;
                last = Instant::now();
            }
            let enough = if all == 0 { self.patience } else { self.quiet };
            if last.elapsed() >= enough {
                return true;
            }
            if busy() {
                last = Instant::now();
            }
        }
        false
    }
}
