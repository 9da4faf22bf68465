//! Task (<https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html>).

use super::{Moment, Run, Visit, wait::seconds};
use crate::{
    Answer, IntegrationFailure, Resource, TaskRequest,
    definition::model::Task,
    failure::{Failure, FailureKind},
    history::{Details, Failed},
    json::{Json, MAX_BYTES},
    tokens::{Late, Ticket, Tokens},
};
use futures::future::BoxFuture;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

/// A task's call under way.
type Call = BoxFuture<'static, Result<Answer, IntegrationFailure>>;

/// The evaluated fields of a Task. `HeartbeatSeconds` counts only where there is a token to beat with.
struct Prepared {
    arguments: Value,
    timeout: Option<u64>,
    heartbeat: Option<u64>,
}

/// How a task ends without a result.
enum Ending {
    Failed(IntegrationFailure),
    Late(Late),
    /// The runner broke its contract.
    Broken(&'static str),
    /// The history is full, or the execution has ended.
    Stopped(Failure),
}

impl Run {
    pub(super) async fn task(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        retries: u32,
    ) -> Result<Json, Failure> {
        let waits = *task.resource == Resource::LambdaInvokeWaitForTaskToken;
        let token = waits.then(|| Tokens::make(&self.execution.seeded));
        let prepared = self.prepare(visit, task, retries, token.as_deref())?;
        let parameters = prepared.arguments.to_string();
        if parameters.len() > MAX_BYTES {
            return Err(self.too_large(visit));
        }
        let details = Details::TaskScheduled {
            resource: task.resource.clone(),
            parameters: parameters.into(),
            timeout: prepared.timeout,
            heartbeat: prepared.heartbeat,
        };
        self.push(visit.frame, details)?;
        self.push(visit.frame, Details::TaskStarted(task.resource.clone()))?;
        let deadline = prepared
            .timeout
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let ticket = token.as_ref().map(|token| {
            let heartbeat = prepared.heartbeat.map(Duration::from_secs);
            let map_index = visit.item.map(|item| item.index);
            let place = (
                self.execution.arn.as_ref(),
                visit.state.name.as_ref(),
                map_index,
            );
            self.service
                .tokens
                .open(token, place, deadline, heartbeat, self.service.host.now())
        });
        let call = (self.service.host.tasks)(TaskRequest {
            execution_arn: self.execution.arn.to_string(),
            execution_name: self.execution.name.to_string(),
            state: visit.state.name.to_string(),
            resource: (*task.resource).clone(),
            arguments: prepared.arguments,
            map_index: visit.item.map(|item| item.index),
            retry_count: retries,
            task_token: token,
        });
        let ended = match ticket {
            None => within(call, deadline).await,
            Some(ticket) => self.token_task(visit, task, call, ticket).await,
        };
        self.task_ended(visit, &task.resource, ended)
    }

    fn prepare(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        retries: u32,
        token: Option<&str>,
    ) -> Result<Prepared, Failure> {
        let moment = Moment {
            retries,
            token,
            ..Moment::default()
        };
        self.query(visit, moment, |query| {
            let mut arguments = match &task.arguments {
                Some(arguments) => query.template(arguments)?,
                None => visit.input.value().clone(),
            };
            if *task.resource == Resource::EcsRunTaskSync
                && let Value::Object(members) = &mut arguments
            {
                // Step Functions sets it itself, and shows it in the history.
                members.insert("StartedBy".to_owned(), "AWS Step Functions".into());
            }
            let limit = |field: &Option<_>| {
                let template = field.as_ref();
                template
                    .map(|template| seconds(query, template, 1.0))
                    .transpose()
            };
            Ok(Prepared {
                arguments,
                timeout: limit(&task.timeout)?,
                heartbeat: limit(&task.heartbeat)?,
            })
        })
    }

    /// Calls, then waits for the token. Who holds the token may answer before the call returns.
    async fn token_task(
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
            answer = &mut call => answer.map_err(Ending::Failed)?,
            late = &mut late => return Err(Ending::Late(late)),
        };
        let output = match answer {
            Answer::Result(result) => return Ok(result),
            Answer::Waits(output) => Json::new(output),
        };
        let details = Details::TaskSubmitted {
            resource: task.resource.clone(),
            output: output.text().clone(),
        };
        self.push(visit.frame, details).map_err(Ending::Stopped)?;
        tokio::select! {
            biased;
            told = ticket.told() => told.map_err(Ending::Failed),
            late = late => Err(Ending::Late(late)),
        }
    }

    fn task_ended(
        &self,
        visit: &Visit<'_>,
        resource: &Arc<Resource>,
        ended: Result<Value, Ending>,
    ) -> Result<Json, Failure> {
        let resource = resource.clone();
        match ended {
            Ok(result) => {
                let result = Json::new(result);
                if result.too_large() {
                    let failure = self.too_large(visit);
                    return Err(self.task_failed(visit, resource, failure)?);
                }
                let details = Details::TaskSucceeded {
                    resource,
                    output: result.text().clone(),
                };
                self.push(visit.frame, details)?;
                Ok(result)
            }
            Err(Ending::Failed(failure)) => {
                let failure = Failure::task(&failure, 0);
                Err(self.task_failed(visit, resource, failure)?)
            }
            Err(Ending::Broken(what)) => Err(self.runtime(visit, what)),
            Err(Ending::Stopped(failure)) => Err(failure),
            Err(Ending::Late(late)) => {
                let kind = match late {
                    Late::Timeout => FailureKind::Timeout,
                    Late::Heartbeat => FailureKind::HeartbeatTimeout,
                };
                let mut failure = Failure::new(kind, "States.Timeout", None, 0);
                let details = Details::TaskTimedOut {
                    resource,
                    failed: failure.failed.clone(),
                };
                failure.event = self.push(visit.frame, details)?;
                Err(failure)
            }
        }
    }

    fn task_failed(
        &self,
        visit: &Visit<'_>,
        resource: Arc<Resource>,
        mut failure: Failure,
    ) -> Result<Failure, Failure> {
        let failed: Failed = failure.failed.clone();
        let details = Details::TaskFailed { resource, failed };
        failure.event = self.push(visit.frame, details)?;
        Ok(failure)
    }
}

/// A call that answers with the result.
async fn within(call: Call, deadline: Option<Instant>) -> Result<Value, Ending> {
    let answer = match deadline {
        None => call.await,
        Some(deadline) => tokio::select! {
            biased;
            answer = call => answer,
            () = sleep_until(deadline) => return Err(Ending::Late(Late::Timeout)),
        },
    };
    match answer.map_err(Ending::Failed)? {
        Answer::Result(result) => Ok(result),
        Answer::Waits(_) => Err(Ending::Broken(
            "The task runner answered that it waits for a task token, but the resource has none.",
        )),
    }
}
