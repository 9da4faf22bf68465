//! How a call can fail: six kinds, and the errors that AWS answers.

use crate::faults::{CallFacts, Fault};

/// What any service may answer a client that passes: the codes that AWS's own clients retry (botocore 1.44,
/// `retries/standard.py`), and failures of what stands before a service, which have codes of nobody's list or none.
const PASSING_ANYWHERE: &str = "RequestTimeout=400 RequestTimeoutException=400 PriorRequestNotComplete=400 Throttling=400 \
    ThrottledException=400 RequestThrottledException=400 RequestThrottled=400 \
    TooManyRequestsException=429 SlowDown=503 BandwidthLimitExceeded=509 EC2ThrottledException=503 \
    GatewayTimeout=504 NobodyKnowsThisFailure=500 =502";

/// Errors that pass, as each service answers them, with their status; those of `lambda` as Step Functions names them after
/// `Lambda.`.
const PASSING: &str = "
ecs ThrottlingException=400 ServerException=500 ServiceUnavailable=503
dynamodb ProvisionedThroughputExceededException=400 RequestLimitExceeded=400 ThrottlingException=400 InternalServerError=500
states ThrottlingException=400 InternalFailure=500
sns ThrottlingException=400 InternalError=500
ssm ThrottlingException=400 InternalServerError=500
ec2 RequestLimitExceeded=503 InternalError=500
lambda ClientExecutionTimeoutException=500 ServiceException=500 AWSLambdaException=500 SdkClientException=500 TooManyRequestsException=500 Unknown=500
";

/// Errors that an operator has to fix, as the models of the actions list them, and those that every service has.
const FINAL: &str = "
ecs RunTask AccessDeniedException BlockedException ClientException ClusterNotFoundException ConflictException InvalidParameterException PlatformTaskDefinitionIncompatibilityException PlatformUnknownException UnsupportedFeatureException
ecs StopTask ClientException ClusterNotFoundException InvalidParameterException
ecs DescribeTasks ClientException ClusterNotFoundException InvalidParameterException
ecs ListTasks ClientException ClusterNotFoundException ServiceNotFoundException
ecs DescribeContainerInstances ClientException ClusterNotFoundException
ecs UpdateContainerInstancesState ClientException ClusterNotFoundException
ecs * AccessDeniedException
dynamodb UpdateItem ItemCollectionSizeLimitExceededException ReplicatedWriteConflictException ResourceNotFoundException TransactionConflictException
dynamodb PutItem ItemCollectionSizeLimitExceededException TransactionConflictException
dynamodb BatchWriteItem ItemCollectionSizeLimitExceededException ResourceNotFoundException
dynamodb GetItem ResourceNotFoundException
dynamodb Query ResourceNotFoundException
dynamodb * AccessDeniedException ValidationException
states StartExecution StateMachineDeleting StateMachineDoesNotExist ExecutionLimitExceeded InvalidArn
states DescribeExecution InvalidArn
states GetExecutionHistory InvalidArn
states SendTaskSuccess InvalidToken TaskTimedOut TaskDoesNotExist KmsThrottlingException KmsAccessDeniedException
states SendTaskFailure InvalidToken TaskTimedOut TaskDoesNotExist KmsAccessDeniedException
states * AccessDeniedException
sns Publish KMSThrottling EndpointDisabled NotFound AuthorizationError
sns * AuthorizationError
ssm SendCommand InvalidInstanceId InvalidDocument InvalidParameters MaxDocumentSizeExceeded
ssm * AccessDeniedException
ec2 RebootInstances UnauthorizedOperation IncorrectInstanceState
ec2 * UnauthorizedOperation
lambda * AccessDeniedException
";

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    Passing,
    Final,
    TimeoutBefore,
    TimeoutAfter,
    KilledBefore,
    KilledAfter,
}

impl FaultKind {
    pub const ALL: [Self; 6] = [
        Self::Passing,
        Self::Final,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::KilledBefore,
        Self::KilledAfter,
    ];

    /// Step Functions and EventBridge are no processes that die.
    pub fn strikes(self, role: &str) -> bool {
        let kill = matches!(self, Self::KilledBefore | Self::KilledAfter);
        !(kill && matches!(role, "state-machine" | "eventbridge"))
    }

    /// In plain words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passing => "error that passes",
            Self::Final => "error that does not pass",
            Self::TimeoutBefore => "time-out before its effect",
            Self::TimeoutAfter => "time-out after its effect",
            Self::KilledBefore => "caller killed before",
            Self::KilledAfter => "caller killed after",
        }
    }
}

/// The fault of a kind for a call; `choose` picks among so many errors.
pub(super) fn fault_of(
    kind: FaultKind,
    call: &CallFacts<'_>,
    choose: impl Fn(usize) -> usize,
) -> Fault {
    let CallFacts {
        service, action, ..
    } = *call;
    match kind {
        FaultKind::TimeoutBefore => Fault::TimeoutBefore,
        FaultKind::TimeoutAfter => Fault::FailAfterEffect,
        FaultKind::KilledBefore => Fault::KillCaller {
            after_effect: false,
        },
        FaultKind::KilledAfter => Fault::KillCaller { after_effect: true },
        FaultKind::Passing => {
            // Step Functions names the errors of its integrations, and of Lambda, by itself.
            let by_itself = service == "lambda" || call.role() == "state-machine";
            let anywhere = if by_itself { "" } else { PASSING_ANYWHERE };
            let own = rows(PASSING, service).next();
            let own = own.unwrap_or("InternalFailure=500").split_whitespace();
            let codes: Vec<&str> = own.chain(anywhere.split_whitespace()).collect();
            let (code, status) = codes[choose(codes.len())]
                .split_once('=')
                .unwrap_or_default();
            fail(code, status.parse().unwrap_or(500))
        }
        FaultKind::Final => {
            let rows = rows(FINAL, service).filter_map(|row| row.split_once(' '));
            let here = rows.filter(|(of, _)| *of == action || *of == "*");
            let codes: Vec<&str> = here.flat_map(|(_, codes)| codes.split(' ')).collect();
            let code = codes.get(choose(codes.len())).copied();
            let code = code.unwrap_or("AccessDeniedException");
            fail(code, final_status(code))
        }
    }
}

/// The lines of a table that begin with this word, without it.
fn rows<'a>(table: &'a str, first: &str) -> impl Iterator<Item = &'a str> {
    let rest = move |line: &'a str| line.strip_prefix(first)?.strip_prefix(' ');
    table.lines().filter_map(rest)
}

/// SNS's model gives each of its errors a status of its own; the services that speak awsJson refuse with 400.
fn final_status(code: &str) -> u16 {
    match code {
        "AuthorizationError" | "UnauthorizedOperation" => 403,
        "NotFound" => 404,
        _ => 400,
    }
}

fn fail(code: &str, status: u16) -> Fault {
    Fault::Fail {
        code: code.to_owned(),
        status,
        message: "struck by the fault plan".to_owned(),
    }
}
