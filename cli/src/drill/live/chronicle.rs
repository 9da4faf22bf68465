//! One execution's history, event by event, made into things to tell.

use super::{Line, Telling};
use crate::{
    drill::{
        machine::Machine,
        words::{self, Tone, Words},
    },
    output::{self, HEADING, NAME, span},
};
use serde_json::Value;
use std::{collections::HashMap, time::Duration};

/// A Map with more iterations than this is told in counts, but for what is not well.
const WIDE: u64 = 4;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Succeeded,
    Badly,
}

/// What is known of an execution.
#[derive(Debug, Default)]
pub struct Chronicle {
    /// It does something that everybody wants to see.
    pub matters: bool,
    /// States entered.
    pub states: usize,
    pub ended: Option<Ended>,
    kind: &'static str,
    /// What was said last.
    last: String,
    started: Duration,
    visits: Vec<Visit>,
    iterations: Vec<Iteration>,
    /// Where the flow stood after an event, by the event's id.
    places: HashMap<u64, Place>,
    tellings: Vec<Telling>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Place {
    visit: Option<usize>,
    iteration: Option<usize>,
}

#[derive(Debug)]
struct Iteration {
    /// The visit of its Map.
    map: usize,
    index: u64,
    /// An instance's id, or its number.
    label: String,
    named: bool,
}

/// A state, entered once.
#[derive(Debug, Default)]
struct Visit {
    name: String,
    kind: String,
    entered: Duration,
    iteration: Option<usize>,
    /// It is its iteration's first state.
    opens_iteration: bool,
    exited: bool,
    /// Where a Choice goes is told with the next state.
    awaits_next: bool,
    assigned: Value,
    resource: (String, String),
    parameters: Value,
    words: Option<Words>,
    failed: Option<Failed>,
    retries: u32,
    /// Why it was tried again last, how often in the same way since that was told, and the
    /// last of those.
    retried_after: Option<String>,
    alike: u32,
    alike_at: Duration,
    alike_retry: u32,
    /// After so many seconds a task is timed out.
    timeout: Option<u64>,
    /// Of a Map: how many iterations it has.
    length: u64,
    counts: Vec<(String, u64)>,
    /// It goes on after a redrive.
    redriven: bool,
}

#[derive(Debug)]
struct Failed {
    error: String,
    cause: String,
    at: Duration,
}

impl Visit {
    /// How it failed, in words.
    fn why(&self, failed: &Failed) -> Words {
        let mut words = words::failure(&self.parameters, &failed.error, &failed.cause);
        if let Some(timeout) = self.timeout
            && words.text == "States.Timeout"
        {
            words.text += &format!(
                ": no answer within {}",
                output::unbroken_span(timeout as f64)
            );
        }
        words
    }
}

impl Chronicle {
    /// Takes the next event; the answer is what to tell.
    pub fn see(&mut self, at: Duration, event: &Value, machine: &Machine) -> Vec<Telling> {
        let id = event["id"].as_u64().unwrap_or_default();
        let previous = event["previousEventId"].as_u64().unwrap_or_default();
        let before = self.places.get(&previous).copied().unwrap_or_default();
        let kind = event["type"].as_str().unwrap_or_default();
        let place = match kind {
            "ExecutionStarted" => self.execution_started(at, event),
            "ExecutionRedriven" => self.redriven(at),
            "MapStateStarted" => self.map_started(at, event, before),
            "MapIterationStarted" => self.iteration_started(event, before),
            "MapIterationSucceeded" => self.iteration_ended(event, before),
            "MapIterationFailed" | "MapStateFailed" | "ParallelStateFailed" => {
                self.tell_failure(at, before);
                let outer = before
                    .iteration
                    .map(|iteration| self.iterations[iteration].map);
                outer.map_or(before, |map| self.place_of(map))
            }
            "TaskScheduled" => self.scheduled(at, event, before),
            "TaskSucceeded" => self.task_succeeded(at, event, before),
            "TaskFailed" => self.failed(at, &event["taskFailedEventDetails"], before),
            "TaskTimedOut" => self.failed(at, &event["taskTimedOutEventDetails"], before),
            "EvaluationFailed" => self.failed(at, &event["evaluationFailedEventDetails"], before),
            _ if kind.ends_with("StateEntered") => self.entered(at, event, before, machine),
            _ if kind.ends_with("StateExited") => self.exited(at, event, before),
            _ if kind.starts_with("Execution") => self.execution_ended(at, event, before),
            _ => before,
        };
        self.places.insert(id, place);
        std::mem::take(&mut self.tellings)
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

    fn line(&self, at: Duration, visit: usize, words: Words, took: Option<Duration>) -> Line {
        let visit = &self.visits[visit];
        let iteration = visit.iteration.map(|iteration| &self.iterations[iteration]);
        // Of a single iteration it is enough to name the instance once, and its number says nothing.
        let label = iteration
            .filter(|i| self.visits[i.map].length > 1 || (visit.opens_iteration && i.named));
        Line {
            at,
            what: visit.name.clone(),
            style: NAME,
            depth: self.chain(visit.iteration).len() - 1,
            label: label.map(|iteration| iteration.label.clone()),
            words,
            took,
        }
    }

    /// An iteration, those around it, and the machine itself.
    fn chain(&self, iteration: Option<usize>) -> Vec<Option<usize>> {
        let mut chain = vec![iteration];
        while let Some(Some(inner)) = chain.last() {
            chain.push(self.visits[self.iterations[*inner].map].iteration);
        }
        chain
    }

    /// The outermost Map around it whose iterations are only counted.
    fn wide(&self, iteration: Option<usize>) -> Option<usize> {
        let around = self.chain(iteration).into_iter().flatten();
        let mut maps = around.map(|iteration| self.iterations[iteration].map);
        maps.rfind(|map| self.visits[*map].length > WIDE)
    }

    fn place_of(&self, visit: usize) -> Place {
        Place {
            visit: Some(visit),
            iteration: self.visits[visit].iteration,
        }
    }

    /// The state with this name that was entered last around the place, and not left.
    fn open(&self, name: &str, iteration: Option<usize>) -> Option<usize> {
        let chain = self.chain(iteration);
        self.visits.iter().rposition(|visit| {
            visit.name == name && !visit.exited && chain.contains(&visit.iteration)
        })
    }

    fn execution_started(&mut self, at: Duration, event: &Value) -> Place {
        self.started = at;
        let input = parsed(&event["executionStartedEventDetails"]["input"]);
        self.kind = words::kind(&input);
        if let Some(trigger) = words::trigger(&input) {
            self.note(at, "started", Words::plain(trigger));
        }
        Place::default()
    }

    fn redriven(&mut self, at: Duration) -> Place {
        self.ended = None;
        for visit in self.visits.iter_mut().filter(|visit| !visit.exited) {
            visit.redriven = true;
            visit.failed = None;
        }
        self.note(
            at,
            "redriven",
            Words::plain("a person redrives it: it goes on where it was"),
        );
        let open = |visit: &Visit| !visit.exited && visit.iteration.is_none();
        Place {
            visit: self.visits.iter().rposition(open),
            iteration: None,
        }
    }

    fn execution_ended(&mut self, at: Duration, event: &Value, before: Place) -> Place {
        self.tell_failure(at, before);
        self.tell_choice(at, before, None, &Machine::default());
        let (word, details) = match event["type"].as_str().unwrap_or_default() {
            "ExecutionSucceeded" => ("SUCCEEDED", "executionSucceededEventDetails"),
            "ExecutionFailed" => ("FAILED", "executionFailedEventDetails"),
            "ExecutionAborted" => ("ABORTED", "executionAbortedEventDetails"),
            _ => ("TIMED_OUT", "executionTimedOutEventDetails"),
        };
        let took = span(at.saturating_sub(self.started).as_secs_f64());
        let mut text = format!("{word} after {took}");
        let (error, cause) = error(&event[details]);
        if !error.is_empty() {
            text += &format!(": {}", words::named(&error, &cause));
        }
        let (ended, tone) = if word == "SUCCEEDED" {
            (Ended::Succeeded, Tone::Good)
        } else {
            (Ended::Badly, Tone::Bad)
        };
        self.ended = Some(ended);
        self.note(at, "ended", Words::new(tone, text));
        before
    }

    fn entered(&mut self, at: Duration, event: &Value, before: Place, machine: &Machine) -> Place {
        let details = &event["stateEnteredEventDetails"];
        let name = details["name"].as_str().unwrap_or_default().to_owned();
        self.tell_choice(at, before, Some(&name), machine);
        self.states += 1;
        let iteration = before.iteration;
        if let Some(iteration) = iteration
            && let Some(instance) = parsed(&details["input"])["instance"].as_str()
        {
            self.iterations[iteration].label = instance.to_owned();
            self.iterations[iteration].named = true;
        }
        let kind = event["type"].as_str().unwrap_or_default();
        self.visits.push(Visit {
            name,
            kind: kind.trim_end_matches("StateEntered").to_owned(),
            entered: at,
            iteration,
            opens_iteration: before
                .visit
                .is_none_or(|visit| self.visits[visit].iteration != iteration),
            ..Visit::default()
        });
        let visit = self.visits.len() - 1;
        // A Map is told when it is known how many iterations it has.
        if self.wide(iteration).is_none() && self.visits[visit].kind != "Map" {
            let line = self.line(at, visit, Words::plain(""), None);
            self.tellings.push(Telling::Entered(visit, line));
        }
        if self.visits[visit].kind == "Succeed" && self.last.is_empty() {
            self.last = "nothing to do".to_owned();
        }
        self.place_of(visit)
    }

    fn exited(&mut self, at: Duration, event: &Value, before: Place) -> Place {
        let details = &event["stateExitedEventDetails"];
        let name = details["name"].as_str().unwrap_or_default();
        let Some(number) = self.open(name, before.iteration) else {
            return before;
        };
        let output = parsed(&details["output"]);
        let visit = &mut self.visits[number];
        visit.exited = true;
        visit.assigned = details["assignedVariables"].clone();
        // A wait tells itself how long it was.
        let waits = visit.resource.1 == "invoke.waitForTaskToken" && visit.words.is_some();
        let took = at.saturating_sub(visit.entered);
        let words = match visit.kind.as_str() {
            "Choice" => {
                visit.awaits_next = true;
                return self.place_of(number);
            }
            "Map" => {
                self.tell_counts(at, number);
                words::map(&output).unwrap_or_else(|| {
                    Words::plain(output::counted(self.visits[number].length, "item"))
                })
            }
            "Task" => {
                let failed = visit.failed.take();
                let caught = failed.map(|failed| visit.why(&failed));
                let said = caught.or_else(|| visit.words.take());
                said.or_else(|| words::record(&output))
                    .unwrap_or_else(|| Words::plain(""))
            }
            "Wait" if took.as_secs() > 0 => Words::plain("waited"),
            // What the state before has said is not said again.
            _ => words::record(&output)
                .filter(|record| !self.last.contains(&record.text))
                .unwrap_or_else(|| Words::plain("")),
        };
        self.tell_left(at, number, words, (!waits).then_some(took));
        self.place_of(number)
    }

    fn tell_left(&mut self, at: Duration, number: usize, words: Words, took: Option<Duration>) {
        self.tell_alike(number);
        self.matters |= words.matters;
        if !words.text.is_empty() {
            self.last.clone_from(&words.text);
        }
        let well = matches!(words.tone, Tone::Plain | Tone::Good);
        match self.wide(self.visits[number].iteration) {
            Some(map) if well => {
                if !words.text.is_empty() {
                    let what = format!("{}: {}", self.visits[number].name, words.text);
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
        let counts = &mut self.visits[map].counts;
        match counts.iter_mut().find(|(known, _)| *known == what) {
            Some((_, number)) => *number += 1,
            None => counts.push((what, 1)),
        }
    }

    fn tell_counts(&mut self, at: Duration, map: usize) {
        for (what, number) in std::mem::take(&mut self.visits[map].counts) {
            let (state, text) = what.split_once(": ").unwrap_or((&what, ""));
            let of_instances = self.iterations.iter().any(|i| i.map == map && i.named);
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
        let Some(number) = before.visit.filter(|visit| self.visits[*visit].awaits_next) else {
            return;
        };
        let visit = &mut self.visits[number];
        visit.awaits_next = false;
        let words = match next {
            Some(next) => match machine.reason(&visit.name, next, &visit.assigned) {
                Some(reason) => Words::plain(format!("{reason} → {next}")),
                None => Words::plain(format!("→ {next}")),
            },
            None => Words::plain(""),
        };
        if self.wide(self.visits[number].iteration).is_none() {
            let line = self.line(at, number, words, None);
            self.tellings.push(Telling::Left(number, line));
        }
    }

    fn map_started(&mut self, at: Duration, event: &Value, before: Place) -> Place {
        let Some(number) = before.visit else {
            return before;
        };
        let length = event["mapStateStartedEventDetails"]["length"]
            .as_u64()
            .unwrap_or_default();
        self.visits[number].length = length;
        if self.wide(self.visits[number].iteration).is_none() {
            let words = Words::plain(output::counted(length, "item"));
            let line = self.line(at, number, words, None);
            self.tellings.push(Telling::Entered(number, line));
        }
        before
    }

    fn iteration_started(&mut self, event: &Value, before: Place) -> Place {
        let details = &event["mapIterationStartedEventDetails"];
        let name = details["name"].as_str().unwrap_or_default();
        let index = details["index"].as_u64().unwrap_or_default();
        let Some(map) = self.open(name, before.iteration) else {
            return before;
        };
        let known = self
            .iterations
            .iter()
            .rposition(|i| i.map == map && i.index == index);
        let iteration = known.unwrap_or_else(|| {
            self.iterations.push(Iteration {
                map,
                index,
                label: format!("item {index}"),
                named: false,
            });
            self.iterations.len() - 1
        });
        // After a redrive it stands in the state that was cut off.
        let open = |visit: &Visit| visit.iteration == Some(iteration) && !visit.exited;
        Place {
            visit: known.and_then(|_| self.visits.iter().rposition(open)),
            iteration: Some(iteration),
        }
    }

    fn iteration_ended(&mut self, event: &Value, before: Place) -> Place {
        let name = event["mapIterationSucceededEventDetails"]["name"]
            .as_str()
            .unwrap_or_default();
        self.open(name, before.iteration)
            .map_or(before, |map| self.place_of(map))
    }

    fn scheduled(&mut self, at: Duration, event: &Value, before: Place) -> Place {
        let Some(number) = before.visit else {
            return before;
        };
        let details = &event["taskScheduledEventDetails"];
        let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
        let visit = &mut self.visits[number];
        visit.resource = (text("resourceType"), text("resource"));
        visit.parameters = parsed(&details["parameters"]);
        visit.timeout = details["timeoutInSeconds"].as_u64();
        if std::mem::take(&mut visit.redriven) {
            visit.entered = at;
            let line = self.line(at, number, Words::plain(""), None);
            self.tellings.push(Telling::Entered(number, line));
        }
        self.tell_retry(at, number);
        before
    }

    /// Tells that a state is tried again, and why; of the same again and again only how often.
    fn tell_retry(&mut self, at: Duration, number: usize) {
        let visit = &mut self.visits[number];
        let Some(failed) = visit.failed.take() else {
            return;
        };
        visit.retries += 1;
        let why = visit.why(&failed).text;
        if let Some(map) = self.wide(self.visits[number].iteration) {
            let what = format!(
                "{}: retried after {}",
                self.visits[number].name, failed.error
            );
            self.count(map, what);
            return;
        }
        let visit = &mut self.visits[number];
        if visit.retried_after.as_ref() == Some(&why) {
            visit.alike += 1;
            visit.alike_at = at;
            visit.alike_retry = visit.retries;
            return;
        }
        self.tell_alike(number);
        let pause = output::unbroken_span(at.saturating_sub(failed.at).as_secs_f64());
        let text = format!("{why}; again after {pause}");
        self.visits[number].retried_after = Some(why);
        self.note_retry(at, number, self.visits[number].retries, text);
    }

    /// Tells of the retries that were only counted.
    fn tell_alike(&mut self, number: usize) {
        let visit = &mut self.visits[number];
        if std::mem::take(&mut visit.alike) > 0 {
            let (at, retry) = (visit.alike_at, visit.alike_retry);
            self.note_retry(at, number, retry, "the same each time".to_owned());
        }
    }

    fn note_retry(&mut self, at: Duration, number: usize, retry: u32, text: String) {
        let mut line = self.line(at, number, Words::new(Tone::Warning, text), None);
        line.what = format!("retry {retry}");
        line.depth += 1;
        self.tellings.push(Telling::Note(line));
    }

    fn task_succeeded(&mut self, at: Duration, event: &Value, before: Place) -> Place {
        let Some(number) = before.visit else {
            return before;
        };
        let result = parsed(&event["taskSucceededEventDetails"]["output"]);
        let visit = &mut self.visits[number];
        let (kind, resource) = &visit.resource;
        let mut words = words::task(&visit.name, kind, resource, &visit.parameters, &result);
        if resource == "invoke.waitForTaskToken" {
            let took = at.saturating_sub(visit.entered);
            if took.as_secs() > 0 {
                words.text += &format!(" after {}", span(took.as_secs_f64()));
            }
        }
        self.matters |= words.matters;
        visit.words = Some(words);
        before
    }

    fn failed(&mut self, at: Duration, details: &Value, before: Place) -> Place {
        let place = match details["state"].as_str() {
            // Right after the entry the event follows what the entry followed.
            Some(name) => {
                let found = self.open(name, before.iteration);
                found.map_or(before, |visit| self.place_of(visit))
            }
            None => before,
        };
        if let Some(visit) = place.visit {
            let (error, cause) = error(details);
            self.visits[visit].failed = Some(Failed { error, cause, at });
        }
        place
    }

    /// Tells of a state that failed for good.
    fn tell_failure(&mut self, at: Duration, place: Place) {
        let Some(number) = place.visit else {
            return;
        };
        if let Some(failed) = self.visits[number].failed.take() {
            let why = self.visits[number].why(&failed);
            self.tell_alike(number);
            let took = at.saturating_sub(self.visits[number].entered);
            let words = Words::new(Tone::Bad, format!("failed: {}", why.text));
            let line = self.line(at, number, words, Some(took));
            self.tellings.push(Telling::Left(number, line));
        }
    }
}

/// JSON in a text.
fn parsed(text: &Value) -> Value {
    text.as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn error(details: &Value) -> (String, String) {
    let text = |name: &str| details[name].as_str().unwrap_or_default().to_owned();
    (text("error"), text("cause"))
}
