//! The live view: a line for each state as it is played, with its virtual time.

mod chronicle;

use super::{
    machine::Machine,
    words::{Tone, Words},
};
use crate::output::{self, Output, counted, paint};
use anstyle::Style;
use chronicle::{Chronicle, Ended};
use serde_json::Value;
use simulator::scenario::Observer;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// An execution that goes through more states than this does more than to find that there is nothing to do.
const STATES_OF_NOTE: usize = 4;
/// Executions with nothing to do are counted until none has come for so long.
const LULL: Duration = Duration::from_secs(20);
/// Columns of the virtual time, `+10:07.4`.
const TIME: usize = 8;
/// Columns of the mark before a state's name.
const MARK: usize = 3;
/// State names get no more columns than this.
const STATE: usize = 26;
/// Below so many columns the text gets lines of its own.
const NARROW: usize = 72;

/// Whose executions are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A drill's: those that have nothing to do are only counted.
    Drill,
    /// All.
    Mocks,
}

/// Shows what the observer sees.
pub struct Live(Arc<Mutex<Narrator>>);

impl Live {
    pub fn new(output: Output, definition: &str, audience: Audience) -> Self {
        let machine = Machine::read(definition);
        let state_columns = machine.widest().min(STATE);
        Self(Arc::new(Mutex::new(Narrator {
            output,
            machine,
            audience,
            state_columns,
            executions: HashMap::new(),
            pending: None,
            quiet: Vec::new(),
            quiet_at: Duration::ZERO,
            begun: false,
        })))
    }

    pub fn observer(&self) -> Observer {
        let narrator = self.0.clone();
        Arc::new(move |at, execution, event| lock(&narrator).see(at, execution, event))
    }

    /// Shows what was held back.
    pub fn finish(&self) {
        let mut narrator = lock(&self.0);
        narrator.flush();
        narrator.tell_quiet();
    }
}

fn lock(narrator: &Mutex<Narrator>) -> MutexGuard<'_, Narrator> {
    narrator.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thing to tell.
#[derive(Debug, Clone)]
pub(super) struct Line {
    at: Duration,
    /// The state's name, or what happened to the execution.
    what: String,
    style: Style,
    depth: usize,
    /// The Map iteration's instance.
    label: Option<String>,
    words: Words,
    took: Option<Duration>,
}

#[derive(Debug, Clone)]
pub(super) enum Telling {
    /// A state was entered; the number names the visit.
    Entered(usize, Line),
    /// The state was left.
    Left(usize, Line),
    /// Something happened on the way.
    Note(Line),
}

struct Execution {
    chronicle: Chronicle,
    /// What was not shown yet; `None` once all is shown.
    held: Option<Vec<Telling>>,
}

struct Narrator {
    output: Output,
    machine: Machine,
    audience: Audience,
    state_columns: usize,
    executions: HashMap<String, Execution>,
    /// The state that was entered last: its line waits for what comes of it.
    pending: Option<(String, usize, Line)>,
    /// Executions that had nothing to do, by what they found, and when the last one ended.
    quiet: Vec<(String, u64)>,
    quiet_at: Duration,
    /// Something was told.
    begun: bool,
}

impl Narrator {
    fn see(&mut self, at: Duration, arn: &str, event: &Value) {
        let hide = self.audience == Audience::Drill;
        let execution = self
            .executions
            .entry(arn.to_owned())
            .or_insert_with(|| Execution {
                chronicle: Chronicle::default(),
                held: hide.then(Vec::new),
            });
        let tellings = execution.chronicle.see(at, event, &self.machine);
        let chronicle = &execution.chronicle;
        let of_note = chronicle.matters
            || chronicle.states() > STATES_OF_NOTE
            || chronicle.ended == Some(Ended::Badly);
        let completes = chronicle.completes();
        let quiet = execution.held.is_some() && !of_note && chronicle.ended.is_some();
        let summary = quiet.then(|| chronicle.summary());
        let mut shown = false;
        let tellings = match &mut execution.held {
            Some(held) => {
                held.extend(tellings);
                if of_note {
                    shown = true;
                    execution.held.take().unwrap_or_default()
                } else {
                    Vec::new()
                }
            }
            None => tellings,
        };
        if let Some(summary) = summary {
            self.executions.remove(arn);
            self.count_quiet(at, summary);
        }
        if shown && completes {
            self.flush();
            self.tell_quiet();
        }
        for telling in tellings {
            self.tell(arn, telling);
        }
    }

    fn count_quiet(&mut self, at: Duration, summary: String) {
        match self.quiet.iter_mut().find(|(known, _)| *known == summary) {
            Some((_, number)) => *number += 1,
            None => self.quiet.push((summary, 1)),
        }
        self.quiet_at = at;
    }

    fn tell(&mut self, arn: &str, telling: Telling) {
        match telling {
            Telling::Entered(visit, line) => {
                self.flush();
                let label = line.label.as_deref().unwrap_or_default();
                let now = format!("{} {} {label}", time(line.at), line.what);
                self.output.progress(now.trim_end());
                self.pending = Some((arn.to_owned(), visit, line));
            }
            Telling::Left(visit, mut line) => match self.pending.take() {
                Some((of, number, entered)) if of == arn && number == visit => {
                    line.at = entered.at;
                    self.print(&line, " ");
                }
                pending => {
                    self.pending = pending;
                    self.flush();
                    self.print(&line, "└");
                }
            },
            Telling::Note(line) => {
                self.flush();
                self.print(&line, " ");
            }
        }
    }

    /// Shows the line that waits.
    fn flush(&mut self) {
        if let Some((_, _, line)) = self.pending.take() {
            self.print(&line, " ");
        }
    }

    /// An empty line sets the view off from what is before.
    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.output.line("");
        }
    }

    fn tell_quiet(&mut self) {
        if !self.quiet.is_empty() {
            self.begin();
        }
        let blank = " ".repeat(TIME + MARK);
        for (summary, number) in std::mem::take(&mut self.quiet) {
            let text = format!("{} {summary}", counted(number, "stop event"));
            for line in output::wrapped(&text, self.output.width(), &blank, &blank) {
                self.output.line(&paint(output::DIM, line));
            }
        }
    }

    fn print(&mut self, line: &Line, mark: &str) {
        if line.at >= self.quiet_at + LULL {
            self.tell_quiet();
        }
        self.begin();
        let what = format!("{}{}", "  ".repeat(line.depth), line.what);
        let text = text(line);
        let style = match line.words.tone {
            Tone::Plain => Style::new(),
            Tone::Good => output::GOOD,
            Tone::Warning => output::WARNING,
            Tone::Bad => output::BAD,
        };
        let head = paint(output::DIM, format!("{:>TIME$}", time(line.at)));
        let name = paint(line.style, &what);
        let width = self.output.width();
        if width < NARROW {
            self.output.line(&format!("{head} {mark} {name}"));
            let lines = output::wrapped(&text, width, "    ", "    ");
            for line in lines.iter().filter(|line| !line.trim().is_empty()) {
                self.output.line(&paint(style, line));
            }
            return;
        }
        let indent = TIME + MARK + self.state_columns + 2;
        let gap = self.state_columns.saturating_sub(output::columns(&what)) + 2;
        let lines = output::wrapped(&text, width.saturating_sub(indent), "", "");
        let mut lines = lines.iter();
        let first = lines.next().map_or("", String::as_str);
        self.output.line(&format!(
            "{head} {mark} {name}{}{}",
            " ".repeat(gap),
            paint(style, first)
        ));
        for line in lines {
            self.output
                .line(&format!("{}{}", " ".repeat(indent), paint(style, line)));
        }
    }
}

fn text(line: &Line) -> String {
    let mut text = match (&line.label, line.words.text.as_str()) {
        (Some(label), "") => label.clone(),
        (Some(label), words) => format!("{label}: {words}"),
        (None, words) => words.to_owned(),
    };
    if let Some(took) = line.took.filter(|took| took.as_secs() >= 1) {
        text += &format!(" ({})", output::unbroken_span(took.as_secs_f64()));
    }
    text
}

/// `+10:07.4`; after an hour, `+1:02:03`.
pub(super) fn time(at: Duration) -> String {
    let tenths = at.as_millis() / 100;
    let (seconds, tenths) = (tenths / 10, tenths % 10);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match minutes {
        ..60 => format!("+{minutes:02}:{seconds:02}.{tenths}"),
        _ => format!("+{}:{:02}:{seconds:02}", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_on_a_clock() {
        assert_eq!(time(Duration::from_millis(607_449)), "+10:07.4");
        assert_eq!(time(Duration::from_secs(3_723)), "+1:02:03");
    }
}
