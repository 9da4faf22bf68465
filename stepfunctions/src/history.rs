//! Events as GetExecutionHistory answers them
//! (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_HistoryEvent.html>). Payloads are shared texts.

mod render;

use super::Resource;
use std::{sync::Arc, time::SystemTime};

/// "25,000 events in a single state machine execution history"
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
pub(super) const MAX_EVENTS: usize = 25_000;

/// One event; its id is its place in the list, from 1.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) at: SystemTime,
    pub(super) previous: u64,
    pub(super) details: Details,
}

/// A state's type as it stands in an event's name: `Task`.
type StateType = &'static str;

#[derive(Debug)]
pub(super) enum Details {
    ExecutionStarted {
        input: Arc<str>,
    },
    ExecutionSucceeded {
        output: Arc<str>,
    },
    ExecutionFailed(Failed),
    ExecutionAborted(Failed),
    ExecutionTimedOut,
    ExecutionRedriven {
        count: u32,
    },
    StateEntered {
        kind: StateType,
        name: Arc<str>,
        input: Arc<str>,
    },
    StateExited {
        kind: StateType,
        name: Arc<str>,
        output: Arc<str>,
        assigned: Vec<(Arc<str>, Arc<str>)>,
    },
    StateStarted {
        kind: StateType,
        /// Of a Map: how many iterations.
        length: Option<usize>,
    },
    StateSucceeded(StateType),
    StateFailed(StateType),
    StateAborted(StateType),
    Iteration {
        phase: Phase,
        name: Arc<str>,
        index: usize,
    },
    TaskScheduled {
        resource: Arc<Resource>,
        parameters: Arc<str>,
        timeout: Option<u64>,
        heartbeat: Option<u64>,
    },
    TaskStarted(Arc<Resource>),
    TaskSubmitted {
        resource: Arc<Resource>,
        output: Arc<str>,
    },
    TaskSucceeded {
        resource: Arc<Resource>,
        output: Arc<str>,
    },
    TaskFailed {
        resource: Arc<Resource>,
        failed: Failed,
    },
    TaskTimedOut {
        resource: Arc<Resource>,
        failed: Failed,
    },
    EvaluationFailed {
        state: Arc<str>,
        location: Option<Arc<str>>,
        failed: Failed,
    },
}

/// How a Map's iteration goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    Started,
    Succeeded,
    Failed,
    Aborted,
}

/// Error and cause, where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) error: Option<Arc<str>>,
    pub(super) cause: Option<Arc<str>>,
}
