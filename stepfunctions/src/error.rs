//! What callers and tasks get when something is refused.

use std::fmt;

/// An operation that was refused, as the API answers it: HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// `ExecutionDoesNotExist`, without namespace.
    pub code: String,
    /// What is wrong.
    pub message: String,
}

impl ApiError {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ApiError {}

/// A failed task: what the state machine's Retry and Catch see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationFailure {
    /// The error's name: `Lambda.TooManyRequestsException`. Step Functions' own begin with `States.`; `States.Timeout` is told
    /// as a time-out, and `States.Runtime` can be neither retried nor caught.
    pub error: String,
    /// What is behind it, for people; a failed job's is often JSON.
    pub cause: String,
}
