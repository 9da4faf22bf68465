//! A task's call under way: its answer, what it submitted, its token, its time-out.

use super::super::{Run, Visit};
use crate::{
    Answer, IntegrationFailure, JobEnd,
    definition::model::Task,
    failure::Failure,
    history::Details,
    json::Json,
    tokens::{Late, Ticket},
};
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};

pub(super) type Call = BoxFuture<'static, Result<Answer, IntegrationFailure>>;

/// How a task ends without a result.
pub(super) enum Ending {
    Failed(Failure),
    Late(Late),
    /// The runner broke its contract.
    Broken(&'static str),
    /// The history is full, or the execution has ended.
    Stopped(Failure),
}

/// What the runner says.
impl From<IntegrationFailure> for Ending {
    fn from(failure: IntegrationFailure) -> Self {
        Self::Failed(Failure::task(&failure))
    }
}

impl Run {
    /// A call without a token.
    pub(super) async fn plain_task(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        call: Call,
        deadline: Option<Instant>,
    ) -> Result<Value, Ending> {
        let played = async {
            match call.await? {
                Answer::Result(result) => {
                    if task.resource.pattern.submits() {
                        self.submitted(visit, task, result.clone())?;
                    }
                    Ok(result)
                }
                Answer::Runs { submitted, end } if task.resource.pattern.submits() => {
                    self.submitted(visit, task, submitted)?;
                    Ok(end.await?)
                }
                Answer::Runs { .. } => Err(Ending::Broken(
                    "The task runner answered that a job runs, but the resource is no .sync.",
                )),
                Answer::Waits(_) => Err(Ending::Broken(
                    "The task runner answered that it waits for a task token, but the resource has none.",
                )),
            }
        };
        match deadline {
            None => played.await,
            Some(deadline) => tokio::select! {
                biased;
                ended = played => ended,
                () = sleep_until(deadline) => Err(Ending::Late(Late::Timeout)),
            },
        }
    }

    /// Calls, then waits for the token. Who holds the token may answer before the call returns.
    pub(super) async fn token_task(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        mut call: Call,
        mut ticket: Ticket,
    ) -> Result<Value, Ending> {
        let late = ticket.late();
        tokio::pin!(late);
        let answer = tokio::select! {
            biased;
            told = ticket.told() => {
                // The call has done its work; what it still does is not the state's business.
                tokio::spawn(async move { drop(call.await) });
                return told.map_err(Ending::Failed);
            }
            answer = &mut call => answer?,
            late = &mut late => return Err(Ending::Late(late)),
        };
        let (submitted, end): (Value, JobEnd) = match answer {
            Answer::Result(result) => {
                let end = result.clone();
                (result, Box::pin(async { Ok(end) }))
            }
            Answer::Runs { submitted, end } => (submitted, end),
            Answer::Waits(output) => (output, Box::pin(std::future::pending())),
        };
        self.submitted(visit, task, submitted)?;
        tokio::select! {
            biased;
            told = ticket.told() => told.map_err(Ending::Failed),
            end = end => Ok(end?),
            late = late => Err(Ending::Late(late)),
        }
    }

    fn submitted(&self, visit: &Visit<'_>, task: &Task, output: Value) -> Result<(), Ending> {
        let details = Details::TaskSubmitted {
            resource: task.resource.clone(),
            output: Json::new(output).text().clone(),
        };
        self.push(visit.frame, details)
            .map(drop)
            .map_err(Ending::Stopped)
    }
}
