//! Promises of a node, told when it reboots, when ECS says how it stands, and when its check begins.

use super::{Inner, writes::text};
use crate::{
    ecs::{GpuHealth, InstanceView},
    node::Node,
};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// A node that booted so little time ago may have come back between the last question and EC2's reboot.
const JUST_BOOTED: Duration = Duration::from_secs(180);
/// A recovery may look at a node just before an operator drains it.
const JUST_DRAINED: Duration = Duration::from_secs(60);

/// How ECS sees a node, by its events.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    draining_since: Option<Duration>,
    /// Its agent has not connected since the node went down for a reboot.
    is_away: bool,
}

/// A recovery's hold on a node.
pub(super) struct Hold {
    pub by: String,
    pub job: String,
    pub at: SystemTime,
}

impl Inner {
    /// ECS tells how a node stands.
    pub(super) fn node_changed(&mut self, detail: &Value) {
        let text = |name: &str| detail[name].as_str().unwrap_or_default().to_owned();
        let node = text("ec2InstanceId");
        self.nodes
            .insert(text("containerInstanceArn"), node.clone());
        let now = self.clock.elapsed();
        let connected = detail["agentConnected"] == true;
        let seen = self.seen.entry(node.clone()).or_default();
        seen.is_away &= !connected;
        if connected {
            self.pace.ends(&node, now);
        }
        let was = seen.draining_since;
        seen.draining_since = (text("status") == "DRAINING").then(|| was.unwrap_or(now));
        let back = text("status") == "ACTIVE" && was.is_some();
        if back && seen.is_away {
            self.back_too_soon(&node);
        }
    }

    /// Promise 3: what a recovery sets ACTIVE has come back: its agent has connected since the reboot.
    fn back_too_soon(&mut self, node: &str) {
        let item = self.node_item(node);
        let job = self.job_item(&text(&item, "job_id"));
        let (holder, of_job) = (text(&item, "holder"), text(&job, "holder"));
        // Whoever holds the job ends what another execution has left.
        let ours = of_job.is_empty() || of_job == holder;
        if text(&item, "status") == "REBOOTING" && ours {
            let what = format!("{node} is set ACTIVE by {holder}, and its agent has not come back");
            self.breaks(3, &what);
        }
    }

    pub(super) fn is_long_drained(&self, node: &str) -> bool {
        let since = self.seen.get(node).and_then(|seen| seen.draining_since);
        since.is_some_and(|since| self.clock.elapsed() - since > JUST_DRAINED)
    }

    /// Promise 2: what is checked after its reboot has rebooted.
    pub(super) fn verified(&mut self, node: &str) {
        let item = self.node_item(node);
        let holder = text(&item, "holder");
        // One that a spare has replaced is held before it is checked.
        let after = text(&item, "status") == "PENDING_HEALTHCHECK" && item["held_since"].is_null();
        if holder.is_empty() || !after {
            return;
        }
        let executions = self.stepfunctions.executions();
        let began = executions
            .iter()
            .find(|e| e.arn == holder)
            .map(|e| e.started);
        let booted = self.fleet.instance(node).map(|view| view.booted_at);
        // Where another recovery has held it since, nobody knows whether that has rebooted it: it is checked and not rebooted.
        let mut holds = self.holds.get(node).into_iter().flatten();
        let another =
            holds.any(|hold| hold.by != holder && began.is_some_and(|began| hold.at > began));
        if let Some((began, booted)) = began.zip(booted)
            && booted < began
            && !another
        {
            let what =
                format!("{node} is checked after a reboot for {holder}, and has not rebooted");
            self.breaks(2, &what);
        }
    }

    /// Promise 2: never a node that nothing accuses in this very boot, nor one that runs a job's task, but for one that was
    /// told to stop on a node that says itself that it is broken, nor one that another recovery holds. EC2's reboot comes where
    /// the node cannot be asked for its boot any more, and only there.
    pub(super) fn rebooting(&mut self, node: &str, order: &str, view: Option<&InstanceView>) {
        self.reboots
            .push((self.clock.elapsed(), node.to_owned(), order.to_owned()));
        let now = self.clock.now();
        let says_so = view.is_some_and(|view| Node::of(view, now).has_hardware_word());
        // A bare dcgmi does not tell a fault that no reboot helps from others.
        let own_check = self.settings.own_health_check;
        let accused = view.is_some_and(|view| {
            let dcgm = matches!(
                view.gpu_health,
                GpuHealth::FaultUntilReboot
                    | GpuHealth::FaultForever
                    | GpuHealth::DcgmHangs
                    | GpuHealth::NoExitCode
                    | GpuHealth::CannotPlace
            );
            let bare = !own_check && view.gpu_health == GpuHealth::Isolate;
            dcgm || bare || says_so
        });
        let silent = view.is_some_and(|view| {
            let booted = now.duration_since(view.booted_at).unwrap_or_default();
            view.ssm_online != Some(true) || booted < JUST_BOOTED
        });
        let allowed = accused || (order == "ec2" && silent);
        if !allowed {
            let health = view.map(|view| view.gpu_health);
            let gpus = health.map_or("not there".to_owned(), |health| health.to_string());
            let what = format!("{node} is rebooted (order {order}), its GPUs are {gpus}");
            self.breaks(2, &what);
        }
        let runs: Vec<String> = self
            .tasks
            .values()
            .filter(|life| life.instance == node && !life.stopped)
            .filter(|life| !(life.gone || life.told_to_stop && says_so))
            .map(|life| {
                format!(
                    "rank {} of attempt {} of {}",
                    life.rank, life.attempt, life.job
                )
            })
            .collect();
        if let Some(first) = runs.first() {
            self.breaks(
                2,
                &format!("{node} is rebooted (order {order}) under {first}"),
            );
        }
        let here = self.tasks.values_mut();
        for life in here.filter(|life| life.instance == node && !life.stopped) {
            life.gone = true;
        }
        let item = self.node_item(node);
        let holder = item["holder"]["S"].as_str();
        self.within_limits(node, holder.unwrap_or("nobody"));
        match holder {
            None if order == "ec2" => {
                self.breaks(
                    2,
                    &format!("{node} is rebooted by EC2, and nobody holds it"),
                );
            }
            Some(holder) if order != "ec2" && !self.ordered_for_its_job(node, order) => {
                let what = format!("{node} is rebooted (order {order}), and {holder} holds it");
                self.breaks(2, &what);
            }
            // What still takes tasks may have a new one before it is down.
            Some(_) if view.is_some_and(|view| view.status == "ACTIVE") => {
                self.breaks(
                    2,
                    &format!("{node} is rebooted (order {order}) while it takes tasks"),
                );
            }
            _ => {}
        }
        self.seen.entry(node.to_owned()).or_default().is_away = true;
        let now = self.clock.elapsed();
        self.pace.begins(node, now);
    }

    /// Who ordered a node's reboot held it, for the job that it is held for now. SSM delivers an order minutes later; an
    /// execution that has taken the job over holds the node by then, to reboot it in the same boot.
    fn ordered_for_its_job(&self, node: &str, order: &str) -> bool {
        let job = text(&self.node_item(node), "job_id");
        let holds = self.holds.get(node).into_iter().flatten();
        let mut ordered = holds.filter(|hold| hold.by.ends_with(&format!(":{order}")));
        ordered.any(|hold| hold.job == job)
    }
}
