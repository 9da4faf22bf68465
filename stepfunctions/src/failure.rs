//! How a state fails, and which errors match (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).

use super::{IntegrationFailure, definition::model::ErrorName, history::Failed};
use serde_json::{Value, json};
use std::sync::Arc;

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
    /// "A terminal error that can't be caught by the States.ALL error type."
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

    pub(super) fn task(failure: &IntegrationFailure, event: u64) -> Self {
        let kind = match failure.error.as_str() {
            "States.Runtime" => FailureKind::Runtime,
            "States.Timeout" => FailureKind::Timeout,
            "States.HeartbeatTimeout" => FailureKind::HeartbeatTimeout,
            "States.DataLimitExceeded" => FailureKind::DataLimitExceeded,
            _ => FailureKind::Ordinary,
        };
        Self::new(kind, &failure.error, Some(failure.cause.clone()), event)
    }

    pub(super) fn runtime(cause: String, event: u64) -> Self {
        Self::new(FailureKind::Runtime, "States.Runtime", Some(cause), event)
    }

    /// "The state/task returned a result with a size exceeding the maximum number of bytes service limit."
    pub(super) fn data_limit(state: &str, event: u64) -> Self {
        let cause = format!(
            "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
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

    /// `$states.errorOutput`. A time-out has an empty cause there, as recorded on AWS.
    pub(super) fn error_output(&self) -> Value {
        let text = |text: &Option<Arc<str>>| text.as_deref().unwrap_or_default().to_owned();
        json!({ "Error": text(&self.failed.error), "Cause": text(&self.failed.cause) })
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
                ErrorName::Timeout | ErrorName::HeartbeatTimeout => false,
                ErrorName::Named(named) => named == error,
            },
        }
    }
}
