//! One execution's history, event by event, made into things to tell.

use super::{Line, Telling};
use crate::{
    drill::{
        machine::Machine,
        words::{self, Tone, Words},
    },
    history::path::{Item, Path, Place, Visit},
    output::{self, HEADING, NAME, span},
};
use serde_json::Value;
use std::time::Duration;

/// A Map with more iterations than this is told in counts, but for what is not well.
const WIDE: u64 = 4;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Succeeded,
    Badly,
}

/// What is known of an execution, and what of it was told.
#[derive(Debug)]
pub struct Chronicle {
    /// It does something that everybody wants to see.
    pub matters: bool,
    pub ended: Option<Ended>,
    path: Path,
    /// Of each visit of the path.
    told: Vec<Told>,
    kind: &'static str,
    /// What was said last.
    last: String,
    started: Duration,
    tellings: Vec<Telling>,
}

/// What is to be told of a visit, or was.
#[derive(Debug, Default)]
struct Told {
    entered: Duration,
    /// Where a Choice goes is told with the next state.
    awaits_next: bool,
    assigned: Value,
    resource: (String, String),
    words: Option<Words>,
    /// It failed then, and nobody was told yet.
    failed: Option<Duration>,
    retries: u32,
    /// Why it was tried again last, how often in the same way since that was told, and the
    /// last of those.
    retried_after: Option<String>,
    alike: u32,
    alike_at: Duration,
    alike_retry: u32,
    /// Of a Map: how many iterations it has.
    length: u64,
    counts: Vec<(String, u64)>,
    /// It goes on after a redrive.
    redriven: bool,
}

impl Default for Chronicle {
    fn default() -> Self {
        Self {
            matters: false,
            ended: None,
            path: Path::new(),
            told: Vec::new(),
            kind: "",
            last: String::new(),
            started: Duration::ZERO,
            tellings: Vec::new(),
        }
    }
}

impl Chronicle {
    /// Takes the next event; the answer is what to tell.
    pub fn see(&mut self, at: Duration, event: &Value, machine: &Machine) -> Vec<Telling> {
        let (before, after) = self.path.follow(event);
        self.told.resize_with(self.path.visits.len(), Told::default);
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "ExecutionStarted" => self.execution_started(at),
            "ExecutionRedriven" => self.redriven(at),
            "MapStateStarted" => self.map_started(at, event, before),
            "MapIterationFailed" | "MapStateFailed" | "ParallelStateFailed" => {
                self.tell_failure(at, before);
            }
            "TaskScheduled" => self.scheduled(at, event, after),
            "TaskSucceeded" => self.task_succeeded(at, after),
            "TaskFailed" | "TaskTimedOut" | "EvaluationFailed" => {
                if let Some(visit) = after.visit {
                    self.told[visit].failed = Some(at);
                }
            }
            _ if kind.ends_with("StateEntered") => self.entered(at, before, machine),
            _ if kind.ends_with("StateExited") => self.exited(at, event, after),
            _ if kind.starts_with("Execution") => self.execution_ended(at, before),
            _ => {}
        }
        std::mem::take(&mut self.tellings)
    }

    /// States entered.
    pub fn states(&self) -> usize {
        self.path.visits.len()
    }

    /// Its rank ended well: those before it of the same kind led up to this.
    pub fn completes(&self) -> bool {
        self.kind == words::COMPLETION
    }

    /// Of an execution with nothing to do: what it found, for a count of those alike.
    pub fn summary(&self) -> String {
        format!("({}): {}", self.kind, self.last)
    }

    fn note(&mut self, at: Duration, what: &str, words: Words) {
        self.tellings.push(Telling::Note(Line {
            at,
            what: what.to_owned(),
            style: HEADING,
            depth: 0,
            label: None,
            words,
            took: None,
        }));
    }

    fn line(&self, at: Duration, number: usize, words: Words, took: Option<Duration>) -> Line {
        let visit = &self.path.visits[number];
        // Of a single iteration it is enough to name the instance once, and its number says nothing.
        let label = visit.item.and_then(|item| {
            let (several, opens) = (self.told[item.map].length > 1, visit.from.is_none());
            match self.instance(item) {
                Some(instance) if several || opens => Some(instance.to_owned()),
                None if several => Some(format!("item {}", item.index)),
                _ => None,
            }
        });
        Line {
            at,
            what: visit.name.clone(),
            style: NAME,
            depth: self.path.around(visit.item).count() - 1,
            label,
            words,
            took,
        }
    }

    /// The instance that an item is about, as its newest state says.
    fn instance(&self, item: Item) -> Option<&str> {
        let visits = self.path.visits.iter().rev();
        let mut own = visits.filter(|visit| visit.item == Some(item));
        own.find_map(|visit| visit.input["instance"].as_str())
    }

    /// The outermost Map around it whose iterations are only counted.
    fn wide(&self, number: usize) -> Option<usize> {
        let around = self.path.around(self.path.visits[number].item);
        let maps = around.flatten().map(|item| item.map);
        maps.filter(|map| self.told[*map].length > WIDE).last()
    }

    fn execution_started(&mut self, at: Duration) {
        self.started = at;
        self.kind = words::kind(&self.path.input);
        if let Some(trigger) = words::trigger(&self.path.input) {
            self.note(at, "started", Words::plain(trigger));
        }
    }

    fn redriven(&mut self, at: Duration) {
        self.ended = None;
        let open = |(told, visit): (_, &Visit)| visit.exited.is_none().then_some(told);
        for told in self.told.iter_mut().zip(&self.path.visits).filter_map(open) {
            told.redriven = true;
            told.failed = None;
        }
        self.note(
            at,
            "redriven",
            Words::plain("an operator redrives it: it goes on where it was"),
        );
    }

    fn execution_ended(&mut self, at: Duration, before: Place) {
        self.tell_failure(at, before);
        self.tell_choice(at, before, None, &Machine::default());
        let status = self.path.status;
        let took = span(at.saturating_sub(self.started).as_secs_f64());
        let mut text = format!("{status} after {took}");
        if !self.path.error.is_empty() {
            let why = words::named(&self.path.error, &self.path.cause);
            text += &format!(": {why}");
        }
        let (ended, tone) = if status == "SUCCEEDED" {
            (Ended::Succeeded, Tone::Good)
        } else {
            (Ended::Badly, Tone::Bad)
        };
        self.ended = Some(ended);
        self.note(at, "ended", Words::new(tone, text));
    }

    fn entered(&mut self, at: Duration, before: Place, machine: &Machine) {
        let number = self.path.visits.len() - 1;
        self.told[number].entered = at;
        let name = self.path.visits[number].name.clone();
        self.tell_choice(at, before, Some(&name), machine);
        let kind = self.path.visits[number].kind.as_str();
        if kind == "Succeed" && self.last.is_empty() {
            self.last = "nothing to do".to_owned();
        }
        // A Map is told when it is known how many iterations it has.
        if kind != "Map" && self.wide(number).is_none() {
            let line = self.line(at, number, Words::plain(""), None);
            self.tellings.push(Telling::Entered(number, line));
        }
    }

    fn exited(&mut self, at: Duration, event: &Value, after: Place) {
        let details = &event["stateExitedEventDetails"];
        let left = |number: &usize| {
            let visit = &self.path.visits[*number];
            visit.exited.is_some() && details["name"] == visit.name.as_str()
        };
        let Some(number) = after.visit.filter(left) else {
            return;
        };
        let (visit, told) = (&self.path.visits[number], &mut self.told[number]);
        told.assigned = details["assignedVariables"].clone();
        // A wait tells itself how long it was.
        let waits = told.resource.1 == "invoke.waitForTaskToken" && told.words.is_some();
        let took = at.saturating_sub(told.entered);
        let words = match visit.kind.as_str() {
            "Choice" => {
                told.awaits_next = true;
                return;
            }
            "Map" => {
                let length = told.length;
                let counted = words::map(&visit.output);
                self.tell_counts(at, number);
                counted.unwrap_or_else(|| Words::plain(output::counted(length, "item")))
            }
            "Task" => {
                let failed = told.failed.take();
                let caught = failed.and_then(|_| visit.why());
                let said = caught.or_else(|| told.words.take());
                said.or_else(|| words::record(&visit.output))
                    .unwrap_or_else(|| Words::plain(""))
            }
            "Wait" if took.as_secs() > 0 => Words::plain("waited"),
            // What the state before has said is not said again.
            _ => words::record(&visit.output)
                .filter(|record| !self.last.contains(&record.text))
                .unwrap_or_else(|| Words::plain("")),
        };
        self.tell_left(at, number, words, (!waits).then_some(took));
    }

    fn tell_left(&mut self, at: Duration, number: usize, words: Words, took: Option<Duration>) {
        self.tell_alike(number);
        self.matters |= words.matters;
        if !words.text.is_empty() {
            self.last.clone_from(&words.text);
        }
        let well = matches!(words.tone, Tone::Plain | Tone::Good);
        match self.wide(number) {
            Some(map) if well => {
                if !words.text.is_empty() {
                    let what = format!("{}: {}", self.path.visits[number].name, words.text);
                    self.count(map, what);
                }
            }
            _ => {
                let line = self.line(at, number, words, took);
                self.tellings.push(Telling::Left(number, line));
            }
        }
    }

    fn count(&mut self, map: usize, what: String) {
        let counts = &mut self.told[map].counts;
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, number)) => *number += 1,
            None => counts.push((what, 1)),
        }
    }

    fn tell_counts(&mut self, at: Duration, map: usize) {
        for (what, number) in std::mem::take(&mut self.told[map].counts) {
            let (state, text) = what.split_once(": ").unwrap_or((&what, ""));
            let mut items = self.path.visits.iter();
            let of_instances = items.any(|visit| {
                visit.item.is_some_and(|item| item.map == map)
                    && visit.input["instance"].is_string()
            });
            let noun = if of_instances { "instance" } else { "item" };
            let text = format!("{}: {text}", output::counted(number, noun));
            let mut line = self.line(at, map, Words::plain(text), None);
            line.what = state.to_owned();
            line.depth += 1;
            line.label = None;
            self.tellings.push(Telling::Note(line));
        }
    }

    /// Tells where a Choice went, now that it is known.
    fn tell_choice(&mut self, at: Duration, before: Place, next: Option<&str>, machine: &Machine) {
        let Some(number) = before.visit else {
            return;
        };
        if !std::mem::take(&mut self.told[number].awaits_next) {
            return;
        }
        let (choice, assigned) = (&self.path.visits[number].name, &self.told[number].assigned);
        let words = match next {
            Some(next) => match machine.reason(choice, next, assigned) {
                Some(reason) => Words::plain(format!("{reason} → {next}")),
                None => Words::plain(format!("→ {next}")),
            },
            None => Words::plain(""),
        };
        if self.wide(number).is_none() {
            let line = self.line(at, number, words, None);
            self.tellings.push(Telling::Left(number, line));
        }
    }

    fn map_started(&mut self, at: Duration, event: &Value, before: Place) {
        let Some(number) = before.visit else {
            return;
        };
        let length = event["mapStateStartedEventDetails"]["length"]
            .as_u64()
            .unwrap_or_default();
        self.told[number].length = length;
        if self.wide(number).is_none() {
            let words = Words::plain(output::counted(length, "item"));
            let line = self.line(at, number, words, None);
            self.tellings.push(Telling::Entered(number, line));
        }
    }

    fn scheduled(&mut self, at: Duration, event: &Value, after: Place) {
        let Some(number) = after.visit else {
            return;
        };
        let details = &event["taskScheduledEventDetails"];
        let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
        let told = &mut self.told[number];
        told.resource = (text("resourceType"), text("resource"));
        if std::mem::take(&mut told.redriven) {
            told.entered = at;
            let line = self.line(at, number, Words::plain(""), None);
            self.tellings.push(Telling::Entered(number, line));
        }
        self.tell_retry(at, number);
    }

    /// Tells that a state is tried again, and why; of the same again and again only how often.
    fn tell_retry(&mut self, at: Duration, number: usize) {
        let told = &mut self.told[number];
        let Some(failed) = told.failed.take() else {
            return;
        };
        told.retries += 1;
        let visit = &self.path.visits[number];
        let Some(why) = visit.why().map(|words| words.text) else {
            return;
        };
        if let Some(map) = self.wide(number) {
            let error = visit.failures.last().map_or("", |failed| &failed.error);
            let what = format!("{}: retried after {error}", visit.name);
            self.count(map, what);
            return;
        }
        let told = &mut self.told[number];
        if told.retried_after.as_ref() == Some(&why) {
            told.alike += 1;
            told.alike_at = at;
            told.alike_retry = told.retries;
            return;
        }
        self.tell_alike(number);
        let pause = output::unbroken_span(at.saturating_sub(failed).as_secs_f64());
        let text = format!("{why}; again after {pause}");
        self.told[number].retried_after = Some(why);
        self.note_retry(at, number, self.told[number].retries, text);
    }

    /// Tells of the retries that were only counted.
    fn tell_alike(&mut self, number: usize) {
        let told = &mut self.told[number];
        if std::mem::take(&mut told.alike) > 0 {
            let (at, retry) = (told.alike_at, told.alike_retry);
            self.note_retry(at, number, retry, "the same each time".to_owned());
        }
    }

    fn note_retry(&mut self, at: Duration, number: usize, retry: u32, text: String) {
        let mut line = self.line(at, number, Words::new(Tone::Warning, text), None);
        line.what = format!("retry {retry}");
        line.depth += 1;
        self.tellings.push(Telling::Note(line));
    }

    fn task_succeeded(&mut self, at: Duration, after: Place) {
        let Some(number) = after.visit else {
            return;
        };
        let (visit, told) = (&self.path.visits[number], &mut self.told[number]);
        let (kind, resource) = &told.resource;
        let mut words = words::task(
            &visit.name,
            kind,
            resource,
            &visit.parameters,
            &visit.result,
        );
        if resource == "invoke.waitForTaskToken" {
            let took = at.saturating_sub(told.entered);
            if took.as_secs() > 0 {
                words.text += &format!(" after {}", span(took.as_secs_f64()));
            }
        }
        self.matters |= words.matters;
        told.words = Some(words);
    }

    /// Tells of a state that failed for good.
    fn tell_failure(&mut self, at: Duration, place: Place) {
        let Some(number) = place.visit else {
            return;
        };
        if self.told[number].failed.take().is_some()
            && let Some(why) = self.path.visits[number].why()
        {
            self.tell_alike(number);
            let took = at.saturating_sub(self.told[number].entered);
            let words = Words::new(Tone::Bad, format!("failed: {}", why.text));
            let line = self.line(at, number, words, Some(took));
            self.tellings.push(Telling::Left(number, line));
        }
    }
}

impl Visit {
    /// How its last try failed, in words.
    fn why(&self) -> Option<Words> {
        let failed = self.failures.last()?;
        let mut words = words::failure(&self.parameters, &failed.error, &failed.cause);
        if let Some(timeout) = self.timeout
            && words.text == "States.Timeout"
        {
            words.text += &format!(": no answer within {}", output::unbroken_span(timeout));
        }
        Some(words)
    }
}
