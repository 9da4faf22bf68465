//! What came of a schedule, for people and for programs.

use super::plan::Plan;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// A schedule that was played.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChaosReport {
    pub seed: u64,
    /// Plays this very schedule again.
    pub command: String,
    /// What the seed stands for, a line each.
    pub plan: Vec<String>,
    /// Faults of AWS calls that struck, a line each.
    pub strikes: Vec<String>,
    /// How each job ended, a line each.
    pub jobs: Vec<String>,
    pub broken_promises: Vec<String>,
    pub counts: Counts,
}

/// How much happened.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    pub instances: usize,
    pub jobs: usize,
    pub ranks: usize,
    pub executions: usize,
    pub redrives: u32,
    pub reboots: usize,
    pub relaunches: usize,
    pub quarantined: usize,
    pub notifications: usize,
    /// Asynchronous invocations that failed for good; their alarm tells the operators.
    pub dead_letters: usize,
    pub calls: usize,
    pub strikes: BTreeMap<String, usize>,
    pub virtual_hours: f64,
}

impl ChaosReport {
    /// Every promise was kept.
    pub fn passed(&self) -> bool {
        self.broken_promises.is_empty()
    }
}

impl fmt::Display for ChaosReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut section = |name: &str, lines: &[String]| {
            if lines.is_empty() {
                return Ok(());
            }
            writeln!(f, "{name}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
        };
        section(&format!("Seed {}", self.seed), &self.plan)?;
        section("Faults", &self.strikes)?;
        section("Ended", &self.jobs)?;
        section("BROKEN PROMISES", &self.broken_promises)?;
        let c = &self.counts;
        writeln!(
            f,
            "{} executions ({} redrives), {} calls, {} reboots, {} relaunches, {} messages, {:.1} virtual hours",
            c.executions,
            c.redrives,
            c.calls,
            c.reboots,
            c.relaunches,
            c.notifications,
            c.virtual_hours
        )?;
        if self.passed() {
            writeln!(f, "No promise was broken.")
        } else {
            writeln!(f, "Again: {}", self.command)
        }
    }
}

/// The plan in short.
pub(super) fn told(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for job in &plan.jobs {
        let mut ranks: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (rank, run) in job.ranks.iter().enumerate() {
            ranks.entry(format!("{run:?}")).or_default().push(rank);
        }
        let ranks: Vec<String> = ranks
            .iter()
            .map(|(run, ranks)| format!("{ranks:?} {run}"))
            .collect();
        lines.push(format!(
            "job {} on {} nodes, {} GPUs each: {}; then {:?}",
            job.id,
            job.nodes.len(),
            job.gpus,
            ranks.join(", "),
            job.later
        ));
    }
    let usual = |node: &&super::plan::Node| {
        node.gpu != crate::ecs::GpuHealth::Healthy
            || node.reboot != crate::ecs::RebootOutcome::Returns
            || node.ssm != crate::ecs::SsmAgent::Running
            || node.relapses.is_some()
    };
    lines.extend(plan.nodes.iter().filter(usual).map(|node| {
        format!(
            "node {}: GPU {:?}, reboot {:?}, SSM {:?}{}",
            node.id,
            node.gpu,
            node.reboot,
            node.ssm,
            node.relapses.map_or(String::new(), |d| format!(
                ", bad again {d:?} after a reboot"
            ))
        )
    }));
    lines.push(format!("settings {:?}", plan.settings));
    lines.push(format!(
        "events: {:.0} % lost, {:.0} % twice, {:.0} % late by up to {:?}, {}; agents {}; ECS shows a task after {:?}, \
         Step Functions an execution after {:?}",
        plan.delivery.lost * 100.0,
        plan.delivery.duplicates * 100.0,
        plan.delivery.late * 100.0,
        plan.delivery.late_by.end,
        if plan.delivery.in_order {
            "in order"
        } else {
            "out of order"
        },
        if plan.flaps { "flap" } else { "stay" },
        plan.storm.ecs_lag,
        plan.storm.states_lag,
    ));
    if !plan.throttle.is_empty() {
        lines.push(format!("throttled: {:?}", plan.throttle));
    }
    lines.push(format!("{:?}", plan.storm));
    lines.extend(
        plan.deeds
            .iter()
            .map(|(at, deed)| format!("{:.1} s: {deed:?}", at.as_secs_f64())),
    );
    lines
}
