//! What came of a schedule, for people and for programs.

use super::words::counted;
use schemars::JsonSchema;
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// A schedule that was played.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
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
            "{} ({}), {}, {}, {}, {}, {:.1} virtual hours",
            counted(c.executions, "execution"),
            counted(c.redrives as usize, "redrive"),
            counted(c.calls, "call"),
            counted(c.reboots, "reboot"),
            counted(c.relaunches, "relaunched attempt"),
            counted(c.notifications, "message"),
            c.virtual_hours
        )?;
        if self.passed() {
            writeln!(f, "No promise was broken.")
        } else {
            writeln!(f, "Again: {}", self.command)
        }
    }
}
