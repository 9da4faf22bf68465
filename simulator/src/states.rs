//! Step Functions of the account: the engine on the wire and on the bus.

#[cfg(test)]
mod tests;

use crate::{
    ACCOUNT, REGION,
    clock::Clock,
    eventbridge::Bus,
    stepfunctions::{self, EVENT_SOURCE, EVENT_TYPE, Host, StepFunctions, TaskRunner},
    wire::{ApiError, Handler},
};
use std::sync::Arc;

/// `tasks` does the work of all Task states; events of executions go onto `bus`.
pub fn service(clock: Clock, seed: u64, bus: Bus, tasks: TaskRunner) -> StepFunctions {
    let host = Host::new(tasks)
        .clock(move || clock.now())
        .seed(seed)
        .place(ACCOUNT, REGION)
        .events(move |change| {
            let resources = [change.execution_arn.as_str()];
            bus.put(EVENT_SOURCE, EVENT_TYPE, &resources, change.detail);
        });
    StepFunctions::new(host)
}

/// For [`Wire::register`](crate::wire::Wire::register), as `states`.
pub fn handler(service: &StepFunctions) -> Handler {
    let service = service.clone();
    Arc::new(move |operation, body| {
        let answer = service.api(operation, &body).map_err(ApiError::from);
        Box::pin(async move { answer })
    })
}

impl From<stepfunctions::ApiError> for ApiError {
    fn from(error: stepfunctions::ApiError) -> Self {
        Self::new(error.code, error.message)
    }
}
