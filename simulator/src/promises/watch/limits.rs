//! Promise 2, beside the reboot itself: no check beside a rank of the same job, and no more reboots than the limits allow.
//! And how each node's last check ended.

use super::{Inner, Life};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, UNIX_EPOCH},
};
use workers::{Settings, aws::fleet::CHECKS_STARTED_BY, context::parse_time, records::JobStatus};

/// MAX_FAULTS_PER_MONTH counts so far back.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the deployed settings allow, and what was used of it.
pub(super) struct Limits {
    faulty_instances: u32,
    faults_per_month: u32,
    /// Nodes by the execution that had them rebooted.
    rebooted: BTreeMap<String, BTreeSet<String>>,
    /// Executions by the node that they had rebooted, with the time of the first.
    repairs: BTreeMap<String, BTreeMap<String, Duration>>,
}

impl Limits {
    pub fn of(settings: &Settings) -> Self {
        Self {
            faulty_instances: settings.max_faulty_instances,
            faults_per_month: settings.max_faults_per_month,
            rebooted: BTreeMap::new(),
            repairs: BTreeMap::new(),
        }
    }
}

impl Inner {
    /// A task that is not of a job's launch has changed.
    pub(super) fn check_changed(&mut self, detail: &Value) {
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        if text("startedBy") != CHECKS_STARTED_BY {
            return;
        }
        let Some(node) = self.nodes.get(text("containerInstanceArn")).cloned() else {
            return;
        };
        if text("lastStatus") == "STOPPED" {
            let code = detail["containers"][0]["exitCode"].as_i64();
            // Events come twice, and late.
            let at = parse_time(text("stoppedAt")).and_then(|at| u64::try_from(at).ok());
            let at = at.map_or(self.clock.now(), |at| UNIX_EPOCH + Duration::from_secs(at));
            let last = self.last_checks.entry(node.clone()).or_insert((code, at));
            if at >= last.1 {
                *last = (code, at);
            }
        }
        if text("lastStatus") != "PENDING" {
            return;
        }
        self.verified(&node);
        let here: Vec<&Life> = self.tasks.values().filter(|l| l.instance == node).collect();
        // Beside another job's task the check tells whether the node may be rebooted: it must not. Whose recovery checks a
        // node that several jobs have used, the task does not tell.
        let one_job = here.windows(2).all(|two| two[0].job == two[1].job);
        let Some(life) = here.iter().find(|life| one_job && !life.stopped) else {
            return;
        };
        if self.is_being_recovered(&life.job) {
            let what = format!(
                "{node} is checked while rank {} of attempt {} of {} is on it",
                life.rank, life.attempt, life.job
            );
            self.breaks(2, &what);
        }
    }

    fn is_being_recovered(&self, job: &str) -> bool {
        let item = self.job_item(job);
        item["status"]["S"] == JobStatus::PendingHealthcheck.as_str()
    }

    /// A node is rebooted for the execution that holds it.
    pub(super) fn within_limits(&mut self, node: &str, holder: &str) {
        let now = self.clock.elapsed();
        let limits = &mut self.limits;
        let nodes = limits.rebooted.entry(holder.to_owned()).or_default();
        nodes.insert(node.to_owned());
        let at_once = nodes.len();
        let repairs = limits.repairs.entry(node.to_owned()).or_default();
        repairs.entry(holder.to_owned()).or_insert(now);
        let in_month = repairs.values().filter(|at| now - **at < MONTH).count();
        let (faulty, faults) = (limits.faulty_instances, limits.faults_per_month);
        if at_once > faulty as usize {
            let what =
                format!("{holder} reboots {at_once} nodes, MAX_FAULTY_INSTANCES is {faulty}");
            self.breaks(2, &what);
        }
        // With the last fault that is allowed the node is quarantined, not rebooted.
        if in_month >= faults as usize {
            let what = format!(
                "{node} is rebooted for fault {in_month} of a month, MAX_FAULTS_PER_MONTH is {faults}"
            );
            self.breaks(2, &what);
        }
    }
}
