//! Plays states, one after the other; Maps and Parallels play flows inside.

mod choice;
mod context;
mod crew;
mod exit;
mod handled;
mod map;
mod parallel;
mod retry;
mod task;
mod wait;

use super::{
    definition::model::{Flow, Kind, Next, State},
    execution::{Execution, ExecutionStatus},
    failure::{Failure, FailureKind},
    frame::{Entered, Frame, Item},
    history::{Details, Failed},
    json::{Json, Variables},
    query::{Query, QueryError, Scope},
    service::Inner,
};
use futures::future::{BoxFuture, FutureExt};
use serde_json::Value;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// One run of an execution; a redrive is another one.
pub(super) struct Run {
    pub(super) service: Arc<Inner>,
    pub(super) execution: Arc<Execution>,
}

/// A state, entered.
struct Visit<'a> {
    state: &'a State,
    frame: &'a Frame,
    input: Json,
    variables: Variables,
    entered: Entered,
    /// The innermost Map iteration around it.
    item: Option<&'a Item>,
}

/// What is known beside the visit when fields are evaluated.
#[derive(Default, Clone, Copy)]
struct Moment<'a> {
    retries: u32,
    token: Option<&'a str>,
    result: Option<&'a Json>,
    error_output: Option<&'a Value>,
    /// For `ItemSelector`: the item that is selected from.
    item: Option<&'a Item>,
}

/// A state, left.
struct Left {
    next: Next,
    output: Json,
    variables: Variables,
}

/// How a run ended.
enum Outcome {
    Played(Result<Json, Failure>),
    TimedOut,
}

impl Run {
    /// Plays the execution to its end, or until its time is over.
    pub(super) async fn play(self) {
        let machine = self.execution.machine.definition.machine.clone();
        let root = self.execution.record().root.clone();
        let played = self.flow(&machine.flow, &root, None);
        let outcome = match machine.timeout {
            // "When you redrive an execution, the state machine level timeout, if defined, is reset to 0"
            // (https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html).
            Some(timeout) => {
                let deadline = Instant::now() + timeout;
                tokio::select! {
                    biased;
                    outcome = played => Outcome::Played(outcome),
                    () = sleep_until(deadline) => Outcome::TimedOut,
                }
            }
            None => Outcome::Played(played.await),
        };
        self.end(outcome);
    }

    fn end(&self, outcome: Outcome) {
        let (status, previous, details, output) = match outcome {
            Outcome::Played(Ok(output)) => {
                let previous = self.execution.record().root.place().last;
                let text = output.text().clone();
                let details = Details::ExecutionSucceeded { output: text };
                (ExecutionStatus::Succeeded, previous, details, Some(output))
            }
            Outcome::Played(Err(failure)) if failure.kind == FailureKind::Ended => return,
            Outcome::Played(Err(failure)) => {
                let details = Details::ExecutionFailed(failure.failed);
                (ExecutionStatus::Failed, failure.event, details, None)
            }
            // As recorded on AWS: no previous event; the error stands in the event alone.
            Outcome::TimedOut => (
                ExecutionStatus::TimedOut,
                0,
                Details::ExecutionTimedOut,
                None,
            ),
        };
        self.service
            .close(&self.execution, status, previous, details, output);
    }

    /// Plays a flow from where its frame stands.
    fn flow<'a>(
        &'a self,
        flow: &'a Flow,
        frame: &'a Frame,
        item: Option<&'a Item>,
    ) -> BoxFuture<'a, Result<Json, Failure>> {
        async move {
            loop {
                let visit = self.enter(flow, frame, item)?;
                let left = self.visit(&visit).await?;
                let mut place = frame.place();
                place.entered = None;
                place.inner = None;
                place.variables = left.variables;
                match left.next {
                    Next::State(index) => {
                        place.state = index;
                        place.input = left.output;
                    }
                    Next::End => {
                        place.output = Some(left.output.clone());
                        return Ok(left.output);
                    }
                }
            }
        }
        .boxed()
    }

    /// Enters the state, or stays in the one that a redrive goes on from.
    fn enter<'a>(
        &self,
        flow: &'a Flow,
        frame: &'a Frame,
        item: Option<&'a Item>,
    ) -> Result<Visit<'a>, Failure> {
        let place = frame.place().clone();
        let state = &flow.states[place.state];
        let entered = match place.entered {
            Some(entered) => entered,
            None => {
                let details = Details::StateEntered {
                    kind: state.kind.name(),
                    name: state.name.clone(),
                    input: place.input.text().clone(),
                };
                let at = self.service.host.now();
                let event = self.push(frame, details)?;
                self.execution.record().transitions += 1;
                let entered = Entered {
                    event,
                    previous: place.last,
                    at,
                };
                frame.place().entered = Some(entered);
                entered
            }
        };
        Ok(Visit {
            state,
            frame,
            input: place.input,
            variables: place.variables,
            entered,
            item,
        })
    }

    async fn visit(&self, visit: &Visit<'_>) -> Result<Left, Failure> {
        let next = visit.state.next.unwrap_or(Next::End);
        match &visit.state.kind {
            Kind::Pass | Kind::Succeed => self.leave(
                visit,
                &visit.state.exit,
                &visit.input,
                Moment::default(),
                next,
            ),
            Kind::Fail { error, cause } => Err(self.fail(visit, error.as_ref(), cause.as_ref())),
            Kind::Choice(rules) => self.choose(visit, rules),
            Kind::Wait(wait) => {
                self.wait(visit, wait).await?;
                self.leave(
                    visit,
                    &visit.state.exit,
                    &visit.input,
                    Moment::default(),
                    next,
                )
            }
            Kind::Task(task) => self.handled(visit, &task.handling, next).await,
            Kind::Map(map) => self.handled(visit, &map.handling, next).await,
            Kind::Parallel(parallel) => self.handled(visit, &parallel.handling, next).await,
        }
    }

    /// Adds an event to the flow's chain.
    fn push(&self, frame: &Frame, details: Details) -> Result<u64, Failure> {
        let previous = frame.place().last;
        let id = self.push_after(previous, details)?;
        frame.place().last = id;
        Ok(id)
    }

    fn push_after(&self, previous: u64, details: Details) -> Result<u64, Failure> {
        let id = self
            .execution
            .push(self.service.host.now(), previous, details)?;
        self.service.tell(&self.execution, id);
        Ok(id)
    }

    /// Evaluates fields of the visited state. What fails is in the history when this returns.
    fn query<T>(
        &self,
        visit: &Visit<'_>,
        moment: Moment<'_>,
        evaluate: impl FnOnce(&Query<'_>) -> Result<T, QueryError>,
    ) -> Result<T, Failure> {
        let context = |input: bool| self.context(visit, &moment, input);
        let query = Query::new(Scope {
            input: &visit.input,
            result: moment.result,
            error_output: moment.error_output,
            context: &context,
            variables: &visit.variables,
            now: self.service.host.now(),
            dice: &self.execution.dice,
        });
        match evaluate(&query) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.query_failed(visit, error)?),
        }
    }

    fn query_failed(&self, visit: &Visit<'_>, error: QueryError) -> Result<Failure, Failure> {
        const ERROR: &str = "States.QueryEvaluationError";
        let cause = situated(visit, &error.cause);
        let details = Details::EvaluationFailed {
            state: visit.state.name.clone(),
            location: (!error.location.is_empty()).then_some(error.location),
            failed: Failed {
                error: Some(ERROR.into()),
                cause: Some(cause.as_str().into()),
            },
        };
        let last = visit.frame.place().last;
        // As recorded on AWS, right after the entry the event follows what the entry followed.
        let previous = if last == visit.entered.event {
            visit.entered.previous
        } else {
            last
        };
        let event = self.push_after(previous, details)?;
        visit.frame.place().last = event;
        Ok(Failure::new(
            FailureKind::Ordinary,
            ERROR,
            Some(cause),
            event,
        ))
    }
}

/// A cause as AWS words what the engine itself finds wrong.
fn situated(visit: &Visit<'_>, what: &str) -> String {
    format!(
        "An error occurred while executing the state '{}' (entered at the event id #{}). {what}",
        visit.state.name, visit.entered.event
    )
}
