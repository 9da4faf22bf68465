//! When hosts really went down and came back, which no event of AWS tells.

use crate::cloud::Cloud;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Written while a scenario is played. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Hosts(Arc<Mutex<Vec<(SystemTime, String, Moment)>>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    RebootBegins,
    SsmAgentBack,
}

impl Hosts {
    pub fn watch(cloud: &Cloud) -> Self {
        let hosts = Self::default();
        let (log, clock) = (hosts.clone(), cloud.clock);
        cloud
            .fleet
            .on_reboot(move |id, _| log.note(clock.now(), id, Moment::RebootBegins));
        let (log, clock) = (hosts.clone(), cloud.clock);
        cloud
            .fleet
            .on_ssm_online(move |id| log.note(clock.now(), id, Moment::SsmAgentBack));
        hosts
    }

    fn note(&self, at: SystemTime, id: &str, moment: Moment) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.push((at, id.to_owned(), moment));
    }

    /// How often this node began to reboot.
    pub fn reboots_begun(&self, node: &str) -> u32 {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = |(_, id, moment): &&(SystemTime, String, Moment)| {
            id == node && *moment == Moment::RebootBegins
        };
        log.iter().filter(begun).count() as u32
    }

    /// From each reboot's begin until the node's SSM agent took commands again; without an end when it never did.
    pub fn reboots(&self) -> Vec<(SystemTime, Option<SystemTime>)> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut begun: BTreeMap<&str, SystemTime> = BTreeMap::new();
        let mut reboots = Vec::new();
        for (at, id, moment) in log.iter() {
            match moment {
                Moment::RebootBegins => {
                    begun.entry(id).or_insert(*at);
                }
                Moment::SsmAgentBack => {
                    reboots.extend(begun.remove(id.as_str()).map(|from| (from, Some(*at))));
                }
            }
        }
        reboots.extend(begun.into_values().map(|from| (from, None)));
        reboots
    }
}
