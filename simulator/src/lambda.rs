//! Lambda: runs the real workers, each invocation with AWS clients of its own.

use crate::{
    ACCOUNT, REGION,
    clock::Clock,
    dice::Dice,
    faults::Fault,
    wire::{IntegrationFailure, Wire},
};
use aws_smithy_async::time::SharedTimeSource;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep, timeout};
use workers::{Context, Settings, Worker, WorkerError, context::Clients};

/// From the caller to the running handler. A Rust function on provided.al2023 is initialised in 13 ms (lambda-perf, 2026-08);
/// the rest is Lambda's own, for which AWS publishes no figure.
const COLD_START: Range<Duration> = Duration::from_millis(80)..Duration::from_millis(160);
const WARM_START: Range<Duration> = Duration::from_millis(8)..Duration::from_millis(25);
/// An idle sandbox is kept for minutes; AWS publishes no figure.
const KEPT_WARM: Duration = Duration::from_secs(600);

/// Pauses before the two retries of an asynchronous invocation
/// (<https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>).
const ASYNC_RETRIES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];

/// The functions' code by name. Their schemas are made once a process: that costs more than a recovery.
pub static WORKERS: LazyLock<BTreeMap<&'static str, Worker>> =
    LazyLock::new(|| workers::all().into_iter().map(|w| (w.name, w)).collect());

/// The system's functions. Clones are the same functions.
#[derive(Clone)]
pub struct Lambda(Arc<Inner>);

struct Inner {
    clock: Clock,
    wire: Wire,
    dice: Dice,
    settings: Settings,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    invocations: Vec<Invocation>,
    /// No invocation is recorded.
    forgets: bool,
    /// Idle sandboxes of each function, and since when they are idle.
    idle: BTreeMap<&'static str, Vec<(Instant, Sandbox)>>,
    sandboxes: u64,
    dead_letters: Vec<(String, Value)>,
}

/// A process of a function: it serves one invocation at a time and keeps its AWS clients between them.
struct Sandbox {
    /// Its calls are recorded and killed under this name: `claim-job#3`.
    caller: String,
    context: Context,
}

/// One run of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    pub at: SystemTime,
    pub function: &'static str,
    /// Of the handler; what Lambda bills.
    pub duration: Duration,
    pub cold: bool,
    /// The outcome's name, or the error's.
    pub outcome: Result<String, String>,
}

impl Lambda {
    /// Every worker of the system, with the same settings.
    pub fn new(clock: Clock, seed: u64, wire: Wire, settings: Settings) -> Self {
        Self(Arc::new(Inner {
            clock,
            wire,
            dice: Dice::new(seed, "lambda"),
            settings,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function's ARN.
    pub fn arn(worker: &str) -> String {
        format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:gpu-recovery-{worker}")
    }

    /// What the definition's `DefinitionSubstitutions` name the functions: `ClaimJobFunctionArn`, ...
    pub fn substitutions() -> BTreeMap<String, String> {
        WORKERS
            .keys()
            .map(|name| (format!("{}FunctionArn", pascal(name)), Self::arn(name)))
            .collect()
    }

    /// What a worker works with when `caller` is who its calls are recorded and killed under.
    pub fn context(&self, caller: &str) -> Context {
        let wire = &self.0.wire;
        let clients = Clients {
            dynamodb: wire.dynamodb(caller),
            ecs: wire.ecs(caller),
            sfn: wire.sfn(caller),
            sns: wire.sns(caller),
        };
        let time = SharedTimeSource::new(self.0.clock);
        Context::new(self.0.settings.clone(), clients, time)
    }

    /// Invokes a function by name or ARN and waits for its answer. Whoever drops the future stops waiting; the
    /// invocation goes on, as it does on AWS.
    ///
    /// # Errors
    /// As Step Functions reports them: the worker's own error name, `Sandbox.Timedout`, `Runtime.ExitError` when its
    /// process dies, `Lambda.…` when Lambda itself fails.
    pub async fn invoke(
        &self,
        function: &str,
        payload: Value,
    ) -> Result<Value, IntegrationFailure> {
        let name = function
            .rsplit(':')
            .next()
            .unwrap_or(function)
            .trim_start_matches("gpu-recovery-");
        let Some((&name, _)) = WORKERS.get_key_value(name) else {
            return Err(failure(
                "Lambda.ResourceNotFoundException",
                &format!("Function not found: {function}"),
            ));
        };
        match self.0.wire.faults().decide("lambda", "lambda", name) {
            Fault::Proceed => self.spawn(name, payload).await,
            Fault::Fail { code, message, .. } => Err(failure(&format!("Lambda.{code}"), &message)),
            Fault::TimeoutBefore => Err(lost()),
            Fault::FailAfterEffect => self.spawn(name, payload).await.and(Err(unheard())),
            Fault::KillCaller { .. } => Err(exited()),
        }
    }

    async fn spawn(&self, name: &'static str, payload: Value) -> Result<Value, IntegrationFailure> {
        let run = tokio::spawn(self.clone().run(name, payload));
        run.await.unwrap_or_else(|error| {
            if error.is_panic() {
                std::panic::resume_unwind(error.into_panic());
            }
            Err(exited())
        })
    }

    /// Invokes a function as EventBridge does: it does not wait, and Lambda retries twice.
    pub fn invoke_async(&self, function: &'static str, payload: Value) {
        let lambda = self.clone();
        tokio::spawn(async move {
            let mut error = lambda.invoke(function, payload.clone()).await.err();
            for pause in ASYNC_RETRIES {
                if error.is_none() {
                    return;
                }
                sleep(pause).await;
                error = lambda.invoke(function, payload.clone()).await.err();
            }
            if let Some(error) = error {
                let letter = (format!("{function}: {}", error.error), payload);
                lambda.state().dead_letters.push(letter);
            }
        });
    }

    async fn run(self, name: &'static str, payload: Value) -> Result<Value, IntegrationFailure> {
        let (sandbox, cold) = self.sandbox(name);
        let killed = self.0.wire.faults().killed(&sandbox.caller);
        let pause = if cold { COLD_START } else { WARM_START };
        sleep(self.0.dice.within(&pause)).await;
        let at = self.0.clock.now();
        let begin = Instant::now();
        let worker = &WORKERS[name];
        let bound = Duration::from_secs(worker.timeout_seconds.into());
        let answer = tokio::select! {
            biased;
            () = killed => Err(exited()),
            ended = timeout(bound, worker.invoke(&sandbox.context, payload)) => match ended {
                Err(_) => Err(timed_out(bound)),
                Ok(Err(error)) => Err(function_error(&error)),
                Ok(Ok(outcome)) => Ok(outcome),
            },
        };
        let mut state = self.state();
        if !state.forgets {
            state.invocations.push(Invocation {
                at,
                function: name,
                duration: begin.elapsed(),
                cold,
                outcome: match &answer {
                    Ok(outcome) => Ok(outcome["outcome"].as_str().unwrap_or_default().to_owned()),
                    Err(failure) => Err(failure.error.clone()),
                },
            });
        }
        // A sandbox whose process died is not used again.
        if !matches!(&answer, Err(f) if f.error == "Runtime.ExitError" || f.error == "Sandbox.Timedout")
        {
            let idle = state.idle.entry(name).or_default();
            idle.push((Instant::now(), sandbox));
        }
        answer
    }

    /// An idle sandbox, or a new one, and whether it is new.
    fn sandbox(&self, name: &'static str) -> (Sandbox, bool) {
        let mut state = self.state();
        let idle = state.idle.entry(name).or_default();
        idle.retain(|(since, _)| since.elapsed() < KEPT_WARM);
        if let Some((_, sandbox)) = idle.pop() {
            return (sandbox, false);
        }
        state.sandboxes += 1;
        let caller = format!("{name}#{}", state.sandboxes);
        drop(state);
        let context = self.context(&caller);
        (Sandbox { caller, context }, true)
    }

    /// Records no invocation from now on.
    pub fn forget_invocations(&self) {
        let mut state = self.state();
        state.invocations = Vec::new();
        state.forgets = true;
    }

    /// The functions' names, without the prefix `gpu-recovery-`, and what each may take.
    pub fn functions() -> impl Iterator<Item = (&'static str, Duration)> {
        WORKERS
            .iter()
            .map(|(name, worker)| (*name, Duration::from_secs(worker.timeout_seconds.into())))
    }

    /// Every ended invocation, in the order of their ends.
    pub fn invocations(&self) -> Vec<Invocation> {
        self.state().invocations.clone()
    }

    /// Asynchronous invocations that failed for good: what failed, and the event.
    pub fn dead_letters(&self) -> Vec<(String, Value)> {
        self.state().dead_letters.clone()
    }
}

fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let (first, rest) = word.split_at(1.min(word.len()));
            first.to_ascii_uppercase() + rest
        })
        .collect()
}

fn failure(error: &str, cause: &str) -> IntegrationFailure {
    IntegrationFailure {
        error: error.to_owned(),
        cause: cause.to_owned(),
    }
}

/// Lambda's payload of a failed function (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).
fn function_failure(error: &str, message: &str) -> IntegrationFailure {
    let cause = json!({ "errorType": error, "errorMessage": message });
    failure(error, &cause.to_string())
}

fn function_error(error: &WorkerError) -> IntegrationFailure {
    function_failure(error.name(), &error.to_string())
}

fn timed_out(bound: Duration) -> IntegrationFailure {
    let message = format!("Task timed out after {}.00 seconds", bound.as_secs());
    function_failure("Sandbox.Timedout", &message)
}

fn exited() -> IntegrationFailure {
    function_failure(
        "Runtime.ExitError",
        "Runtime exited with error: signal: killed",
    )
}

/// The function has run, and Step Functions has not heard of it (Step Functions developer guide,
/// bp-lambda-serviceexception).
fn unheard() -> IntegrationFailure {
    failure(
        "Lambda.ClientExecutionTimeoutException",
        "Client execution did not complete before the specified timeout configuration",
    )
}

fn lost() -> IntegrationFailure {
    failure(
        "Lambda.SdkClientException",
        "Unable to execute HTTP request: Read timed out",
    )
}
