//! The executions as the page shows them: each with its states, their times, and its story.
//!
//! Whatever carries its own time is told whole: the page itself leaves out what has not happened yet.

use crate::{
    commands::{explain, graph},
    drill::words,
    history::path::{Path, Visit},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An execution that ended well after so few states found nothing to do: only its kind is counted.
const STATES_OF_NOTE: usize = 4;
/// Executions that have ended are kept until there are so many.
const KEPT: usize = 24;

/// The executions of an account, followed event by event.
pub struct Executions {
    definition: Value,
    /// In the order in which they began.
    known: Vec<(String, Path)>,
    /// How many had nothing to do, by what they were about.
    quiet: BTreeMap<&'static str, u64>,
}

impl Executions {
    pub fn new(definition: Value) -> Self {
        Self {
            definition,
            known: Vec::new(),
            quiet: BTreeMap::new(),
        }
    }

    /// Takes the next event of an execution.
    pub fn see(&mut self, arn: &str, event: &Value) {
        let known = self.known.iter().position(|(known, _)| known == arn);
        let begins = event["type"] == "ExecutionStarted";
        let place = match known {
            Some(place) => place,
            None if begins => {
                self.known.push((arn.to_owned(), Path::new()));
                self.known.len() - 1
            }
            // It was let go of, and is redriven now: its beginning is not known any more.
            None => return,
        };
        let path = &mut self.known[place].1;
        path.follow(event);
        if path.ended.is_none() {
            return;
        }
        if path.status == "SUCCEEDED" && !is_of_note(path) {
            *self.quiet.entry(words::kind(&path.input)).or_default() += 1;
            self.known.remove(place);
        } else if self.known.len() > KEPT {
            let ended = self.known.iter().position(|(_, path)| path.ended.is_some());
            ended.map(|oldest| self.known.remove(oldest));
        }
    }

    /// All of them, by name; times are seconds since `start`.
    pub fn value(&self, start: f64) -> Value {
        let of_note = self.known.iter().filter(|(_, path)| is_of_note(path));
        let executions = of_note.map(|(arn, path)| {
            let name = arn.rsplit(':').next().unwrap_or(arn);
            (name.to_owned(), self.execution(path, start))
        });
        Value::Object(executions.collect())
    }

    /// Stop events that needed no recovery, by their kind.
    pub fn quiet(&self) -> Value {
        json!(self.quiet)
    }

    fn execution(&self, path: &Path, start: f64) -> Value {
        let told = explain::Story::of(path);
        let visits = path.visits.iter().enumerate();
        let visits = visits.map(|(number, visit)| {
            let shown = self.visit(path, number, visit, start);
            (number.to_string(), Value::Object(shown))
        });
        let story = told.moments.iter();
        let story = story.map(|moment| json!([since(moment.at, start), moment.sentence]));
        let mut shown = json!({
            "status": path.status,
            "began": since(path.started, start),
            "headline": told.headline,
            "ending": told.ending,
            "visits": visits.collect::<Map<_, _>>(),
            "story": story.collect::<Vec<_>>(),
        });
        if let Some(ended) = path.ended {
            shown["ended"] = since(ended, start);
        }
        if let Some(job) = explain::job(path) {
            shown["job"] = json!(job);
        }
        shown
    }

    /// One state, in members of one letter: there may be ten thousand. s: name, a and z: entered and left, k: how it came
    /// out, n: the node that it is about, m: the Map around it, f: where it came from, r: how often it was tried again, e:
    /// the last error.
    fn visit(&self, path: &Path, number: usize, visit: &Visit, start: f64) -> Map<String, Value> {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
        put("s", json!(visit.name));
        put("a", since(visit.entered, start));
        if let Some(exited) = visit.exited {
            put("z", since(exited, start));
        }
        put(
            "k",
            json!(graph::status(path, number, &self.definition).class()),
        );
        if let Some(node) = visit.instance() {
            put("n", json!(node));
        }
        if let Some(item) = visit.item {
            put("m", json!(item.map));
        }
        if let Some(from) = visit.from {
            put("f", json!(path.visits[from].name));
        }
        if visit.tries > 1 {
            put("r", json!(visit.tries - 1));
        }
        if let Some(failed) = visit.failures.last() {
            put("e", json!(words::named(&failed.error, &failed.cause)));
        }
        shown
    }
}

fn is_of_note(path: &Path) -> bool {
    path.visits.len() > STATES_OF_NOTE || !matches!(path.status, "RUNNING" | "SUCCEEDED")
}

/// Seconds to the millisecond.
pub fn since(at: f64, start: f64) -> Value {
    json!(((at - start) * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: u64, kind: &str) -> Value {
        json!({ "id": id, "previousEventId": id - 1, "timestamp": id as f64, "type": kind })
    }

    #[test]
    fn executions_are_kept_up_to_a_bound_and_those_without_work_are_counted() {
        let mut executions = Executions::new(json!({}));
        let arn = |number: u32| {
            format!("arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:{number}")
        };
        for number in 0..200 {
            executions.see(&arn(number), &event(1, "ExecutionStarted"));
            let end = match number % 2 {
                0 => "ExecutionSucceeded",
                _ => "ExecutionFailed",
            };
            executions.see(&arn(number), &event(2, end));
        }
        // One that was let go of is redriven.
        executions.see(&arn(1), &event(3, "ExecutionRedriven"));
        executions.see(&arn(1), &event(4, "ExecutionFailed"));
        let shown = executions.value(0.0);
        let shown = shown.as_object().unwrap();
        assert!(shown.len() <= KEPT, "{}", shown.len());
        assert!(shown.contains_key("199") && !shown.contains_key("1"));
        let quiet = executions.quiet();
        let counted: u64 = quiet
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(counted, 100);
    }
}
