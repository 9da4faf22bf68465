//! The design's promises, checked against what really happens in the account: by [`Watch`] at the moment it happens, and by
//! [`kept`] when nothing happens any more. Drills and schedules are held to the same.

mod end;
mod watch;

pub(crate) use end::{Verdict, kept};
pub(crate) use watch::{Life, Watch};

use crate::cloud::Cloud;
use std::collections::{BTreeMap, BTreeSet};
use workers::{aws::launch_names::started_by, ids::JobId};

/// No job is relaunched so often.
const MAX_ATTEMPTS: u32 = 12;

/// Job and attempt of each `startedBy`.
pub(crate) type Attempts = BTreeMap<String, (String, u32)>;

/// The attempts of these jobs.
pub(crate) fn attempts<'a>(jobs: impl IntoIterator<Item = &'a str>) -> Attempts {
    let of = |job: &'a str| {
        let id = JobId::new(job);
        (1..=MAX_ATTEMPTS).map(move |attempt| (started_by(&id, attempt), (job.to_owned(), attempt)))
    };
    jobs.into_iter().flat_map(of).collect()
}

/// What people have done, as far as a promise depends on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hands {
    /// Nodes that an operator has cordoned.
    pub cordoned: BTreeSet<String>,
    /// Jobs of which an operator has stopped a task.
    pub stopped: BTreeSet<String>,
    /// Those whose other ranks were to be left alone.
    pub left: BTreeSet<String>,
    /// Nodes that an operator has deregistered.
    pub deregistered: BTreeSet<String>,
    pub redrives: u32,
}

/// Where nothing happens any more.
pub(crate) struct Scene<'a> {
    pub cloud: &'a Cloud,
    pub watch: &'a Watch,
    pub hands: &'a Hands,
    /// Every job's id.
    pub jobs: Vec<&'a str>,
    /// Of the largest job.
    pub ranks: usize,
    /// Operators have redriven whatever failed: nothing may be left red, or held by what is.
    pub redriven: bool,
}
