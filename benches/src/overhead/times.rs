//! When things happened to tasks, hosts and agents, from the events that ECS sent and from what hosts really did.

use super::ledger::{Piece, Spans};
use crate::site::{Site, What};
use aws_smithy_types::{DateTime, date_time::Format};
use serde_json::Value;
use simulator::{
    cloud::HEALTH_CHECK,
    ssm::{PROBE, REBOOT},
};
use std::{collections::BTreeMap, time::SystemTime};
use workers::aws::launch_names::started_by;

/// A task's times, in seconds since the ranks died.
#[derive(Debug, Clone, Default)]
pub struct TaskTimes {
    pub created: Option<f64>,
    pub started: Option<f64>,
    pub stopping: Option<f64>,
    pub process_ended: Option<f64>,
    pub stopped: Option<f64>,
    pub by_user: bool,
    /// When ECS told of its end.
    pub end_told: Option<f64>,
}

/// What the first job's tasks and nodes did.
#[derive(Debug, Default)]
pub struct JobTimes {
    pub first_attempt: Vec<TaskTimes>,
    pub second_attempt: Vec<TaskTimes>,
    pub checks: Vec<TaskTimes>,
    /// From each reboot's begin until the SSM agent took commands.
    pub reboots: Vec<(f64, f64)>,
    /// While an ECS agent was away.
    pub agent_away: Vec<(f64, f64)>,
    /// When ECS told that an agent is back.
    pub agents_back: Vec<f64>,
    /// When SSM told that a reboot order had succeeded.
    pub commands_done: Vec<f64>,
    /// When SSM told that a node had answered.
    pub answers: Vec<f64>,
}

/// Seconds since the ranks died; before that, negative.
pub fn seconds(site: &Site, at: SystemTime) -> f64 {
    match at.duration_since(site.dies_at) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

impl JobTimes {
    pub fn read(site: &Site) -> Self {
        let mut seen = Self::default();
        let mut tasks: BTreeMap<String, (Value, Option<f64>)> = BTreeMap::new();
        let mut away: BTreeMap<String, f64> = BTreeMap::new();
        for (at, event) in site.cloud.bus.timed_record() {
            let (at, detail) = (seconds(site, at), &event["detail"]);
            let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
            match event["detail-type"].as_str() {
                Some("ECS Task State Change") => {
                    let told = (text("lastStatus") == "STOPPED").then_some(at);
                    let entry = tasks.entry(text("taskArn")).or_default();
                    entry.1 = entry.1.or(told);
                    if detail["version"].as_u64() >= entry.0["version"].as_u64() {
                        entry.0 = detail.clone();
                    }
                }
                Some("ECS Container Instance State Change") => {
                    let id = text("ec2InstanceId");
                    if detail["agentConnected"] == false {
                        away.entry(id).or_insert(at);
                    } else if let Some(from) = away.remove(&id) {
                        seen.agent_away.push((from, at));
                        seen.agents_back.push(at);
                    }
                }
                Some("EC2 Command Invocation Status-change Notification")
                    if text("status") == "Success" =>
                {
                    match text("document-name").as_str() {
                        REBOOT => seen.commands_done.push(at),
                        PROBE => seen.answers.push(at),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        let job = &site.jobs[0];
        let attempts = [1, 2].map(|attempt| started_by(job, attempt));
        for (task, told) in tasks.into_values() {
            let times = times(site, &task, told);
            if task["group"] == format!("family:{HEALTH_CHECK}").as_str() {
                seen.checks.push(times);
            } else if task["startedBy"] == attempts[0].as_str() {
                seen.first_attempt.push(times);
            } else if task["startedBy"] == attempts[1].as_str() {
                seen.second_attempt.push(times);
            }
        }
        seen.reboots = reboots(site);
        seen
    }

    /// When the first rank's process died.
    pub fn begin(&self) -> f64 {
        let own = self.first_attempt.iter().filter(|task| !task.by_user);
        own.filter_map(|task| task.process_ended.or(task.stopped))
            .fold(f64::MAX, f64::min)
    }

    /// When the last new rank ran.
    pub fn end(&self) -> f64 {
        let started = self.second_attempt.iter().filter_map(|task| task.started);
        started.fold(0.0, f64::max)
    }

    /// When ECS told of the first rank's end.
    pub fn told(&self) -> f64 {
        let told = self.first_attempt.iter().filter(|task| !task.by_user);
        told.filter_map(|task| task.end_told)
            .fold(f64::MAX, f64::min)
    }

    /// When the last of the old tasks was STOPPED.
    pub fn all_stopped(&self) -> f64 {
        let stopped = self.first_attempt.iter().filter_map(|task| task.stopped);
        stopped.fold(0.0, f64::max)
    }

    /// What no system can do without. Of tasks that stop or start side by side the slowest one counts, at the end: what is
    /// before it is the time that orders take to go out.
    pub fn physics(&self) -> Spans {
        let mut spans = Spans::default();
        let stops = self.first_attempt.iter().filter(|task| task.by_user);
        let stop = slowest(stops.map(|task| task.stopping.zip(task.stopped)));
        spans.add(
            Piece::SlowestStop,
            self.all_stopped() - stop,
            self.all_stopped(),
        );
        let starts = self.second_attempt.iter();
        let start = slowest(starts.map(|task| task.created.zip(task.started)));
        spans.add(Piece::SlowestStart, self.end() - start, self.end());
        let rebooted = self
            .reboots
            .iter()
            .map(|(from, _)| *from)
            .fold(f64::MAX, f64::min);
        for (from, to) in self
            .checks
            .iter()
            .filter_map(|t| t.created.zip(t.process_ended))
        {
            let piece = if from < rebooted {
                Piece::Dcgm
            } else {
                Piece::Verification
            };
            spans.add(piece, from, to);
        }
        for (from, to) in self.reboots.iter().chain(&self.agent_away) {
            spans.add(Piece::Reboot, *from, *to);
        }
        spans.add(Piece::ExitReport, self.begin(), self.told());
        for check in &self.checks {
            if let Some((from, to)) = check.process_ended.zip(check.end_told) {
                spans.add(Piece::ExitReport, from, to);
            }
        }
        spans
    }
}

/// The longest of the spans.
fn slowest(spans: impl Iterator<Item = Option<(f64, f64)>>) -> f64 {
    let lengths = spans.flatten().map(|(from, to)| to - from);
    lengths.fold(0.0, f64::max)
}

fn reboots(site: &Site) -> Vec<(f64, f64)> {
    let mut begun: BTreeMap<String, f64> = BTreeMap::new();
    let mut reboots = Vec::new();
    for moment in site.moments() {
        let at = seconds(site, moment.at);
        match moment.what {
            What::RebootBegins => {
                begun.entry(moment.who).or_insert(at);
            }
            What::SsmAgentBack => {
                reboots.extend(begun.remove(&moment.who).map(|from| (from, at)));
            }
            What::FunctionCalled => {}
        }
    }
    reboots
}

fn times(site: &Site, task: &Value, end_told: Option<f64>) -> TaskTimes {
    let time = |name: &str| {
        let text = task[name].as_str()?;
        let time = DateTime::from_str(text, Format::DateTime).ok()?;
        Some(seconds(site, SystemTime::try_from(time).ok()?))
    };
    TaskTimes {
        created: time("createdAt"),
        started: time("startedAt"),
        stopping: time("stoppingAt"),
        process_ended: time("executionStoppedAt"),
        stopped: time("stoppedAt"),
        by_user: task["stopCode"] == "UserInitiated",
        end_told,
    }
}
