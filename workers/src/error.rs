//! What can go wrong in a worker, and what is to be done about it.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use std::fmt;

/// A worker's error. Its [`name`](WorkerError::name) is the error name that the state machine matches on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerError {
    /// The input does not fit the worker's schema. Not retried; nothing was touched.
    InvalidInput(Vec<Violation>),
    /// Another execution holds the job or the instance now. Not retried: this execution has no say any more.
    ClaimLost(String),
    /// Something that is being written right now is not there yet. Retried by the state machine.
    NotSettledYet(String),
    /// ECS could not place every rank; what had started is stopped again. Retried, then the job fails.
    NotPlaced(String),
    /// An AWS call failed for a passing reason even after the SDK's own retries. Retried.
    AwsUnavailable(AwsFailure),
    /// AWS refused the call (permission, validation, missing resource). Not retried: a person must mend it.
    AwsRejected(AwsFailure),
    /// A record in a table cannot be read as what it should be. Not retried.
    CorruptRecord(String),
}

/// One way in which an input breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the input.
    pub pointer: String,
    pub message: String,
}

/// An AWS call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsFailure {
    /// `service:Action`.
    pub call: &'static str,
    /// AWS's error code, or how the connection failed.
    pub code: String,
    pub message: String,
}

impl WorkerError {
    /// The error name that Step Functions sees (Lambda's `errorType`).
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) => "InvalidInput",
            Self::ClaimLost(_) => "ClaimLost",
            Self::NotSettledYet(_) => "NotSettledYet",
            Self::NotPlaced(_) => "NotPlaced",
            Self::AwsUnavailable(_) => "AwsUnavailable",
            Self::AwsRejected(_) => "AwsRejected",
            Self::CorruptRecord(_) => "CorruptRecord",
        }
    }

    /// True when AWS refused the call because too many were made.
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::AwsUnavailable(f) if f.code.contains("Thrott") || f.code == "RequestLimitExceeded")
    }

    /// Turns an SDK error into ours: passing (retry) or final (a person must act).
    pub fn aws<E, R>(call: &'static str) -> impl Fn(SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + fmt::Debug,
        R: fmt::Debug,
    {
        move |error| {
            let code = code_of(&error);
            let message = match &error {
                SdkError::ServiceError(context) => {
                    context.err().message().unwrap_or_default().to_owned()
                }
                other => format!("{other:?}"),
            };
            let failure = AwsFailure {
                call,
                code,
                message,
            };
            if is_passing(&error, &failure.code) {
                Self::AwsUnavailable(failure)
            } else {
                Self::AwsRejected(failure)
            }
        }
    }
}

/// AWS's error code, or the kind of connection failure.
pub fn code_of<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ServiceError(context) => context.err().code().unwrap_or("Unknown").to_owned(),
        SdkError::TimeoutError(_) => "TimeoutError".to_owned(),
        SdkError::DispatchFailure(_) => "DispatchFailure".to_owned(),
        SdkError::ResponseError(_) => "ResponseError".to_owned(),
        _ => "ConstructionFailure".to_owned(),
    }
}

fn is_passing<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, code: &str) -> bool {
    const PASSING: [&str; 17] = [
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "Throttled",
        "KMSThrottling",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "TransactionInProgressException",
        "TransactionConflictException",
        "InternalServerError",
        "InternalFailure",
        "InternalError",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ];
    !matches!(
        error,
        SdkError::ServiceError(_) | SdkError::ConstructionFailure(_)
    ) || PASSING.contains(&code)
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidInput(violations) => {
                write!(f, "the input does not fit the schema: ")?;
                for (i, v) in violations.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "; " };
                    let pointer = if v.pointer.is_empty() {
                        "/"
                    } else {
                        &v.pointer
                    };
                    write!(f, "{separator}{pointer}: {}", v.message)?;
                }
                Ok(())
            }
            Self::ClaimLost(why)
            | Self::NotSettledYet(why)
            | Self::NotPlaced(why)
            | Self::CorruptRecord(why) => f.write_str(why),
            Self::AwsUnavailable(failure) => write!(f, "{failure}; this passes, try again"),
            Self::AwsRejected(failure) => write!(f, "{failure}; mend it, then redrive"),
        }
    }
}

impl fmt::Display for AwsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} failed with {}: {}",
            self.call, self.code, self.message
        )
    }
}

impl std::error::Error for WorkerError {}
