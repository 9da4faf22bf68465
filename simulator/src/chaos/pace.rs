//! How fast a schedule has to be.

use crate::{
    ecs::{RebootOutcome, SsmAgent},
    plan::{Deed, Node, Plan},
};
use std::time::Duration;

/// Waits for a node that says nothing, for an agent, and for a check that is tried once more.
const OWN_TIME: Duration = Duration::from_secs(480);
/// What a failed call may cost, with the pauses before it is tried again.
const FOR_A_STRIKE: Duration = Duration::from_secs(300);
/// With more of them anything may have been held up.
const FEW_STRIKES: usize = 3;

impl Plan {
    /// How long a job may wait while none of its tasks, checks and reboots is under way; nothing is said of a schedule in which
    /// AWS throttles or lags, events are lost, or operators are in the way, or a node's agent is: that has its time-outs.
    pub(super) fn own_time(&self, strikes: usize, redrives: u32) -> Option<Duration> {
        let lags = [self.storm.ecs_lag, self.storm.states_lag];
        let held_up = self.flaps
            || !self.throttle.is_empty()
            || self.delivery.lost > 0.0
            || lags.iter().any(|lag| !lag.is_zero())
            || redrives > 0
            || self.nodes.iter().any(Node::is_slow_to_obey)
            || self.deeds.iter().any(|(_, deed)| {
                !matches!(
                    deed,
                    Deed::Resubmit { .. } | Deed::Replay | Deed::GpuGoesBad { .. }
                )
            });
        let late = match self.delivery.late > 0.0 {
            true => self.delivery.late_by.end,
            false => Duration::ZERO,
        };
        let allowed = OWN_TIME + FOR_A_STRIKE * strikes as u32 + late;
        (!held_up && strikes <= FEW_STRIKES).then_some(allowed)
    }
}

impl Node {
    /// It is rebooted only when an order's time is over.
    fn is_slow_to_obey(&self) -> bool {
        let orders = [self.orders.0, self.orders.1];
        let lost = orders
            .iter()
            .any(|order| order.lost || order.late.is_some());
        lost || self.ssm != SsmAgent::Running || self.reboot != RebootOutcome::Returns
    }
}
