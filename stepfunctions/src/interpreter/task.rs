//! Task (<https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html>).

mod call;

use super::{Moment, Run, Visit, wait::seconds};
use crate::{
    Pattern, TaskRequest,
    definition::model::Task,
    failure::{Failure, FailureKind},
    history::{Details, Failed},
    json::{Json, MAX_BYTES},
    tokens::{Late, Ticket, Tokens},
};
use call::Ending;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The evaluated fields of a Task. `HeartbeatSeconds` counts only where there is a token to beat with.
struct Prepared {
    arguments: Value,
    timeout: Option<u64>,
    heartbeat: Option<u64>,
}

impl Run {
    pub(super) async fn task(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        retries: u32,
    ) -> Result<Json, Failure> {
        let waits = task.resource.pattern == Pattern::WaitForTaskToken;
        let token = waits.then(|| Tokens::make(&self.execution.dice));
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
        let ticket = token
            .as_ref()
            .map(|token| self.ticket(visit, token, deadline, prepared.heartbeat));
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
            None => self.plain_task(visit, task, call, deadline).await,
            Some(ticket) => self.token_task(visit, task, call, ticket).await,
        };
        self.task_ended(visit, task, ended)
    }

    fn ticket(
        &self,
        visit: &Visit<'_>,
        token: &str,
        deadline: Option<Instant>,
        heartbeat: Option<u64>,
    ) -> Ticket {
        let place = (
            self.execution.arn.as_ref(),
            visit.state.name.as_ref(),
            visit.item.map(|item| item.index),
        );
        let heartbeat = heartbeat.map(Duration::from_secs);
        let now = self.service.host.now();
        self.service
            .tokens
            .open(token, place, deadline, heartbeat, now)
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
            let (service, action) = (&*task.resource.service, &*task.resource.action);
            if (service, action) == ("ecs", "runTask")
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

    fn task_ended(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        ended: Result<Value, Ending>,
    ) -> Result<Json, Failure> {
        match ended {
            Ok(result) => {
                let result = Json::new(result);
                if result.too_large() {
                    // As recorded on AWS: the service stands for the state, and States.ALL catches it.
                    let last = visit.frame.place().last;
                    let mut failure = Failure::data_limit(&task.resource.service, last);
                    failure.kind = FailureKind::Ordinary;
                    return Err(self.task_failed(visit, task, failure)?);
                }
                let details = Details::TaskSucceeded {
                    resource: task.resource.clone(),
                    output: result.text().clone(),
                };
                self.push(visit.frame, details)?;
                Ok(result)
            }
            Err(Ending::Failed(failure)) => Err(self.task_failed(visit, task, failure)?),
            Err(Ending::Broken(what)) => Err(self.runtime(visit, what)),
            Err(Ending::Stopped(failure)) => Err(failure),
            Err(Ending::Late(late)) => {
                let kind = match late {
                    Late::Timeout => FailureKind::Timeout,
                    Late::Heartbeat => FailureKind::HeartbeatTimeout,
                };
                let failure = Failure::new(kind, "States.Timeout", None, 0);
                Err(self.task_failed(visit, task, failure)?)
            }
        }
    }

    fn task_failed(
        &self,
        visit: &Visit<'_>,
        task: &Task,
        mut failure: Failure,
    ) -> Result<Failure, Failure> {
        let resource = task.resource.clone();
        let failed: Failed = failure.failed.clone();
        let details = match failure.kind {
            FailureKind::Timeout | FailureKind::HeartbeatTimeout => {
                Details::TaskTimedOut { resource, failed }
            }
            _ => Details::TaskFailed { resource, failed },
        };
        failure.event = self.push(visit.frame, details)?;
        Ok(failure)
    }
}
