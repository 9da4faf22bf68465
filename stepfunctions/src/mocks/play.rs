//! Answering in a task's place.

use super::TestCase;
use crate::{Answer, IntegrationFailure, Resource, TaskRequest, TaskRunner};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// By execution and state: how many calls were answered.
type Counters = BTreeMap<(String, String), u32>;

pub(super) fn runner(case: Arc<TestCase>, others: Option<TaskRunner>) -> TaskRunner {
    let counters: Mutex<Counters> = Mutex::default();
    Arc::new(move |request| {
        if let Some(others) = &others
            && !case.contains_key(&request.state)
        {
            return others(request);
        }
        let nth = {
            let key = (request.execution_arn.clone(), request.state.clone());
            let mut counters = counters.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counters.entry(key).or_default();
            *count += 1;
            *count - 1
        };
        let answer = find(&case, &request, nth).and_then(|found| answer(&request.resource, found));
        Box::pin(async move { answer })
    })
}

fn find(
    case: &TestCase,
    request: &TaskRequest,
    nth: u32,
) -> Result<Result<Value, IntegrationFailure>, IntegrationFailure> {
    let unmocked = |cause: String| IntegrationFailure {
        error: "States.Runtime".to_owned(),
        cause,
    };
    let state = &request.state;
    let responses = case.get(state).map(|mock| &mock.responses).ok_or_else(|| {
        unmocked(format!(
            "the state '{state}' is not mocked in this test case"
        ))
    })?;
    let found = responses.answers.iter();
    let found = found.clone().find(|(range, _)| range.contains(&nth));
    let (_, answer) = found.ok_or_else(|| {
        let name = &responses.name;
        unmocked(format!(
            "call {} of the state '{state}' is not mocked: '{name}' has no response \"{nth}\"",
            nth + 1
        ))
    })?;
    Ok(answer.clone())
}

/// An error that the call itself gets stands for a refusal, after which nothing runs; any other one ends what was
/// submitted.
fn answer(
    resource: &Resource,
    mocked: Result<Value, IntegrationFailure>,
) -> Result<Answer, IntegrationFailure> {
    match mocked {
        Ok(result) => Ok(Answer::Result(result)),
        Err(failure) if resource.pattern.submits() && !is_refusal(resource, &failure.error) => {
            let end = Box::pin(async { Err(failure) });
            let submitted = json!({});
            Ok(Answer::Runs { submitted, end })
        }
        Err(failure) => Err(failure),
    }
}

/// Errors of the call carry the service's name: `ECS.AmazonECSException`, `AmazonECS.Unknown`, `Lambda.Unknown`.
fn is_refusal(resource: &Resource, error: &str) -> bool {
    let Some((prefix, _)) = error.split_once('.') else {
        return false;
    };
    let prefix = prefix.to_lowercase();
    let prefix = prefix.strip_prefix("amazon").unwrap_or(&prefix);
    let service = resource.sdk_service().unwrap_or(&resource.service);
    let service = match service {
        "states" => "stepfunctions",
        "events" => "eventbridge",
        other => other,
    };
    prefix == service
}
