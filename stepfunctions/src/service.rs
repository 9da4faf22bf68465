//! The service: machines, executions, who is told of what.

use super::{
    ApiError, Host,
    definition::Definition,
    dice::Dice,
    events,
    execution::{Execution, ExecutionStatus, ExecutionView},
    history::{Details, Failed},
    interpreter::Run,
    json::Json,
    tokens::Tokens,
    versions::Published,
};
use indexmap::IndexMap;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

type Hook = Arc<dyn Fn(&str, &Value) + Send + Sync>;
type Lag = Arc<dyn Fn() -> Duration + Send + Sync>;

/// Step Functions in one account and region. Clones are the same service.
#[derive(Clone)]
pub struct StepFunctions(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) host: Host,
    pub(super) tokens: Tokens,
    pub(super) dice: Dice,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// By ARN.
    pub(super) machines: BTreeMap<String, Arc<StateMachine>>,
    /// By the machine's ARN.
    pub(super) published: BTreeMap<String, Published>,
    /// By ARN, in the order of their start.
    pub(super) executions: IndexMap<Arc<str>, Arc<Execution>>,
    hooks: Vec<Hook>,
    lag: Option<Lag>,
}

pub(super) struct StateMachine {
    pub(super) arn: String,
    pub(super) name: String,
    pub(super) definition: Definition,
    pub(super) created: SystemTime,
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time as of which DescribeExecution and ListExecutions answer.
    pub(super) fn seen(&self) -> SystemTime {
        let lag = self.state().lag.clone();
        self.host.now() - lag.map_or(Duration::ZERO, |lag| lag())
    }

    /// Tells the hooks of an event.
    pub(super) fn tell(&self, execution: &Execution, id: u64) {
        let hooks = self.state().hooks.clone();
        if hooks.is_empty() {
            return;
        }
        let event = {
            let record = execution.record();
            let index = usize::try_from(id).unwrap_or(usize::MAX).wrapping_sub(1);
            record
                .events
                .get(index)
                .map(|event| event.render(id, true, &self.host))
        };
        if let Some(event) = event {
            for hook in hooks {
                hook(&execution.arn, &event);
            }
        }
    }

    /// Ends a running execution; one that has ended stays as it is.
    pub(super) fn close(
        &self,
        execution: &Execution,
        status: ExecutionStatus,
        previous: u64,
        details: Details,
        output: Option<Json>,
    ) {
        let id = {
            let mut record = execution.record();
            if execution.status() != ExecutionStatus::Running {
                return;
            }
            let now = self.host.now();
            record.failed = match &details {
                Details::ExecutionFailed(failed) | Details::ExecutionAborted(failed) => {
                    failed.clone()
                }
                _ => Failed::default(),
            };
            record.stopped = Some(now);
            record.output = output;
            execution.status.send_replace(status);
            record.append(now, previous, details)
        };
        self.tell(execution, id);
        self.announce(execution);
    }

    pub(super) fn announce(&self, execution: &Execution) {
        (self.host.events)(events::status_change(execution, self.host.now()));
    }

    /// Plays the execution from where it stands.
    pub(super) fn run(self: &Arc<Self>, execution: &Arc<Execution>) {
        let run = Run {
            service: self.clone(),
            execution: execution.clone(),
        };
        let task = tokio::spawn(run.play());
        execution.record().run = Some(task.abort_handle());
    }
}

impl StepFunctions {
    /// A service without machines.
    pub fn new(host: Host) -> Self {
        Self(Arc::new(Inner {
            tokens: Tokens::default(),
            dice: Dice::new(host.seed, "states"),
            host,
            state: Mutex::default(),
        }))
    }

    /// Makes a state machine, or gives one a new definition for its next executions; the answer is its ARN.
    pub fn create_state_machine(&self, name: &str, definition: Definition) -> String {
        let arn = self.0.host.arn("stateMachine", name);
        let machine = StateMachine {
            arn: arn.clone(),
            name: name.to_owned(),
            definition,
            created: self.0.host.now(),
        };
        self.0
            .state()
            .machines
            .insert(arn.clone(), Arc::new(machine));
        arn
    }

    pub(super) fn machine(&self, arn: &str) -> Result<Arc<StateMachine>, ApiError> {
        let unqualified: Vec<&str> = arn.splitn(8, ':').take(7).collect();
        if unqualified.len() < 7 || unqualified[5] != "stateMachine" {
            return Err(ApiError::new("InvalidArn", format!("Invalid Arn: '{arn}'")));
        }
        let plain = unqualified.join(":");
        let state = self.0.state();
        let machine = match (state.published.get(&plain), arn.splitn(8, ':').nth(7)) {
            (Some(published), Some(qualifier)) => published.find(qualifier),
            // Nothing is published: whatever version or alias is named is the machine as it is.
            _ => state.machines.get(&plain),
        };
        machine.cloned().ok_or_else(|| {
            let message = format!("State Machine Does Not Exist: '{arn}'");
            ApiError::new("StateMachineDoesNotExist", message)
        })
    }

    pub(super) fn execution(&self, arn: &str) -> Result<Arc<Execution>, ApiError> {
        let execution = self.0.state().executions.get(arn).cloned();
        execution.ok_or_else(|| unknown(arn))
    }

    /// What is known of an execution.
    pub fn describe(&self, execution_arn: &str) -> Option<ExecutionView> {
        Some(self.execution(execution_arn).ok()?.view())
    }

    /// All executions, in the order of their start.
    pub fn executions(&self) -> Vec<ExecutionView> {
        let executions: Vec<_> = self.0.state().executions.values().cloned().collect();
        executions
            .iter()
            .map(|execution| execution.view())
            .collect()
    }

    /// How many executions run, and how many there are.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.0.state();
        let running = state.executions.values();
        let running = running.filter(|e| e.status() == ExecutionStatus::Running);
        (running.count(), state.executions.len())
    }

    /// The events as GetExecutionHistory answers them, oldest first; none of an unknown execution.
    pub fn history(&self, execution_arn: &str) -> Vec<Value> {
        let Ok(execution) = self.execution(execution_arn) else {
            return Vec::new();
        };
        let record = execution.record();
        let events = record.events.iter().zip(1..);
        events
            .map(|(event, id)| event.render(id, true, &self.0.host))
            .collect()
    }

    /// State transitions as a Standard workflow is billed for them: each state that was entered, each retry, each redrive
    /// (<https://aws.amazon.com/step-functions/pricing/>).
    pub fn transitions(&self, execution_arn: &str) -> u64 {
        self.execution(execution_arn)
            .map_or(0, |execution| execution.record().transitions)
    }

    /// Calls `hook` with the execution's ARN and the event, at every event from now on.
    pub fn on_event(&self, hook: impl Fn(&str, &Value) + Send + Sync + 'static) {
        self.0.state().hooks.push(Arc::new(hook));
    }

    /// From now on what DescribeExecution and ListExecutions answer is as old as `lag` says, asked at each call: within
    /// that time a new execution does not exist for them, and one that ended runs. Both are "eventually consistent" on AWS;
    /// without this they are never late.
    pub fn set_lag(&self, lag: impl Fn() -> Duration + Send + Sync + 'static) {
        self.0.state().lag = Some(Arc::new(lag));
    }

    /// No hook is called any more, and nothing lags: what is called may hold this service and keep it alive.
    pub fn forget_hooks(&self) {
        let (hooks, lag) = {
            let mut state = self.0.state();
            (std::mem::take(&mut state.hooks), state.lag.take())
        };
        drop((hooks, lag));
    }

    /// Resolves when the execution has ended; at once when it has, and with `None` when there is none.
    pub fn finished(
        &self,
        execution_arn: &str,
    ) -> impl Future<Output = Option<ExecutionView>> + Send + 'static {
        let execution = self.execution(execution_arn).ok();
        async move {
            let execution = execution?;
            let mut status = execution.status.subscribe();
            // The sender lives as long as the execution, which is held here.
            let _ = status
                .wait_for(|status| *status != ExecutionStatus::Running)
                .await;
            Some(execution.view())
        }
    }
}

pub(super) fn unknown(arn: &str) -> ApiError {
    let message = format!("Execution Does Not Exist: '{arn}'");
    ApiError::new("ExecutionDoesNotExist", message)
}
