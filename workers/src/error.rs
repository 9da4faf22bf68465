//! What can go wrong in a worker, and what is to be done about it.

use crate::ids::InstanceId;
use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// A worker's error. Its [`name`](WorkerError::name) is the error name that the state machine matches on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerError {
    /// The input does not fit the worker's schema. Not retried; nothing was touched.
    #[error("the input does not fit the schema: {}", listed(.0))]
    InvalidInput(Vec<Violation>),
    /// Another execution holds the job or the instance now. Not retried: this execution has no say any more.
    #[error("{0}")]
    ClaimLost(String),
    /// Something that is being written right now is not there yet. Retried by the state machine.
    #[error("{0}")]
    NotSettledYet(String),
    /// ECS could not place every rank; what had started is stopped again. Retried, then the job fails.
    #[error("{}", .0.why)]
    NotPlaced(Unplaced),
    /// The job did not start on spares, or they are not held any more; what had started is stopped again. Not retried: other
    /// spares are looked for, and without any the nodes are repaired first.
    #[error("{0}")]
    NotOnSpares(String),
    /// An operator wants the instance out of service. Not retried; it is quarantined with the operator's reason.
    #[error("{0}")]
    KeptOut(String),
    /// The ECS agent of a rebooted instance is not back. Not retried: it is waited for.
    #[error("{0}")]
    AgentAway(String),
    /// A rank of a launch ended, or did not run in time; all are stopped again. Retried once, then the job fails.
    #[error("{0}")]
    NotStarted(String),
    /// The trainer of a rank of a launch asked for no recovery by its exit code; all are stopped again. Not retried: the job
    /// fails.
    #[error("{0}")]
    NotToRecover(String),
    /// The same as NotStarted, because a registry throttles image pulls. Retried with back-off, then the job fails.
    #[error("{0}")]
    PullThrottled(String),
    /// The function's time is up before its work is; what is done is written down. Called again at once, it goes on.
    #[error("{0}")]
    OutOfTime(String),
    /// An AWS call failed for a passing reason even after the SDK's own retries. Retried.
    #[error("{0}; this passes, try again")]
    AwsUnavailable(AwsFailure),
    /// AWS refused the call (permission, validation, missing resource). Not retried: an operator must fix it.
    #[error("{0}; fix it, then redrive")]
    AwsRejected(AwsFailure),
    /// A record in a table cannot be read as what it should be. Not retried.
    #[error("{0}")]
    CorruptRecord(String),
}

/// Ranks that ECS did not place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unplaced {
    /// The first few, with ECS's reasons.
    pub why: String,
    /// Where.
    pub instances: Vec<InstanceId>,
}

impl Unplaced {
    const NAMED: usize = 5;

    /// Of ranks, where they were to run, and why they do not.
    pub fn of(ranks: Vec<(u32, InstanceId, String)>) -> Self {
        let named = ranks.iter().take(Self::NAMED);
        let named: Vec<String> = named
            .map(|(rank, instance, why)| format!("rank {rank} on {instance}: {why}"))
            .collect();
        let more = ranks.len().saturating_sub(Self::NAMED);
        let more = match more {
            0 => String::new(),
            1 => "; and 1 more rank".to_owned(),
            more => format!("; and {more} more ranks"),
        };
        Self {
            why: named.join("; ") + &more,
            instances: ranks.into_iter().map(|(_, instance, _)| instance).collect(),
        }
    }
}

/// One way in which an input breaks its schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", if .pointer.is_empty() { "/" } else { .pointer })]
pub struct Violation {
    /// JSON pointer into the input.
    pub pointer: String,
    pub message: String,
}

/// An AWS call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed with {code}: {message}")]
pub struct AwsFailure {
    /// `service:Action`.
    pub call: &'static str,
    /// AWS's error code, or how the connection failed.
    pub code: String,
    pub message: String,
}

fn listed(violations: &[Violation]) -> String {
    let violations: Vec<String> = violations.iter().map(ToString::to_string).collect();
    violations.join("; ")
}

impl WorkerError {
    /// The error name that Step Functions sees (Lambda's `errorType`).
    pub fn name(&self) -> &'static str {
        match self {
            Self::InvalidInput(_) => "InvalidInput",
            Self::ClaimLost(_) => "ClaimLost",
            Self::NotSettledYet(_) => "NotSettledYet",
            Self::NotPlaced(_) => "NotPlaced",
            Self::NotOnSpares(_) => "NotOnSpares",
            Self::KeptOut(_) => "KeptOut",
            Self::AgentAway(_) => "AgentAway",
            Self::NotStarted(_) => "NotStarted",
            Self::NotToRecover(_) => "NotToRecover",
            Self::PullThrottled(_) => "PullThrottled",
            Self::OutOfTime(_) => "OutOfTime",
            Self::AwsUnavailable(_) => "AwsUnavailable",
            Self::AwsRejected(_) => "AwsRejected",
            Self::CorruptRecord(_) => "CorruptRecord",
        }
    }

    /// True when the same call may do it later, without anybody's help.
    pub fn passes(&self) -> bool {
        matches!(self, Self::AwsUnavailable(_) | Self::OutOfTime(_))
    }

    /// Of several failures the one that an operator must hear of: a refusal before what passes, the first before the rest.
    pub fn worst(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        errors.into_iter().min_by_key(Self::passes)
    }

    /// True when AWS refused the call because too many were made.
    pub fn is_throttled(&self) -> bool {
        matches!(self, Self::AwsUnavailable(failure) if is_throttling(&failure.code))
    }

    /// Turns an SDK error into ours: passing (retry) or final (an operator must act).
    pub fn aws<E>(call: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        move |error| {
            let failure = AwsFailure {
                call,
                code: code_of(&error),
                message: message_of(&error),
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
pub fn code_of<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> String {
    match error {
        SdkError::ServiceError(context) => match context.err().code().filter(|c| !c.is_empty()) {
            Some(code) => code.to_owned(),
            None => format!("HTTP {}", context.raw().status()),
        },
        SdkError::TimeoutError(_) => "TimeoutError".to_owned(),
        SdkError::DispatchFailure(_) => "DispatchFailure".to_owned(),
        SdkError::ResponseError(_) => "ResponseError".to_owned(),
        _ => "ConstructionFailure".to_owned(),
    }
}

/// AWS's own words, or the whole chain of what went wrong on the way to it.
fn message_of<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => context.err().message().unwrap_or_default().to_owned(),
        other => chain_of(other),
    }
}

/// The error and everything under it, outermost first. (The SDK's `DisplayErrorContext` adds Debug text.)
fn chain_of(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A failure of AWS's side passes, whatever its code: every 5xx, and 429. So does what the SDK's own lists name, which
/// the SDK has retried already, and any call that got no answer.
fn is_passing<E>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    match error {
        SdkError::ConstructionFailure(_) => false,
        SdkError::ServiceError(context) => {
            let status = context.raw().status();
            status.is_server_error()
                || status.as_u16() == 429
                || is_throttling(code)
                || TRANSIENT_ERRORS.contains(&code)
                // "Transaction is ongoing for the item": retry (DynamoDB API, TransactionConflictException).
                || code == "TransactionConflictException"
        }
        _ => true,
    }
}

/// The SDK's list, and KMS's throttling, which each service names in its own way (`KMSThrottling`, `KmsThrottlingException`).
fn is_throttling(code: &str) -> bool {
    THROTTLING_ERRORS.contains(&code) || code.contains("Thrott")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_dynamodb::{
        operation::get_item::GetItemError, types::error::ResourceNotFoundException,
    };
    use aws_sdk_ecs::error::ErrorMetadata;
    use aws_smithy_types::body::SdkBody;

    #[test]
    fn five_unplaced_ranks_are_named_and_the_others_counted() {
        let ranks =
            |n| (0..n).map(|rank| (rank, InstanceId::new("i-1"), "RESOURCE:GPU".to_owned()));
        let five = Unplaced::of(ranks(5).collect());
        assert!(
            five.why.ends_with("; rank 4 on i-1: RESOURCE:GPU"),
            "{five:?}"
        );
        let six = Unplaced::of(ranks(6).collect());
        assert!(
            six.why
                .ends_with("rank 4 on i-1: RESOURCE:GPU; and 1 more rank"),
            "{six:?}"
        );
        assert_eq!(six.instances.len(), 6);
    }

    fn answered(status: u16, code: Option<&str>) -> WorkerError {
        let metadata = match code {
            Some(code) => ErrorMetadata::builder()
                .code(code)
                .message("because")
                .build(),
            None => ErrorMetadata::builder().build(),
        };
        let raw = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        WorkerError::aws("dynamodb:GetItem")(SdkError::service_error(
            GetItemError::generic(metadata),
            raw,
        ))
    }

    fn passes(error: &WorkerError) -> bool {
        matches!(error, WorkerError::AwsUnavailable(_))
    }

    #[test]
    fn every_failure_of_awss_own_side_passes_whatever_its_code() {
        for status in [500, 502, 503, 504] {
            assert!(passes(&answered(
                status,
                Some("NobodyHasSeenThisException")
            )));
            assert!(passes(&answered(status, None)), "{status} without a code");
        }
        assert!(answered(503, None).to_string().contains("HTTP 503"));
    }

    #[test]
    fn what_the_sdk_calls_throttling_or_transient_passes() {
        for code in [
            "SlowDown",
            "PriorRequestNotComplete",
            "EC2ThrottledException",
            "KMSThrottling",
        ] {
            let error = answered(400, Some(code));
            assert!(passes(&error) && error.is_throttled(), "{code}");
        }
        for code in ["RequestTimeout", "TransactionConflictException"] {
            assert!(passes(&answered(400, Some(code))), "{code}");
        }
        assert!(passes(&answered(429, None)));
    }

    #[test]
    fn what_aws_refuses_is_not_tried_again() {
        for code in [
            "AccessDeniedException",
            "ValidationException",
            "ClusterNotFoundException",
        ] {
            assert!(!passes(&answered(400, Some(code))), "{code}");
        }
        let missing = ResourceNotFoundException::builder()
            .message("no such table")
            .build();
        let raw = HttpResponse::new(400_u16.try_into().unwrap(), SdkBody::empty());
        let error = GetItemError::ResourceNotFoundException(missing);
        assert!(!passes(&WorkerError::aws("dynamodb:GetItem")(
            SdkError::service_error(error, raw)
        )));
    }

    #[test]
    fn a_call_without_an_answer_is_told_in_words_not_in_debug_text() {
        let error: SdkError<GetItemError, HttpResponse> =
            SdkError::timeout_error("the connection was silent for 10 s");
        let error = WorkerError::aws("dynamodb:GetItem")(error);
        assert!(passes(&error));
        let text = error.to_string();
        assert!(
            text.contains("TimeoutError") && text.contains("silent for 10 s"),
            "{text}"
        );
        assert!(!text.contains("TimeoutError {"), "{text}");
    }
}
