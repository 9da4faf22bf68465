//! A line for each state, as `drill` has them: for a pipe, a file, and who wants to scroll.

use super::wait;
use crate::{
    drill::live::{Audience, Live},
    history::{self, path::Path},
    output::{self, Output, paint},
};
use serde_json::Value;
use simulator::scenario::Observer;
use std::{collections::HashSet, time::Duration};
use workers::ids::ExecutionArn;

/// A try that lasts longer than this is worth a line before it ends.
const LONG: f64 = 5.0;

/// Writes what comes.
pub struct Lines<'a> {
    output: &'a Output,
    definition: &'a Value,
    live: Live,
    observer: Observer,
    /// The waits that were told: when the state was entered, its name, and the try.
    told: HashSet<(u64, String, u32)>,
}

impl<'a> Lines<'a> {
    pub fn new(output: &'a Output, definition: &'a Value) -> Self {
        let live = Live::new(output.clone(), &definition.to_string(), Audience::Mocks);
        Self {
            output,
            definition,
            observer: live.observer(),
            live,
            told: HashSet::new(),
        }
    }

    /// What has come since the last look.
    pub fn show(&mut self, execution: &ExecutionArn, new: &[Value], path: &Path, now: f64) {
        for event in new {
            let at = history::at(event) - path.started;
            let at = Duration::try_from_secs_f64(at).unwrap_or_default();
            (self.observer)(at, execution.as_str(), event);
        }
        if path.status != "RUNNING" {
            self.live.finish();
            self.output.still();
            return;
        }
        self.tick(path, now);
        for visit in path.standing() {
            let wait = (visit.entered.to_bits(), visit.name.clone(), visit.tries);
            // On a terminal it is shown anyway.
            let long = now - visit.entered.max(visit.tried) >= LONG;
            if !self.output.watched() && long && self.told.insert(wait) {
                let text = format!("under way: {}", wait::told(visit, self.definition, now));
                self.output.text("", &paint(output::DIM, text));
            }
        }
    }

    /// On a terminal what is waited for stands below the lines.
    pub fn tick(&self, path: &Path, now: f64) {
        if let Some(visit) = path.standing().last() {
            let text = wait::told(visit, self.definition, now);
            self.output.progress(&text);
        }
    }
}
