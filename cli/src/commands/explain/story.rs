//! The story, as sentences.

use crate::{
    drill::words,
    history::{
        outcome::{self, Told},
        path::{End, Failed, Path, Visit},
    },
    output::{counted, span},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use workers::{
    decisions::standing,
    steps::notify_operators::{NotifyOperatorsOutcome, outcome as message},
};

/// The same of more instances than this is told once.
const MANY: usize = 3;

/// One recovery.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Story {
    pub headline: String,
    /// How it ended, or where it stands, in a sentence or two.
    pub ending: String,
    /// Seconds since the epoch.
    pub began: f64,
    pub moments: Vec<Moment>,
}

/// What happened at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Moment {
    /// Seconds since the epoch.
    pub at: f64,
    pub sentence: String,
}

/// A sentence with `{}` for the instance that it is about, and what follows it.
struct Said {
    text: String,
    more: String,
}

impl Said {
    fn new(text: impl Into<String>) -> Option<Self> {
        Some(Self {
            text: text.into(),
            more: String::new(),
        })
    }

    fn after(mut self, seconds: f64) -> Self {
        if seconds >= 1.0 {
            self.more = format!(" ({})", span(seconds));
        }
        self
    }
}

impl Story {
    pub fn of(path: &Path) -> Self {
        let mut moments = vec![Moment {
            at: path.started,
            sentence: match words::trigger(&path.input) {
                Some(trigger) => format!(
                    "ECS reported: {}. An execution began.",
                    trigger.trim_end_matches('.')
                ),
                None => "An execution began.".to_owned(),
            },
        }];
        moments.extend(visits(path));
        moments.extend(path.redriven.iter().map(|at| Moment {
            at: *at,
            sentence: "An operator redrove it: it went on at the step that had failed.".to_owned(),
        }));
        moments.extend(path.ends.iter().map(|end| Moment {
            at: end.at,
            sentence: format!("The execution {}.", ended(end, path)),
        }));
        moments.sort_by(|one, other| one.at.total_cmp(&other.at));
        Self {
            headline: headline(path),
            ending: ending(path),
            began: path.started,
            moments,
        }
    }
}

fn visits(path: &Path) -> Vec<Moment> {
    let mut told: Vec<(f64, &Visit, Said)> = Vec::new();
    for visit in &path.visits {
        let end = visit.exited.or(path.ended).unwrap_or(path.last);
        let said = match visit.exited {
            Some(_) => sentence(visit, end - visit.entered),
            None if path.status == "RUNNING" => standing(visit, path.last),
            None => broke(visit, path),
        };
        if let Some(said) = said {
            told.push((end, visit, said));
        }
    }
    let mut moments = Vec::new();
    while let Some((at, visit, said)) = (!told.is_empty()).then(|| told.remove(0)) {
        let map = |visit: &Visit| outermost(path, visit);
        let alike = |(_, other, also): &(f64, &Visit, Said)| {
            other.name == visit.name && also.text == said.text && map(other) == map(visit)
        };
        // Of one instance the same may be told more than once.
        let places = told
            .iter()
            .filter(|other| alike(other))
            .map(|told| place(told.1));
        let others: BTreeSet<_> = places.filter(|other| *other != place(visit)).collect();
        let others = others.len();
        let (at, who, more) = if visit.item.is_some() && others >= MANY {
            let last = told.iter().filter(|other| alike(other)).map(|(at, ..)| *at);
            let at = last.fold(at, f64::max);
            told.retain(|other| !alike(other));
            let number = counted(others as u64 + 1, "instance");
            (at, format!("each of {number}"), String::new())
        } else {
            (at, name(visit), said.more)
        };
        let sentence = format!("{}{more}.", said.text.replace("{}", &who));
        moments.push(Moment {
            at,
            sentence: capitalised(&sentence),
        });
    }
    moments
}

/// Which iteration of which Map it is part of.
fn place(visit: &Visit) -> Option<(usize, u64)> {
    visit.item.map(|item| (item.map, item.index))
}

/// The Map that it is part of, or, of a Map in a Map, the outer one: its groups are not told apart.
fn outermost(path: &Path, visit: &Visit) -> Option<usize> {
    let mut map = visit.item?.map;
    while let Some(outer) = path.visits[map].item {
        map = outer.map;
    }
    Some(map)
}

/// Whom a sentence is about.
fn name(visit: &Visit) -> String {
    let rank = visit.input["rank"].as_u64();
    match (visit.instance(), rank) {
        (Some(instance), Some(rank)) => format!("{instance} (rank {rank})"),
        (Some(instance), None) => instance.to_owned(),
        (None, _) => match visit.item {
            Some(item) => format!("item {}", item.index),
            None => "it".to_owned(),
        },
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    // An instance's id stays as it is.
    if text.starts_with("i-") || text.starts_with("mi-") {
        return text.to_owned();
    }
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// What the worker of the state answered.
fn answered(visit: &Visit) -> Option<Told> {
    outcome::of(&visit.name, &visit.result["Payload"])
}

/// What came of a state that was left after so many seconds; nothing of what the next sentence tells as well.
fn sentence(visit: &Visit, seconds: f64) -> Option<Said> {
    let said = match visit.name.as_str() {
        "RunDcgm" => Some(checked(&visit.output)?.after(seconds)),
        "ReadVerdict" => checked(&visit.output),
        "RebootInstance" if visit.unwell => Said::new("SSM did not take the reboot command for {}"),
        "RebootInstance" => Said::new("the reboot of {} was ordered through SSM"),
        "RebootByEc2" => Said::new("EC2 was told to reboot {}"),
        // A look: the node is asked, and the wait goes on.
        "WaitForInstanceActive" if visit.output["back"] != true => None,
        "WaitForInstanceActive" => Said::new("{} was back: its ECS agent is connected"),
        // It is asked for only after the proof.
        "UncordonInstance" if !visit.unwell => {
            let uncordoned = answered(visit)?.sentence;
            Said::new(format!("{uncordoned}: its reboot is proven"))
        }
        "VerifyGpus" => Some(verified(visit)?.after(seconds)),
        "ReadVerdictAgain" => checked_again(&visit.output),
        "QuarantineInstance" if visit.result["Payload"]["outcome"] == "Quarantined" => {
            let detail = words::line(visit.output["detail"].as_str().unwrap_or_default());
            let quarantined = answered(visit)?.sentence;
            Said::new(format!("{quarantined}: {detail}"))
        }
        "RelaunchJob" if visit.unwell => {
            let why = visit.failures.last().map(named).unwrap_or_default();
            Said::new(format!("the job could not be started again: {why}"))
        }
        "StopSiblings" if visit.result["Payload"]["outcome"] == "Stopped" => {
            Some(Said::new(answered(visit)?.sentence)?.after(seconds))
        }
        // Looks: what they found is told by the state that reads it.
        "OrderProbe" | "OrderSome" | "ListAnswers" | "AskNode" | "ReadAnswer" | "ReadOrder"
            if !visit.unwell =>
        {
            None
        }
        "ClaimJob" | "ClaimInstance" | "StopSiblings" | "NameSuspects" | "HoldSpares"
        | "ReleaseSuspects" | "CordonInstance" | "UncordonInstance" | "QuarantineInstance"
        | "RelaunchJob" | "EndCheck" | "FailJob" | "NotifyOperators" | "RecordCompletion"
        | "RecordUserStop" => Said::new(answered(visit)?.sentence),
        name if visit.kind == "Task" => {
            let about = if visit.item.is_some() { " for {}" } else { "" };
            Said::new(match visit.unwell {
                true => format!("{name} failed{about}, and the flow went on"),
                false => format!("{name} was done{about}"),
            })
        }
        _ => None,
    };
    said.map(|said| with_retries(said, visit))
}

/// A wait that looks again is no trouble; other tries are told.
fn with_retries(mut said: Said, visit: &Visit) -> Said {
    let waits = visit.name == "WaitForInstanceActive" || visit.tries < 2;
    if let Some(last) = visit.failures.last().filter(|_| !waits) {
        let tries = visit.tries;
        said.more += &format!(", at try {tries}; the error before was {}", named(last));
    }
    said
}

fn named(failed: &Failed) -> String {
    words::named(&failed.error, &failed.cause)
}

fn code(value: &Value) -> String {
    match value.as_i64() {
        Some(code) => format!("exit {code}"),
        None => "no exit code".to_owned(),
    }
}

fn checked(record: &Value) -> Option<Said> {
    if record["verdict"] == "healthy" {
        return Said::new("the check found {} healthy");
    }
    Said::new(format!("the check of {{}} {}", verdict(record)?))
}

fn checked_again(record: &Value) -> Option<Said> {
    Said::new(format!(
        "the check of {{}} after its reboot {}",
        verdict(record)?
    ))
}

/// What a check that did not pass says.
fn verdict(record: &Value) -> Option<String> {
    let code = code(&record["exitCode"]);
    let why = match record["end"].as_str() {
        Some("timed-out") => "it did not end in time".to_owned(),
        Some("no-gpu") => "no container that asks for a GPU starts on it".to_owned(),
        _ => code,
    };
    Some(match record["verdict"].as_str()? {
        "healthy" => "says healthy".to_owned(),
        "faulty" => format!("says faulty ({why})"),
        "no-reboot-helps" => format!("says faulty, and that no reboot helps ({why})"),
        "misconfigured" => format!("says that only settings are wrong ({why})"),
        _ => format!("gave no answer ({why})"),
    })
}

fn verified(visit: &Visit) -> Option<Said> {
    if visit.output["recovered"] == true {
        return Said::new("the check found {} healthy after its reboot");
    }
    // ReadVerdictAgain tells the rest.
    None
}

/// Where a running execution is.
fn standing(visit: &Visit, now: f64) -> Option<Said> {
    let about = if visit.item.is_some() { " for {}" } else { "" };
    if visit.kind == "Map" {
        return None;
    }
    let text = format!("{}{about} was under way", visit.name);
    Some(Said::new(text)?.after(now - visit.entered))
}

/// Where an execution broke.
fn broke(visit: &Visit, path: &Path) -> Option<Said> {
    if visit.kind == "Map" {
        return None;
    }
    let about = if visit.item.is_some() { " for {}" } else { "" };
    let text = match visit.failures.last().filter(|_| visit.unwell) {
        Some(failed) => {
            let words = words::failure(&visit.parameters, &failed.error, &failed.cause);
            let tries = match visit.tries {
                0 | 1 => String::new(),
                tries => format!(" after {tries} tries"),
            };
            format!("{}{about} failed{tries}: {}", visit.name, words.text)
        }
        None if path.status == "ABORTED" => {
            format!(
                "{}{about} was cut off: an operator stopped the execution",
                visit.name
            )
        }
        None => format!("{}{about} was cut off", visit.name),
    };
    Said::new(text.trim_end_matches('.').to_owned())
}

fn ended(end: &End, path: &Path) -> String {
    let stood = path.visits.iter().find(|visit| {
        let left = visit.exited.is_some_and(|exited| exited <= end.at);
        visit.kind != "Map" && visit.entered <= end.at && !left
    });
    let at = stood.map_or(String::new(), |visit| format!(" at {}", visit.name));
    let took = span(end.at - path.started);
    let ended = format!("ended {}{at} after {took}", end.status);
    match (end.status, end.error.is_empty()) {
        ("ABORTED", true) => format!("{ended}: an operator stopped it"),
        (_, true) => ended,
        _ => {
            let why = words::named(&end.error, &end.cause);
            format!("{ended}: {}", why.trim_end_matches('.'))
        }
    }
}

/// The job, as far as the history names it.
pub fn job(path: &Path) -> Option<String> {
    let visits = path.visits.iter();
    let named = visits.filter_map(|visit| visit.result["Payload"]["jobId"].as_str());
    named.map(str::to_owned).next()
}

/// The attempt that it left the job in, when it started or claimed one.
pub fn attempt(path: &Path) -> Option<u32> {
    let told = |state| path.answer(state)?["attempt"].as_u64();
    let attempt = told("RelaunchJob").or_else(|| told("ClaimJob"))?;
    u32::try_from(attempt).ok()
}

/// Whose recovery it is. One that broke before it found the job knows only the task.
fn what(path: &Path) -> String {
    let of_no_job = |visit: &Visit| visit.result["Payload"]["outcome"] == "NotManaged";
    if let Some(instance) = path.input["detail"]["instance"].as_str() {
        return instance.to_owned();
    }
    match (job(path), words::of_task(&path.input)) {
        (Some(job), _) => format!("job {job}"),
        (None, _) if path.visits.iter().any(of_no_job) => "a task of no job".to_owned(),
        (None, Some(task)) => format!("task {task}"),
        (None, None) => "a task".to_owned(),
    }
}

/// What the message to the operators said came of it: its line, and the same without job and time.
fn told(path: &Path) -> Option<(String, String)> {
    let NotifyOperatorsOutcome::Notified { subject, .. } =
        serde_json::from_value(path.answer("NotifyOperators")?.clone()).ok()?;
    let (line, outcome) = message::of_subject(&subject)?;
    Some((line.to_owned(), outcome))
}

/// What the execution decided, in the words of the message to the operators.
pub fn decision(path: &Path) -> Option<String> {
    if let Some((_, outcome)) = told(path) {
        return Some(outcome);
    }
    // Decided, and not told yet.
    let deciding = [
        "RelaunchJob",
        "FailJob",
        "EndCheck",
        "ClaimInstance",
        "RecordCompletion",
        "RecordUserStop",
    ];
    let decided = |state| outcome::of(state, path.answer(state)?)?.decision;
    if let Some(decision) = deciding.into_iter().find_map(decided) {
        return Some(decision);
    }
    (path.status == "SUCCEEDED").then(|| "nothing to do".to_owned())
}

/// Whose recovery it is and what came of it, in the words of the message to the operators.
pub fn headline(path: &Path) -> String {
    match (path.status, told(path)) {
        ("SUCCEEDED", Some((line, _))) => line,
        ("SUCCEEDED", None) => {
            let decision = decision(path).unwrap_or_else(|| "nothing to do".to_owned());
            format!("Recovery of {}: {decision}", what(path))
        }
        ("RUNNING", _) => format!("Recovery of {}: under way", what(path)),
        (status, _) => {
            let of = job(path).unwrap_or_else(|| what(path));
            format!("EXECUTION {status} {of}: {}", doing(path))
        }
    }
}

/// What it was doing when it was cut off or broke.
fn doing(path: &Path) -> String {
    // The newest, as the message has it.
    let Some(visit) = path.standing().last().copied() else {
        return "at its start".to_owned();
    };
    let ordered = path.visits.iter().any(|other| {
        standing::orders_reboot(&other.name) && other.exited.is_some() && other.item == visit.item
    });
    match standing::of(&visit.name, ordered) {
        Some(standing) => standing.doing(visit.instance()),
        None => format!("in state {}", visit.name),
    }
}

fn ending(path: &Path) -> String {
    let took = span(path.seconds());
    match path.status {
        "RUNNING" => {
            let places: Vec<String> = path
                .standing()
                .iter()
                .map(|visit| match visit.instance() {
                    Some(instance) => format!("{} ({instance})", visit.name),
                    None => visit.name.clone(),
                })
                .take(MANY)
                .collect();
            format!("It is under way since {took}, at {}.", places.join(", "))
        }
        "SUCCEEDED" => match (path.answer("RelaunchJob"), attempt(path)) {
            (Some(_), Some(attempt))
                if decision(path).is_some_and(|d| d.starts_with("RECOVERED")) =>
            {
                format!("It took {took}; the job runs as attempt {attempt}.")
            }
            _ => format!("It took {took}."),
        },
        status => {
            let place = path
                .standing()
                .last()
                .map_or("its start", |v| v.name.as_str());
            format!(
                "It ended {status} at {place} after {took}. Nothing goes on by itself: fix what the error names, then \
                 use `gpu-recovery replay` with the execution's ARN."
            )
        }
    }
}
