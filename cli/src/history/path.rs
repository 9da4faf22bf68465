//! The path of an execution: which states it went through, in which order, and what came of each.

use super::at;
use serde_json::Value;
use std::collections::HashMap;

/// An execution, as its history tells it.
#[derive(Debug, Default)]
pub struct Path {
    pub input: Value,
    /// The execution's name, where it is known: its history does not say it.
    pub name: Option<String>,
    /// Seconds since the epoch, as all times here.
    pub started: f64,
    pub ended: Option<f64>,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT` or `ABORTED`.
    pub status: &'static str,
    pub error: String,
    pub cause: String,
    pub redriven: Vec<f64>,
    /// Each time it ended: more than once when it was redriven.
    pub ends: Vec<End>,
    /// When the last event came.
    pub last: f64,
    /// In the order in which they were entered.
    pub visits: Vec<Visit>,
    /// Where the flow stood after an event, by the event's id.
    places: HashMap<u64, Place>,
}

/// An end of the execution.
#[derive(Debug)]
pub struct End {
    pub at: f64,
    pub status: &'static str,
    pub error: String,
    pub cause: String,
}

/// A state, entered once.
#[derive(Debug, Default)]
pub struct Visit {
    pub name: String,
    /// `Task`, `Choice`, `Map`, ...
    pub kind: String,
    pub entered: f64,
    pub exited: Option<f64>,
    /// The visit that led here, on the same level.
    pub from: Option<usize>,
    /// The Map and the item that it is part of.
    pub item: Option<Item>,
    pub input: Value,
    pub output: Value,
    /// What the task was called with last, and what it answered.
    pub parameters: Value,
    pub result: Value,
    /// What the service answered when the task had begun, of one that is waited for.
    pub submitted: Value,
    pub tries: u32,
    /// When its last try began, and after how many seconds that is timed out.
    pub tried: f64,
    pub timeout: Option<f64>,
    /// Failed tries, oldest first.
    pub failures: Vec<Failed>,
    /// Its last try failed.
    pub unwell: bool,
}

/// One item of a Map: the Map's visit, and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Item {
    pub map: usize,
    pub index: u64,
}

#[derive(Debug, Clone)]
pub struct Failed {
    pub error: String,
    pub cause: String,
}

/// Where a flow stands.
#[derive(Debug, Default, Clone, Copy)]
pub struct Place {
    /// The state entered last; none at the beginning of the machine or of an item.
    pub visit: Option<usize>,
    pub item: Option<Item>,
}

impl Path {
    /// Follows the events, oldest first.
    pub fn of(events: &[Value]) -> Self {
        let mut path = Self::new();
        for event in events {
            path.follow(event);
        }
        path
    }

    /// Before the first event.
    pub fn new() -> Self {
        Self {
            status: "RUNNING",
            ..Self::default()
        }
    }

    /// Follows the next event; the answer is where its flow stood before it and stands after it.
    pub fn follow(&mut self, event: &Value) -> (Place, Place) {
        let previous = event["previousEventId"].as_u64().unwrap_or_default();
        let before = self.places.get(&previous).copied().unwrap_or_default();
        let after = self.see(event, before);
        self.places.insert(super::id(event), after);
        (before, after)
    }

    fn see(&mut self, event: &Value, before: Place) -> Place {
        let now = at(event);
        self.last = now;
        let kind = event["type"].as_str().unwrap_or_default();
        match kind {
            "ExecutionStarted" => {
                self.started = now;
                self.input = parsed(&event["executionStartedEventDetails"]["input"]);
                Place::default()
            }
            "ExecutionRedriven" => {
                self.redriven.push(now);
                self.status = "RUNNING";
                self.ended = None;
                self.error.clear();
                self.cause.clear();
                self.reopened(None)
            }
            "MapIterationStarted" => {
                let details = &event["mapIterationStartedEventDetails"];
                let name = text(&details["name"]);
                let index = details["index"].as_u64().unwrap_or_default();
                match self.open(&name, before.item) {
                    Some(map) => self.reopened(Some(Item { map, index })),
                    None => before,
                }
            }
            "MapIterationSucceeded" | "MapIterationFailed" | "MapIterationAborted" => {
                let map = before.item.map(|item| item.map);
                map.map_or(before, |map| self.place(map))
            }
            "TaskScheduled" => {
                if let Some(visit) = before.visit.and_then(|v| self.visits.get_mut(v)) {
                    visit.tries += 1;
                    visit.unwell = false;
                    let details = &event["taskScheduledEventDetails"];
                    visit.tried = now;
                    visit.timeout = details["timeoutInSeconds"].as_f64();
                    visit.parameters = parsed(&details["parameters"]);
                }
                before
            }
            "TaskSubmitted" => {
                if let Some(visit) = before.visit.and_then(|v| self.visits.get_mut(v)) {
                    visit.submitted = parsed(&event["taskSubmittedEventDetails"]["output"]);
                }
                before
            }
            "TaskSucceeded" => {
                if let Some(visit) = before.visit.and_then(|v| self.visits.get_mut(v)) {
                    visit.result = parsed(&event["taskSucceededEventDetails"]["output"]);
                }
                before
            }
            "TaskFailed" => self.failed(&event["taskFailedEventDetails"], before),
            "TaskTimedOut" => self.failed(&event["taskTimedOutEventDetails"], before),
            "EvaluationFailed" => self.failed(&event["evaluationFailedEventDetails"], before),
            _ if kind.ends_with("StateEntered") => self.entered(now, kind, event, before),
            _ if kind.ends_with("StateExited") => self.exited(now, event, before),
            "ExecutionSucceeded" => self.closed(now, "SUCCEEDED", &Value::Null, before),
            "ExecutionFailed" => {
                self.closed(now, "FAILED", &event["executionFailedEventDetails"], before)
            }
            "ExecutionAborted" => {
                let details = &event["executionAbortedEventDetails"];
                self.closed(now, "ABORTED", details, before)
            }
            "ExecutionTimedOut" => {
                let details = &event["executionTimedOutEventDetails"];
                self.closed(now, "TIMED_OUT", details, before)
            }
            _ => before,
        }
    }

    fn entered(&mut self, now: f64, kind: &str, event: &Value, before: Place) -> Place {
        let details = &event["stateEnteredEventDetails"];
        let same_level = |visit: &usize| self.visits[*visit].item == before.item;
        self.visits.push(Visit {
            name: text(&details["name"]),
            kind: kind.trim_end_matches("StateEntered").to_owned(),
            entered: now,
            from: before.visit.filter(same_level),
            item: before.item,
            input: parsed(&details["input"]),
            ..Visit::default()
        });
        self.place(self.visits.len() - 1)
    }

    fn exited(&mut self, now: f64, event: &Value, before: Place) -> Place {
        let details = &event["stateExitedEventDetails"];
        let name = text(&details["name"]);
        let here = before
            .visit
            .filter(|v| self.visits[*v].name == name && self.visits[*v].exited.is_none());
        let Some(number) = here.or_else(|| self.open(&name, before.item)) else {
            return before;
        };
        let visit = &mut self.visits[number];
        visit.exited = Some(now);
        visit.output = parsed(&details["output"]);
        self.place(number)
    }

    fn failed(&mut self, details: &Value, before: Place) -> Place {
        let named = details["state"].as_str();
        let number = match named {
            Some(name) => self.open(name, before.item),
            None => before.visit,
        };
        let Some(number) = number else {
            return before;
        };
        let visit = &mut self.visits[number];
        visit.unwell = true;
        visit.failures.push(Failed {
            error: text(&details["error"]),
            cause: text(&details["cause"]),
        });
        self.place(number)
    }

    fn closed(&mut self, now: f64, status: &'static str, details: &Value, before: Place) -> Place {
        self.status = status;
        self.ended = Some(now);
        self.error = text(&details["error"]);
        self.cause = text(&details["cause"]);
        self.ends.push(End {
            at: now,
            status,
            error: self.error.clone(),
            cause: self.cause.clone(),
        });
        before
    }

    /// Where a level goes on: at its open state when it was cut off, else at its beginning.
    fn reopened(&self, item: Option<Item>) -> Place {
        let open = |visit: &Visit| visit.exited.is_none() && visit.item == item;
        Place {
            visit: self.visits.iter().rposition(open),
            item,
        }
    }

    /// The item that each of the items around a flow is part of, from the inside; the last one is none: the machine itself.
    pub fn around(&self, item: Option<Item>) -> impl Iterator<Item = Option<Item>> {
        std::iter::successors(Some(item), |inner| {
            inner.map(|inner| self.visits[inner.map].item)
        })
    }

    fn open(&self, name: &str, item: Option<Item>) -> Option<usize> {
        let open = |visit: &&Visit| visit.exited.is_none() && visit.name == name;
        let at = |visit: &Visit| open(&visit) && visit.item == item;
        let found = self.visits.iter().rposition(at);
        found.or_else(|| self.visits.iter().rposition(|visit| open(&visit)))
    }

    fn place(&self, visit: usize) -> Place {
        Place {
            visit: Some(visit),
            item: self.visits[visit].item,
        }
    }

    /// The states that were entered and not left, innermost only: where it stands, or where it broke.
    pub fn standing(&self) -> Vec<&Visit> {
        let open: Vec<&Visit> = self.visits.iter().filter(|v| v.exited.is_none()).collect();
        let inner: Vec<&Visit> = open
            .iter()
            .copied()
            .filter(|visit| visit.kind != "Map")
            .collect();
        if inner.is_empty() { open } else { inner }
    }

    /// The last answer of the worker in this state.
    pub fn answer(&self, state: &str) -> Option<&Value> {
        let visit = self
            .visits
            .iter()
            .rev()
            .find(|visit| visit.name == state && visit.result.get("Payload").is_some())?;
        visit.result.get("Payload")
    }

    /// The seconds from the start to the end, or to the last event.
    pub fn seconds(&self) -> f64 {
        self.ended.unwrap_or(self.last) - self.started
    }
}

impl Visit {
    /// The instance that it is about, where it is about one.
    pub fn instance(&self) -> Option<&str> {
        let named = |value: &'_ Value| value["instance"].is_string();
        let place = if named(&self.input) {
            &self.input
        } else {
            &self.parameters["Payload"]
        };
        place["instance"].as_str()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// JSON in a text.
fn parsed(text: &Value) -> Value {
    text.as_str()
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}
