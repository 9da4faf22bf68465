//! Step Functions, in the recovery's words.

use crate::{
    Settings, WorkerError,
    context::parse_time,
    error::{AwsFailure, code_of},
    ids::ExecutionArn,
};
use aws_sdk_sfn::{
    Client,
    types::{ExecutionStatus, HistoryEvent, HistoryEventType},
};
use serde_json::Value;

/// An execution is shown so long after it has begun; AWS gives no bound, this is what it gives for ECS.
const SHOWN_WITHIN_SECONDS: i64 = 300;

/// Asks about executions and ends waits.
#[derive(Clone)]
pub struct Executions {
    client: Client,
}

impl Executions {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// True when the execution is RUNNING (or waits for its redrive). `named_at` is when a record last named it, RFC 3339,
    /// and `now` the time in seconds since the epoch: one that AWS does not know has ended more than 90 days ago, or has
    /// begun a moment ago.
    ///
    /// # Errors
    /// [`WorkerError::NotSettledYet`] while it may be the latter: "This operation is eventually consistent. The results
    /// are best effort and may not reflect very recent updates and changes." (API_DescribeExecution)
    pub async fn is_running(
        &self,
        execution: &ExecutionArn,
        named_at: &str,
        now: i64,
    ) -> Result<bool, WorkerError> {
        Ok(self.ended(execution, named_at, now).await?.is_none())
    }

    /// The same for what the execution itself has written at `written_at`: it runs also when it is shown as ended before that,
    /// because it was redriven a moment ago.
    pub async fn may_run(
        &self,
        execution: &ExecutionArn,
        written_at: &str,
        now: i64,
    ) -> Result<bool, WorkerError> {
        let ended = self.ended(execution, written_at, now).await?;
        let since = parse_time(written_at).filter(|at| now - at < SHOWN_WITHIN_SECONDS);
        Ok(ended.is_none_or(|ended| since.is_some_and(|since| since > ended)))
    }

    /// When the execution ended, in seconds since the epoch; `None` while it runs.
    async fn ended(
        &self,
        execution: &ExecutionArn,
        named_at: &str,
        now: i64,
    ) -> Result<Option<i64>, WorkerError> {
        match self
            .client
            .describe_execution()
            .execution_arn(execution.as_str())
            .send()
            .await
        {
            Ok(e) => Ok(match e.status {
                ExecutionStatus::Running | ExecutionStatus::PendingRedrive => None,
                _ => Some(e.stop_date.map_or(i64::MAX, |at| at.secs())),
            }),
            Err(e) if code_of(&e) == "ExecutionDoesNotExist" => {
                if parse_time(named_at).is_some_and(|at| now - at < SHOWN_WITHIN_SECONDS) {
                    return Err(WorkerError::NotSettledYet(format!(
                        "Step Functions does not show execution {execution} yet"
                    )));
                }
                Ok(Some(i64::MAX))
            }
            Err(e) => Err(WorkerError::aws("states:DescribeExecution")(e)),
        }
    }

    /// Starts an execution of this name, once: an execution of a name is never started twice in 90 days
    /// (API_StartExecution). Answers false when it had been.
    pub async fn start(
        &self,
        settings: &Settings,
        name: &str,
        input: &serde_json::Value,
    ) -> Result<bool, WorkerError> {
        const CALL: &str = "states:StartExecution";
        let machine = settings.state_machine_arn.as_deref().ok_or_else(|| {
            WorkerError::AwsRejected(AwsFailure {
                call: CALL,
                code: "NotConfigured".to_owned(),
                message: "STATE_MACHINE_ARN is not set for this function".to_owned(),
            })
        })?;
        let started = self
            .client
            .start_execution()
            .state_machine_arn(machine)
            .name(name)
            .input(input.to_string())
            .send()
            .await;
        match started {
            Ok(_) => Ok(true),
            Err(e) if code_of(&e) == "ExecutionAlreadyExists" => Ok(false),
            Err(e) => Err(WorkerError::aws(CALL)(e)),
        }
    }

    /// Where an ended execution stood last: the state that failed, with its error, or of one that was `cut_off` the state that
    /// it had not left. The last hundred events are read.
    pub async fn last_step(
        &self,
        execution: &ExecutionArn,
        cut_off: bool,
    ) -> Result<Option<LastStep>, WorkerError> {
        let history = self
            .client
            .get_execution_history()
            .execution_arn(execution.as_str())
            .reverse_order(true)
            .max_results(100)
            .include_execution_data(true)
            .send()
            .await
            .map_err(WorkerError::aws("states:GetExecutionHistory"))?;
        Ok(match cut_off {
            true => LastStep::open(history.events()),
            false => LastStep::failed(history.events()),
        })
    }

    /// Ends a wait with `output`. A wait that is over already is fine: the answer was late or came twice.
    pub async fn succeed(
        &self,
        token: &str,
        output: &serde_json::Value,
    ) -> Result<(), WorkerError> {
        let sent = self
            .client
            .send_task_success()
            .task_token(token)
            .output(output.to_string())
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if is_over(&code_of(&e)) => Ok(()),
            Err(e) => Err(WorkerError::aws("states:SendTaskSuccess")(e)),
        }
    }

    /// Ends a wait with an error. A wait that is over already is fine.
    pub async fn fail(&self, token: &str, error: &str, cause: &str) -> Result<(), WorkerError> {
        let sent = self
            .client
            .send_task_failure()
            .task_token(token)
            .error(error)
            .cause(cause)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(e) if is_over(&code_of(&e)) => Ok(()),
            Err(e) => Err(WorkerError::aws("states:SendTaskFailure")(e)),
        }
    }
}

/// Where an execution stood last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastStep {
    pub state: String,
    /// The instance that it was about, where its input names one.
    pub instance: Option<String>,
    /// When the state was entered, in seconds since the epoch.
    pub since: i64,
    /// The states before it, in its iteration of a Map.
    pub before: Vec<String>,
    /// Other states were under way as well.
    pub among_others: bool,
    pub error: Option<String>,
    pub cause: Option<String>,
}

impl LastStep {
    /// The newest failure of a task, and the state that it happened in; events are newest first.
    fn failed(newest_first: &[HistoryEvent]) -> Option<Self> {
        let failure = newest_first.iter().find(|e| failure_of(e).is_some());
        let (error, cause) = failure.and_then(failure_of).unwrap_or_default();
        let entered = entered_before(newest_first, failure.or(newest_first.first())?, None)?;
        Some(Self {
            error,
            cause,
            ..Self::in_state(entered)
        })
    }

    /// The newest state that was entered and not left. In a Map several are under way at once, and the Map's own state
    /// is around them.
    fn open(newest_first: &[HistoryEvent]) -> Option<Self> {
        let left: Vec<i64> = newest_first
            .iter()
            .filter_map(|event| {
                let name = event.state_exited_event_details()?.name();
                Some(entered_before(newest_first, event, Some(name))?.id())
            })
            .collect();
        let open = newest_first.iter().filter(|event| {
            event.state_entered_event_details().is_some() && !left.contains(&event.id())
        });
        let (maps, inner): (Vec<_>, Vec<_>) =
            open.partition(|event| event.r#type == HistoryEventType::MapStateEntered);
        let newest = inner.first().or(maps.first())?;
        let before = chain(newest_first, newest).skip(1);
        let names = before.filter_map(|event| Some(event.state_entered_event_details()?.name()));
        Some(Self {
            among_others: inner.len() > 1,
            before: names.map(str::to_owned).collect(),
            ..Self::in_state(newest)
        })
    }

    fn in_state(entered: &HistoryEvent) -> Self {
        let details = entered.state_entered_event_details();
        let input = details.and_then(|details| details.input());
        let input: Option<Value> = input.and_then(|input| serde_json::from_str(input).ok());
        Self {
            state: details.map_or_else(String::new, |details| details.name().to_owned()),
            instance: input.and_then(|input| input["instance"].as_str().map(str::to_owned)),
            since: entered.timestamp().secs(),
            ..Self::default()
        }
    }
}

/// The state (of this name) to which `previousEventId` leads from an event.
fn entered_before<'a>(
    newest_first: &'a [HistoryEvent],
    event: &'a HistoryEvent,
    name: Option<&str>,
) -> Option<&'a HistoryEvent> {
    chain(newest_first, event).find(|event| {
        event
            .state_entered_event_details()
            .is_some_and(|entered| name.is_none_or(|name| entered.name() == name))
    })
}

/// The event and those before it, as `previousEventId` leads.
fn chain<'a>(
    newest_first: &'a [HistoryEvent],
    event: &'a HistoryEvent,
) -> impl Iterator<Item = &'a HistoryEvent> {
    let by_id = |id: i64| newest_first.iter().find(move |e| e.id() == id);
    std::iter::successors(Some(event), move |event| by_id(event.previous_event_id()))
}

fn failure_of(event: &HistoryEvent) -> Option<(Option<String>, Option<String>)> {
    let owned = |t: Option<&str>| t.map(str::to_owned);
    if let Some(d) = event.task_failed_event_details() {
        return Some((owned(d.error()), owned(d.cause())));
    }
    if let Some(d) = event.task_timed_out_event_details() {
        return Some((owned(d.error()), owned(d.cause())));
    }
    event
        .evaluation_failed_event_details()
        .map(|d| (owned(d.error()), owned(d.cause())))
}

/// SendTaskSuccess and SendTaskFailure answer so when nobody waits for the token any more (API reference).
fn is_over(code: &str) -> bool {
    matches!(code, "TaskTimedOut" | "TaskDoesNotExist" | "InvalidToken")
}
