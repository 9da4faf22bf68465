//! Promise 3, of time: a job is back when its parts have taken their time. What tasks, checks and reboots take is theirs; what
//! is left is the system's own, and that is bounded.

use super::Inner;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// When something of a job's recovery was under way that takes its own time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// What is under way, and since when.
    open: BTreeSet<String>,
    since: Duration,
    /// When something was.
    busy: Vec<(Duration, Duration)>,
    /// Each attempt's first end.
    failed: BTreeMap<(String, u32), Duration>,
    /// Of each relaunch, the system's own time.
    own: Vec<(String, u32, Duration)>,
}

impl Pace {
    pub fn begins(&mut self, what: &str, now: Duration) {
        if self.open.is_empty() {
            self.since = now;
        }
        self.open.insert(what.to_owned());
    }

    pub fn ends(&mut self, what: &str, now: Duration) {
        if self.open.remove(what) && self.open.is_empty() {
            self.busy.push((self.since, now));
        }
    }

    pub fn failed(&mut self, job: &str, attempt: u32, now: Duration) {
        self.failed.entry((job.to_owned(), attempt)).or_insert(now);
    }

    pub fn relaunched(&mut self, job: &str, attempt: u32, now: Duration) {
        let before = (job.to_owned(), attempt.saturating_sub(1));
        let Some(failed) = self.failed.get(&before).copied() else {
            return;
        };
        let under_way = (!self.open.is_empty()).then_some((self.since, now));
        let busy = self.busy.iter().copied().chain(under_way);
        let busy: Duration = busy
            .map(|(from, to)| to.saturating_sub(from.max(failed)))
            .sum();
        let own = now.saturating_sub(failed).saturating_sub(busy);
        self.own.push((job.to_owned(), attempt, own));
    }
}

impl Inner {
    /// What took the system itself longer than that.
    pub(super) fn too_slow(&self, allowed: Duration) -> Vec<String> {
        let slow = self.pace.own.iter().filter(|(.., own)| *own > allowed);
        slow.map(|(job, attempt, own)| {
            let (own, allowed) = (own.as_secs(), allowed.as_secs());
            format!("promise 3: {job} became attempt {attempt} after {own} s in which nothing was under way, {allowed} are allowed")
        })
        .collect()
    }
}
