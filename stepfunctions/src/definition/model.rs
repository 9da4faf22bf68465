//! A definition, read and checked: only what can be played can be written down here.

use super::template::{Assignments, Expression, Template};
use crate::Resource;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// A state machine's top level.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) timeout: Option<Duration>,
    pub(crate) flow: Flow,
}

/// States with one start: the machine's, a Map's, or one branch's of a Parallel.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) start: usize,
    pub(crate) states: Vec<State>,
}

impl Flow {
    /// Every state, those of the flows inside included.
    pub(crate) fn each<'a>(&'a self, see: &mut impl FnMut(&'a State)) {
        for state in &self.states {
            see(state);
            match &state.kind {
                Kind::Map(map) => map.processor.each(see),
                Kind::Parallel(parallel) => parallel.branches.iter().for_each(|b| b.each(see)),
                _ => {}
            }
        }
    }
}

/// Where a state leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The state with this index in the flow.
    State(usize),
    End,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    /// Of a Choice: what applies when no rule matches.
    pub(crate) exit: Exit,
    /// Of a Choice: the default, `None` without one. Of Succeed and Fail: `End`.
    pub(crate) next: Option<Next>,
}

/// What is evaluated when a state is left.
#[derive(Debug, Default)]
pub(crate) struct Exit {
    pub(crate) assign: Assignments,
    pub(crate) output: Option<Template>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Task(Box<Task>),
    Choice(Vec<Rule>),
    Pass,
    Wait(Wait),
    Succeed,
    Fail {
        error: Option<Template>,
        cause: Option<Template>,
    },
    Map(Box<Map>),
    Parallel(Box<Parallel>),
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) resource: Arc<Resource>,
    pub(crate) arguments: Option<Template>,
    pub(crate) timeout: Option<Template>,
    pub(crate) heartbeat: Option<Template>,
    pub(crate) handling: Handling,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Condition,
    pub(crate) next: usize,
    pub(crate) exit: Exit,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Always(bool),
    Expression(Expression),
}

#[derive(Debug)]
pub(crate) enum Wait {
    Seconds(Template),
    Timestamp(Template),
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) items: Option<Template>,
    pub(crate) item_selector: Option<Template>,
    pub(crate) max_concurrency: Option<Template>,
    pub(crate) processor: Flow,
    pub(crate) handling: Handling,
}

#[derive(Debug)]
pub(crate) struct Parallel {
    pub(crate) arguments: Option<Template>,
    pub(crate) branches: Vec<Flow>,
    pub(crate) handling: Handling,
}

/// A state's Retry and Catch.
#[derive(Debug, Default)]
pub(crate) struct Handling {
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug)]
pub(crate) struct Retrier {
    pub(crate) errors: Vec<ErrorName>,
    pub(crate) interval: Duration,
    pub(crate) max_attempts: u32,
    pub(crate) backoff: f64,
    pub(crate) max_delay: Option<Duration>,
    pub(crate) jitter: Jitter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jitter {
    None,
    Full,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<ErrorName>,
    pub(crate) next: usize,
    pub(crate) exit: Exit,
}

/// A member of `ErrorEquals`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorName {
    All,
    TaskFailed,
    Timeout,
    HeartbeatTimeout,
    Named(String),
}

impl ErrorName {
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "States.ALL" => Self::All,
            "States.TaskFailed" => Self::TaskFailed,
            "States.Timeout" => Self::Timeout,
            "States.HeartbeatTimeout" => Self::HeartbeatTimeout,
            other => Self::Named(other.to_owned()),
        }
    }
}

impl Kind {
    /// As it stands in the names of history events: `Task` in `TaskStateEntered`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Task(_) => "Task",
            Self::Choice(_) => "Choice",
            Self::Pass => "Pass",
            Self::Wait(_) => "Wait",
            Self::Succeed => "Succeed",
            Self::Fail { .. } => "Fail",
            Self::Map(_) => "Map",
            Self::Parallel(_) => "Parallel",
        }
    }
}

/// A literal of a field, for checks at parse time.
pub(crate) fn literal(template: &Template) -> Option<&Value> {
    match template {
        Template::Literal(value) => Some(value),
        _ => None,
    }
}
