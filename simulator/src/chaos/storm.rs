//! The faults of AWS calls: which calls are struck, and how.

use super::dice::Dice;
use crate::{
    faults::{CallFacts, Fault},
    plan::{Storm, Strike},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Whose calls are never struck: not the system's.
const SPARED: [&str; 5] = ["deploy", "launcher", "report", "person", "chaos"];

/// What any service may answer a client that passes: the codes that AWS's own clients retry (botocore 1.44,
/// `retries/standard.py`), and failures of what stands before a service, which have codes of nobody's list or none.
const PASSING_ANYWHERE: [(&str, u16); 14] = [
    ("RequestTimeout", 400),
    ("RequestTimeoutException", 400),
    ("PriorRequestNotComplete", 400),
    ("Throttling", 400),
    ("ThrottledException", 400),
    ("RequestThrottledException", 400),
    ("RequestThrottled", 400),
    ("TooManyRequestsException", 429),
    ("SlowDown", 503),
    ("BandwidthLimitExceeded", 509),
    ("EC2ThrottledException", 503),
    ("GatewayTimeout", 504),
    ("NobodyKnowsThisFailure", 500),
    ("", 502),
];

/// Errors that pass, as each service answers them.
const PASSING: [(&str, &[(&str, u16)]); 6] = [
    (
        "ecs",
        &[
            ("ThrottlingException", 400),
            ("ServerException", 500),
            ("ServiceUnavailable", 503),
        ],
    ),
    (
        "dynamodb",
        &[
            ("ProvisionedThroughputExceededException", 400),
            ("RequestLimitExceeded", 400),
            ("ThrottlingException", 400),
            ("InternalServerError", 500),
        ],
    ),
    (
        "states",
        &[("ThrottlingException", 400), ("InternalFailure", 500)],
    ),
    (
        "sns",
        &[("ThrottlingException", 400), ("InternalError", 500)],
    ),
    (
        "ssm",
        &[("ThrottlingException", 400), ("InternalServerError", 500)],
    ),
    (
        "ec2",
        &[("RequestLimitExceeded", 503), ("InternalError", 500)],
    ),
];

/// Errors that an operator has to fix, as the models of the actions list them, and those that every service has.
const FINAL: [(&str, &str, &[&str]); 24] = [
    (
        "ecs",
        "RunTask",
        &[
            "AccessDeniedException",
            "BlockedException",
            "ClientException",
            "ClusterNotFoundException",
            "ConflictException",
            "InvalidParameterException",
            "PlatformTaskDefinitionIncompatibilityException",
            "PlatformUnknownException",
            "UnsupportedFeatureException",
        ],
    ),
    (
        "ecs",
        "StopTask",
        &[
            "ClientException",
            "ClusterNotFoundException",
            "InvalidParameterException",
        ],
    ),
    (
        "ecs",
        "DescribeTasks",
        &[
            "ClientException",
            "ClusterNotFoundException",
            "InvalidParameterException",
        ],
    ),
    (
        "ecs",
        "ListTasks",
        &[
            "ClientException",
            "ClusterNotFoundException",
            "ServiceNotFoundException",
        ],
    ),
    (
        "ecs",
        "DescribeContainerInstances",
        &["ClientException", "ClusterNotFoundException"],
    ),
    (
        "ecs",
        "UpdateContainerInstancesState",
        &["ClientException", "ClusterNotFoundException"],
    ),
    ("ecs", "*", &["AccessDeniedException"]),
    (
        "dynamodb",
        "UpdateItem",
        &[
            "ItemCollectionSizeLimitExceededException",
            "ReplicatedWriteConflictException",
            "ResourceNotFoundException",
            "TransactionConflictException",
        ],
    ),
    (
        "dynamodb",
        "PutItem",
        &[
            "ItemCollectionSizeLimitExceededException",
            "TransactionConflictException",
        ],
    ),
    (
        "dynamodb",
        "BatchWriteItem",
        &[
            "ItemCollectionSizeLimitExceededException",
            "ResourceNotFoundException",
        ],
    ),
    ("dynamodb", "GetItem", &["ResourceNotFoundException"]),
    ("dynamodb", "Query", &["ResourceNotFoundException"]),
    (
        "dynamodb",
        "*",
        &["AccessDeniedException", "ValidationException"],
    ),
    (
        "states",
        "StartExecution",
        &[
            "StateMachineDeleting",
            "StateMachineDoesNotExist",
            "ExecutionLimitExceeded",
        ],
    ),
    (
        "states",
        "SendTaskSuccess",
        &[
            "InvalidToken",
            "TaskTimedOut",
            "TaskDoesNotExist",
            "KmsThrottlingException",
        ],
    ),
    (
        "states",
        "SendTaskFailure",
        &["InvalidToken", "TaskTimedOut", "TaskDoesNotExist"],
    ),
    ("states", "*", &["AccessDeniedException", "InvalidArn"]),
    (
        "sns",
        "Publish",
        &[
            "KMSThrottling",
            "EndpointDisabled",
            "NotFound",
            "AuthorizationError",
        ],
    ),
    ("sns", "*", &["AuthorizationError"]),
    (
        "ssm",
        "SendCommand",
        &[
            "InvalidInstanceId",
            "InvalidDocument",
            "InvalidParameters",
            "MaxDocumentSizeExceeded",
        ],
    ),
    ("ssm", "*", &["AccessDeniedException"]),
    (
        "ec2",
        "RebootInstances",
        &["UnauthorizedOperation", "IncorrectInstanceState"],
    ),
    ("ec2", "*", &["UnauthorizedOperation"]),
    ("lambda", "*", &["AccessDeniedException"]),
];

/// Lambda's own failures, as Step Functions names them after `Lambda.`.
const LAMBDA: [&str; 6] = [
    "ClientExecutionTimeoutException",
    "ServiceException",
    "AWSLambdaException",
    "SdkClientException",
    "TooManyRequestsException",
    "Unknown",
];

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

/// What was struck, for the report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Struck {
    pub nth: u64,
    pub caller: String,
    pub call: String,
    pub kind: FaultKind,
    pub code: String,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            nth,
            caller,
            call,
            kind,
            code,
        } = self;
        write!(f, "call {nth} of {caller}: {call} {} {code}", kind.words())
    }
}

/// The plan in force. Clones share it.
#[derive(Clone)]
pub(super) struct Weather(Arc<Mutex<State>>);

struct State {
    dice: Dice,
    rate: f64,
    left: u32,
    at: Vec<Strike>,
    /// Every call, when they are to be known.
    calls: Option<Vec<Strike>>,
    /// Calls of a role and action that meet the same fault again, and how often.
    lasting: BTreeMap<(String, String), (u32, FaultKind, Fault)>,
    strikes: Vec<Struck>,
}

impl Weather {
    pub fn new(seed: u64, storm: &Storm) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: Dice::new(seed, "storm"),
            rate: storm.rate,
            left: storm.budget,
            at: storm.at.clone(),
            calls: None,
            lasting: BTreeMap::new(),
            strikes: Vec::new(),
        })))
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing fails.
    pub fn calm(&self) {
        self.with(|state| {
            state.left = 0;
            state.lasting.clear();
        });
    }

    /// From now on every call is written down.
    pub fn record(&self) {
        self.with(|state| state.calls = Some(Vec::new()));
    }

    pub fn calls(&self) -> Vec<Strike> {
        self.with(|state| state.calls.take().unwrap_or_default())
    }

    pub fn strikes(&self) -> Vec<Struck> {
        self.with(|state| state.strikes.clone())
    }

    /// How often each kind struck.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for strike in self.strikes() {
            *counts.entry(strike.kind.words().to_owned()).or_default() += 1;
        }
        counts
    }

    pub fn decide(&self, call: &CallFacts<'_>) -> Fault {
        if SPARED.contains(&call.role()) {
            return Fault::Proceed;
        }
        self.with(|state| {
            let name = format!("{}:{}", call.service, call.action);
            let key = (call.role().to_owned(), name);
            if let Some(calls) = &mut state.calls {
                calls.push(Strike {
                    role: call.role().to_owned(),
                    service: call.service.to_owned(),
                    action: call.action.to_owned(),
                    nth: call.nth,
                    kind: FaultKind::Passing,
                });
            }
            let planned = state.at.iter().position(|s| {
                s.nth == call.nth
                    && s.role == call.role()
                    && s.service == call.service
                    && s.action == call.action
            });
            if let Some(planned) = planned {
                let kind = state.at.swap_remove(planned).kind;
                let fault = fault_of(kind, call, |n| call.nth as usize % n);
                state.strikes.push(struck(call, kind, &fault));
                return fault;
            }
            let (kind, fault) = match state.lasting.get_mut(&key) {
                Some((left, kind, fault)) => {
                    let again = (*kind, fault.clone());
                    *left -= 1;
                    if *left == 0 {
                        state.lasting.remove(&key);
                    }
                    again
                }
                None => {
                    if state.left == 0 || !state.dice.chance(state.rate) {
                        return Fault::Proceed;
                    }
                    state.left -= 1;
                    let (kind, fault) = strike(&state.dice, call);
                    let lasts = matches!(
                        kind,
                        FaultKind::Passing | FaultKind::TimeoutBefore | FaultKind::TimeoutAfter
                    );
                    if lasts && state.dice.chance(0.4) {
                        // Beyond the SDK's five attempts, at times; EventBridge's pauses grow fast.
                        let most = if call.action == "StartExecution" {
                            5
                        } else {
                            14
                        };
                        let times = state.dice.between(1, most);
                        state.lasting.insert(key, (times, kind, fault.clone()));
                    }
                    (kind, fault)
                }
            };
            state.strikes.push(struck(call, kind, &fault));
            fault
        })
    }
}

fn struck(call: &CallFacts<'_>, kind: FaultKind, fault: &Fault) -> Struck {
    let code = match fault {
        Fault::Fail { code, .. } => code.clone(),
        _ => String::new(),
    };
    Struck {
        nth: call.nth_of_all,
        caller: call.caller.to_owned(),
        call: format!("{}:{}", call.service, call.action),
        kind,
        code,
    }
}

fn strike(dice: &Dice, call: &CallFacts<'_>) -> (FaultKind, Fault) {
    let kind = loop {
        let kind = dice.weigh(&[
            (30, FaultKind::Passing),
            (10, FaultKind::Final),
            (14, FaultKind::TimeoutBefore),
            (16, FaultKind::TimeoutAfter),
            (15, FaultKind::KilledBefore),
            (15, FaultKind::KilledAfter),
        ]);
        if kind.strikes(call.role()) {
            break kind;
        }
    };
    (kind, fault_of(kind, call, |n| dice.below(n)))
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
        FaultKind::Passing if service == "lambda" => fail(LAMBDA[choose(LAMBDA.len())], 500),
        FaultKind::Passing => {
            let codes = PASSING.iter().find(|(name, _)| *name == service);
            let codes = codes.map_or(&[("InternalFailure", 500)][..], |(_, codes)| codes);
            // Step Functions names the errors of its integrations by itself.
            let anywhere = if call.role() == "state-machine" {
                &[][..]
            } else {
                &PASSING_ANYWHERE[..]
            };
            let nth = choose(codes.len() + anywhere.len());
            let (code, status) = match nth.checked_sub(codes.len()) {
                None => codes[nth],
                Some(nth) => anywhere[nth],
            };
            fail(code, status)
        }
        FaultKind::Final => {
            let codes: Vec<&str> = FINAL
                .iter()
                .filter(|(name, of, _)| *name == service && (*of == action || *of == "*"))
                .flat_map(|(_, _, codes)| codes.iter().copied())
                .collect();
            let code = codes.get(choose(codes.len())).copied();
            let code = code.unwrap_or("AccessDeniedException");
            fail(code, final_status(code))
        }
    }
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
