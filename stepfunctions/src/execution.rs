//! One execution: what is known of it, and its history.

use super::{
    dice::Dice,
    failure::Failure,
    frame::Frame,
    history::{Details, Event, Failed, MAX_EVENTS},
    json::Json,
    seen::Ended,
    service::StateMachine,
};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};
use tokio::{sync::watch, task::AbortHandle};

/// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExecutionStatus {
    /// It has not ended; one that was redriven runs again.
    Running,
    /// It came to an end of its flow.
    Succeeded,
    /// A state failed, and nothing caught it.
    Failed,
    /// The state machine's `TimeoutSeconds` were over.
    TimedOut,
    /// It was stopped.
    Aborted,
}

impl ExecutionStatus {
    /// As the API writes it: `TIMED_OUT`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Aborted => "ABORTED",
        }
    }
}

/// What DescribeExecution tells.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecutionView {
    /// `arn:aws:states:…:execution:MACHINE:NAME`.
    pub arn: String,
    /// Unique among the machine's executions.
    pub name: String,
    /// Without version or alias.
    pub state_machine_arn: String,
    /// How it stands.
    pub status: ExecutionStatus,
    /// When it was started; a redrive changes nothing of it.
    pub started: SystemTime,
    /// When it ended last; `None` while it runs.
    pub stopped: Option<SystemTime>,
    /// What it was started with.
    pub input: Arc<Value>,
    /// Of one that succeeded.
    pub output: Option<Arc<Value>>,
    /// `None` of a timed-out execution too, as on AWS.
    pub error: Option<String>,
    /// What is behind the error.
    pub cause: Option<String>,
    /// How often it was redriven.
    pub redrive_count: u32,
    /// When it was redriven last.
    pub redriven: Option<SystemTime>,
}

pub(super) struct Execution {
    pub(super) arn: Arc<str>,
    pub(super) name: Arc<str>,
    /// The machine's ARN as it was given at the start: with version or alias.
    pub(super) qualifier: Option<String>,
    pub(super) machine: Arc<StateMachine>,
    pub(super) input: Json,
    pub(super) started: SystemTime,
    pub(super) dice: Dice,
    pub(super) status: watch::Sender<ExecutionStatus>,
    record: Mutex<Record>,
}

pub(super) struct Record {
    pub(super) stopped: Option<SystemTime>,
    pub(super) output: Option<Json>,
    pub(super) failed: Failed,
    pub(super) redrives: u32,
    pub(super) redriven: Option<SystemTime>,
    /// How it had ended when it was redriven last.
    pub(super) before: Option<Ended>,
    pub(super) events: Vec<Event>,
    pub(super) transitions: u64,
    /// Where it stands; a redrive goes on from there.
    pub(super) root: Arc<Frame>,
    pub(super) run: Option<AbortHandle>,
}

impl Execution {
    pub(super) fn new(
        arn: String,
        name: &str,
        qualifier: Option<String>,
        machine: Arc<StateMachine>,
        input: Json,
        started: SystemTime,
        dice: Dice,
    ) -> Self {
        let root = Frame::new(machine.definition.machine.flow.start, input.clone());
        Self {
            arn: arn.into(),
            name: name.into(),
            qualifier,
            machine,
            input,
            started,
            dice,
            status: watch::Sender::new(ExecutionStatus::Running),
            record: Mutex::new(Record {
                stopped: None,
                output: None,
                failed: Failed::default(),
                redrives: 0,
                redriven: None,
                before: None,
                events: Vec::new(),
                transitions: 0,
                root: Arc::new(root),
                run: None,
            }),
        }
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn status(&self) -> ExecutionStatus {
        *self.status.borrow()
    }

    /// Adds an event of a running execution; the answer is its id.
    ///
    /// # Errors
    /// When the history is full but for the event that ends the execution, or the execution has ended.
    pub(super) fn push(
        &self,
        at: SystemTime,
        previous: u64,
        details: Details,
    ) -> Result<u64, Failure> {
        if self.status() != ExecutionStatus::Running {
            return Err(Failure::ended());
        }
        let mut record = self.record();
        if record.events.len() + 1 >= MAX_EVENTS {
            let last = record.events.len() as u64;
            let cause = format!(
                "The execution reached the maximum number of history events ({MAX_EVENTS})."
            );
            return Err(Failure::runtime(cause, last));
        }
        Ok(record.append(at, previous, details))
    }

    pub(super) fn view(&self) -> ExecutionView {
        let record = self.record();
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        ExecutionView {
            arn: self.arn.to_string(),
            name: self.name.to_string(),
            state_machine_arn: self.machine.arn.clone(),
            status: self.status(),
            started: self.started,
            stopped: record.stopped,
            input: self.input.shared(),
            output: record.output.as_ref().map(Json::shared),
            error: text(&record.failed.error),
            cause: text(&record.failed.cause),
            redrive_count: record.redrives,
            redriven: record.redriven,
        }
    }
}

impl Record {
    /// Adds an event; the answer is its id.
    pub(super) fn append(&mut self, at: SystemTime, previous: u64, details: Details) -> u64 {
        self.events.push(Event {
            at,
            previous,
            details,
        });
        self.events.len() as u64
    }
}
