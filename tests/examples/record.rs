//! Writes down what the simulated account says and hears, for the judges in `.ci/judges/`:
//! `cargo run -p tests --example record -- OUT [SCHEDULES]`.
//!
//! One JSON object a line: a `call` (role, service, action, request, answer or error), an `event` of the bus (with the rules
//! that took it), or an event of an execution's `history`. What differs from an earlier line only in ids, times and numbers is
//! left out.

#[allow(dead_code, reason = "half of it is for the test that it belongs to")]
#[path = "../infra/rare_paths.rs"]
mod rare_paths;

use serde_json::{Value, json};
use simulator::{
    chaos::{ChaosOptions, play_chaos},
    faults::role,
    integrations::STATE_MACHINE,
    scenario::{PlayOptions, Scenario, builtins, play},
    tap::{Seen, record},
};
use std::{
    cell::RefCell,
    collections::{BTreeSet, HashSet},
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufWriter, Write},
    rc::Rc,
};

/// No built-in scenario stops a health check.
const HEALTH_CHECK_HANGS: &str = "
name: health-check-hangs
about: DCGM hangs; Step Functions stops it.
ranks: { 3: { exits: { after: 10m, code: 1 } } }
instances: { 3: { gpu: dcgm-hangs } }
expect: { job: FAILED, attempt: 1, notifications: [JobFailed] }
";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().expect("give a file to write");
    let schedules: u64 = arguments
        .next()
        .map_or(200, |n| n.parse().expect("SCHEDULES is a number"));
    let recording = Rc::new(RefCell::new(Recording::to(&out)));
    let sink = |with_state_machine: bool| {
        let recording = recording.clone();
        move |seen: Seen<'_>| {
            let of_state_machine =
                matches!(&seen, Seen::Call { caller, .. } if role(caller) == STATE_MACHINE);
            if with_state_machine || !of_state_machine {
                recording.borrow_mut().add(&seen);
            }
        }
    };
    record(sink(true), || play_all(schedules));
    // The workers' tests have a state machine of their own.
    record(sink(false), rare_paths::calls);
    recording.borrow_mut().finish();
}

fn play_all(schedules: u64) {
    let mut scenarios = builtins().expect("the scenarios are well");
    scenarios.push(Scenario::parse("health-check-hangs", HEALTH_CHECK_HANGS).expect("it is well"));
    for scenario in &scenarios {
        play(scenario, &PlayOptions::default()).expect("it can be played");
    }
    for seed in 0..schedules {
        play_chaos(seed, &ChaosOptions::default()).expect("it can be played");
    }
}

struct Recording {
    file: BufWriter<File>,
    known: HashSet<u64>,
    /// Of all, and of those that were written.
    seen: u64,
    written: u64,
}

impl Recording {
    fn to(path: &str) -> Self {
        let file = File::create(path).unwrap_or_else(|e| panic!("{path} cannot be written: {e}"));
        Self {
            file: BufWriter::new(file),
            known: HashSet::new(),
            seen: 0,
            written: 0,
        }
    }

    fn add(&mut self, seen: &Seen<'_>) {
        self.seen += 1;
        let mut hasher = DefaultHasher::new();
        shape_of(seen, &mut hasher);
        if !self.known.insert(hasher.finish()) {
            return;
        }
        self.written += 1;
        writeln!(self.file, "{}", line(seen)).expect("the file can be written");
    }

    fn finish(&mut self) {
        self.file.flush().expect("the file can be written");
        println!(
            "{} calls, events and history events; {} of them differ",
            self.seen, self.written
        );
    }
}

fn line(seen: &Seen<'_>) -> Value {
    match seen {
        Seen::Event { event, rules } => json!({ "kind": "event", "event": event, "rules": rules }),
        Seen::History(event) => json!({ "kind": "history", "event": event }),
        Seen::Call {
            caller,
            service,
            action,
            request,
            answer,
            injected,
        } => {
            let mut line = json!({
                "kind": "call",
                "role": role(caller),
                "service": service,
                "action": action,
                "request": request,
            });
            match answer {
                Ok(answer) => line["answer"] = (*answer).clone(),
                Err(error) => {
                    line["error"] = json!({
                        "code": error.code,
                        "status": error.status,
                        "message": error.message,
                        "extra": error.extra,
                        "injected": injected,
                    });
                }
            }
            line
        }
    }
}

fn shape_of(seen: &Seen<'_>, hasher: &mut DefaultHasher) {
    match seen {
        Seen::Event { event, rules } => {
            rules.hash(hasher);
            shape(event, hasher);
        }
        Seen::History(event) => shape(event, hasher),
        Seen::Call {
            caller,
            service,
            action,
            request,
            answer,
            injected,
        } => {
            (role(caller), service, action).hash(hasher);
            shape(request, hasher);
            match answer {
                Ok(answer) => shape(answer, hasher),
                Err(error) => {
                    (&error.code, error.status, injected).hash(hasher);
                    error.extra.values().for_each(|value| shape(value, hasher));
                }
            }
        }
    }
}

/// Two values have the same shape when they differ only in ids, times and numbers: no rule of a service model or a policy
/// tells them apart.
fn shape(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(is) => (1_u8, is).hash(hasher),
        // Zero and negative numbers are often out of a range.
        Value::Number(number) => (2_u8, number.as_f64().map(|n| (n > 0.0, n == 0.0))).hash(hasher),
        Value::String(text) => (3_u8, words(text)).hash(hasher),
        Value::Array(items) => {
            let of_items: BTreeSet<u64> = items
                .iter()
                .map(|item| {
                    let mut hasher = DefaultHasher::new();
                    shape(item, &mut hasher);
                    hasher.finish()
                })
                .collect();
            // Its length may be out of a range.
            (4_u8, items.len(), of_items).hash(hasher);
        }
        Value::Object(members) => {
            let of_members: BTreeSet<u64> = members
                .iter()
                .map(|(name, value)| {
                    let mut hasher = DefaultHasher::new();
                    words(name).hash(&mut hasher);
                    shape(value, &mut hasher);
                    hasher.finish()
                })
                .collect();
            (5_u8, of_members).hash(hasher);
        }
    }
}

/// A text without its numbers and ids; of a long one, which no enum and no pattern holds, only how long it is.
fn words(text: &str) -> String {
    const LONG: usize = 200;
    if text.len() > LONG {
        return format!("{} bits", text.len().ilog2());
    }
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .map(|word| {
            let digit = word.bytes().any(|b| b.is_ascii_digit());
            let hex = word.len() >= 4 && word.bytes().all(|b| matches!(b, b'a'..=b'f'));
            if digit || hex { "#" } else { word }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
