//! What the workers log, kept as CloudWatch Logs keeps it: a group for each function.

use serde_json::Value;
use simulator::clock::{Clock, epoch_millis, rfc3339};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tracing::{Dispatch, Level};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter, format::Writer, time::FormatTime},
    layer::SubscriberExt,
};

/// Of each function so many lines are kept.
const LINES: usize = 1000;

/// A line of a log.
#[derive(Debug, Clone)]
pub struct Line {
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    pub text: String,
}

/// Clones are the same logs.
#[derive(Clone)]
pub struct Logs {
    clock: Clock,
    /// By the worker's name.
    groups: Arc<Mutex<BTreeMap<String, VecDeque<Line>>>>,
}

impl Logs {
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            groups: Arc::default(),
        }
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Line>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines of a worker, oldest first.
    pub fn of(&self, worker: &str) -> Vec<Line> {
        let groups = self.groups();
        let lines = groups.get(worker);
        lines.into_iter().flatten().cloned().collect()
    }

    /// What takes the workers' lines: the form of `workers::lambda`, one JSON object a line, in virtual time.
    pub fn subscriber(&self) -> Dispatch {
        let targets = Targets::new()
            .with_default(Level::WARN)
            .with_target("workers", Level::INFO);
        let lines = fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_target(false)
            .with_timer(VirtualTime(self.clock))
            .with_writer(self.clone());
        Dispatch::new(tracing_subscriber::registry().with(targets).with(lines))
    }

    fn keep(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        let read: Value = serde_json::from_str(&text).unwrap_or_default();
        let Some(worker) = read["span"]["worker"].as_str() else {
            return;
        };
        let at = epoch_millis(self.clock.now());
        let mut groups = self.groups();
        let lines = groups.entry(worker.to_owned()).or_default();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(Line { at, text });
    }
}

struct VirtualTime(Clock);

impl FormatTime for VirtualTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&rfc3339(self.0.now()))
    }
}

/// The layer writes each line whole.
impl io::Write for Logs {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.keep(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
