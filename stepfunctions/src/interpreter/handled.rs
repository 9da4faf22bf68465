//! States that can fail and go on: Task, Map, Parallel.

use super::{Left, Moment, Run, Visit, retry};
use crate::{
    definition::model::{Handling, Kind, Next},
    failure::{Failure, FailureKind},
    history::Details,
    json::Json,
};
use tokio::time::sleep;

impl Run {
    /// Tries, tries again by Retry, and goes on by Catch.
    pub(super) async fn handled(
        &self,
        visit: &Visit<'_>,
        handling: &Handling,
        next: Next,
    ) -> Result<Left, Failure> {
        let mut attempts = vec![0; handling.retry.len()];
        let mut retries = 0;
        loop {
            let result = match &visit.state.kind {
                Kind::Map(map) => self.map(visit, map, retries).await,
                Kind::Parallel(parallel) => self.parallel(visit, parallel, retries).await,
                Kind::Task(task) => self.task(visit, task, retries).await,
                _ => Ok(visit.input.clone()),
            };
            let left = result.and_then(|result| {
                let moment = Moment {
                    retries,
                    result: Some(&result),
                    ..Moment::default()
                };
                self.leave(visit, &visit.state.exit, &result, moment, next)
            });
            let mut failure = match left {
                Err(failure) if failure.kind != FailureKind::Ended => failure,
                done => return done,
            };
            if failure.kind == FailureKind::DataLimitExceeded {
                // A redrive then plays "the iterations that were successful in the original execution attempt", too.
                visit.frame.place().inner = None;
            }
            let delay = retry::delay(handling, &mut attempts, &failure, &self.execution.dice);
            if let Some(delay) = delay {
                retries += 1;
                self.execution.record().transitions += 1;
                visit.frame.place().inner = None;
                sleep(delay).await;
                continue;
            }
            if let Kind::Map(_) | Kind::Parallel(_) = visit.state.kind {
                let details = Details::StateFailed(visit.state.kind.name());
                visit.frame.place().last = failure.event;
                failure.event = self.push(visit.frame, details)?;
            }
            let catcher = handling.catch.iter().find(|c| failure.matches(&c.errors));
            let Some(catcher) = catcher else {
                return Err(failure);
            };
            let error_output = failure.error_output();
            let moment = Moment {
                retries,
                error_output: Some(&error_output),
                ..Moment::default()
            };
            let output = Json::new(error_output.clone());
            let next = Next::State(catcher.next);
            return self.leave(visit, &catcher.exit, &output, moment, next);
        }
    }
}
