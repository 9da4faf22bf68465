//! How a state fails, and which errors match (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).

use super::{IntegrationFailure, definition::model::ErrorName, history::Failed};
use serde_json::{Value, json};

/// A state that failed.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) failed: Failed,
    /// The event that tells of it, or the last one before it.
    pub(super) event: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureKind {
    Ordinary,
    Timeout,
    /// Reported as `States.Timeout`, as recorded on AWS, but caught as `States.HeartbeatTimeout` as well.
    HeartbeatTimeout,
    /// "A terminal error that can't be caught by the States.ALL error type" - but of a Task's result it can, as recorded
    /// on AWS: then it is ordinary.
    DataLimitExceeded,
    /// `States.Runtime`: "isn't retriable, and will always cause the execution to fail".
    Runtime,
    /// The execution has ended in another way; this goes nowhere.
    Ended,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, error: &str, cause: Option<String>, event: u64) -> Self {
        Self {
            kind,
            failed: Failed {
                error: Some(error.into()),
                cause: cause.map(Into::into),
            },
            event,
        }
    }

    /// What the runner of a task says.
    pub(super) fn task(failure: &IntegrationFailure) -> Self {
        let kind = match failure.error.as_str() {
            "States.Runtime" => FailureKind::Runtime,
            "States.Timeout" => FailureKind::Timeout,
            "States.HeartbeatTimeout" => FailureKind::HeartbeatTimeout,
            _ => FailureKind::Ordinary,
        };
        Self::new(kind, &failure.error, Some(failure.cause.clone()), 0)
    }

    /// What the holder of a task token says.
    pub(super) fn told(error: Option<&str>, cause: Option<&str>) -> Self {
        Self {
            kind: FailureKind::Ordinary,
            failed: Failed {
                error: error.map(Into::into),
                cause: cause.map(Into::into),
            },
            event: 0,
        }
    }

    pub(super) fn runtime(cause: String, event: u64) -> Self {
        Self::new(FailureKind::Runtime, "States.Runtime", Some(cause), event)
    }

    /// Something is larger than 256 KiB; the name is the state's, or the service's whose result it is.
    pub(super) fn data_limit(name: &str, event: u64) -> Self {
        let cause = format!(
            "The state/task '{name}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        let kind = FailureKind::DataLimitExceeded;
        Self::new(kind, "States.DataLimitExceeded", Some(cause), event)
    }

    pub(super) fn ended() -> Self {
        Self {
            kind: FailureKind::Ended,
            failed: Failed::default(),
            event: 0,
        }
    }

    /// `$states.errorOutput`. As recorded on AWS, a time-out has an empty cause there, and a SendTaskFailure without
    /// error and cause has nulls.
    pub(super) fn error_output(&self) -> Value {
        let timed_out = matches!(
            self.kind,
            FailureKind::Timeout | FailureKind::HeartbeatTimeout
        );
        let cause = self.failed.cause.as_deref();
        let cause = cause.or(timed_out.then_some(""));
        json!({ "Error": self.failed.error.as_deref(), "Cause": cause })
    }

    /// Whether an `ErrorEquals` matches.
    pub(super) fn matches(&self, errors: &[ErrorName]) -> bool {
        errors.iter().any(|name| self.matches_one(name))
    }

    fn matches_one(&self, name: &ErrorName) -> bool {
        let error = self.failed.error.as_deref().unwrap_or_default();
        match self.kind {
            FailureKind::Runtime | FailureKind::Ended => false,
            FailureKind::DataLimitExceeded => {
                matches!(name, ErrorName::Named(named) if named == error)
            }
            FailureKind::Timeout => matches!(name, ErrorName::All | ErrorName::Timeout),
            FailureKind::HeartbeatTimeout => matches!(
                name,
                ErrorName::All | ErrorName::Timeout | ErrorName::HeartbeatTimeout
            ),
            FailureKind::Ordinary => match name {
                // "acts as a wildcard that matches any known error name except for States.Timeout"
                ErrorName::All | ErrorName::TaskFailed => true,
                // The holder of a task token may say so.
                ErrorName::Timeout => error == "States.Timeout",
                ErrorName::HeartbeatTimeout => error == "States.HeartbeatTimeout",
                ErrorName::Named(named) => named == error,
            },
        }
    }
}
