//! Calls spread over time so that they fit AWS's token buckets.

use crate::WorkerError;
use futures::{StreamExt, stream};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// A token bucket as AWS publishes it: `burst` calls at once, then `per_second`.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub burst: usize,
    pub per_second: f64,
}

/// RunTask, StartTask, StopTask, UpdateContainerInstancesState: burst 100, 40 a second, the account's
/// "cluster resource modify actions" (ECS developer guide, request-throttling). A little is left for others.
pub const ECS_MODIFY: Pace = Pace {
    burst: 90,
    per_second: 36.0,
};

/// DescribeTasks, DescribeContainerInstances, ListTasks: burst 100, 20 a second ("cluster resource read
/// actions", same page).
pub const ECS_READ: Pace = Pace {
    burst: 60,
    per_second: 16.0,
};

/// DynamoDB on demand has no bucket per call; this bounds the connections instead.
pub const DYNAMODB: Pace = Pace {
    burst: usize::MAX,
    per_second: 1.0,
};

/// Calls under way at once.
const CONCURRENCY: usize = 64;
/// The same for calls that were throttled before.
const FEW: usize = 2;
/// Pauses before throttled calls are made again.
const PATIENCE: [Duration; 7] = [
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
    Duration::from_secs(30),
    Duration::from_secs(45),
    Duration::from_secs(60),
];

impl Pace {
    fn delay(self, nth: usize) -> Duration {
        Duration::from_secs_f64(nth.saturating_sub(self.burst) as f64 / self.per_second)
    }

    /// Runs `call` on every item, all at once within the pace; the results come in the items' order.
    pub fn each<T, R, F: Future<Output = R>>(
        self,
        items: impl IntoIterator<Item = T>,
        call: impl Fn(T) -> F,
    ) -> impl Future<Output = Vec<R>> {
        self.at_once(items, call, CONCURRENCY)
    }

    /// The same, but what AWS throttles in spite of the pace, because others in the account use up its buckets, is
    /// called again, a few at a time and ever later, for about three minutes.
    pub async fn patiently<T: Clone, R, F>(
        self,
        items: Vec<T>,
        call: impl Fn(T) -> F,
    ) -> Vec<Result<R, WorkerError>>
    where
        F: Future<Output = Result<R, WorkerError>>,
    {
        let mut answers = self.each(items.iter().cloned(), &call).await;
        for pause in PATIENCE {
            let throttled: Vec<usize> = (0..answers.len())
                .filter(|i| matches!(&answers[*i], Err(error) if error.is_throttled()))
                .collect();
            if throttled.is_empty() {
                break;
            }
            sleep(pause).await;
            let again = throttled.iter().map(|i| items[*i].clone());
            let later = self.at_once(again, &call, FEW).await;
            for (i, answer) in throttled.into_iter().zip(later) {
                answers[i] = answer;
            }
        }
        answers
    }

    fn at_once<T, R, F: Future<Output = R>>(
        self,
        items: impl IntoIterator<Item = T>,
        call: impl Fn(T) -> F,
        concurrency: usize,
    ) -> impl Future<Output = Vec<R>> {
        let start = Instant::now();
        let calls: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(nth, item)| not_before(start + self.delay(nth), call(item)))
            .collect();
        stream::iter(calls).buffered(concurrency).collect()
    }
}

async fn not_before<F: Future>(at: Instant, call: F) -> F::Output {
    if at > Instant::now() {
        sleep_until(at).await;
    }
    call.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_thousand_calls_never_exceed_the_bucket() {
        let start = Instant::now();
        let times = ECS_MODIFY
            .each(0..1024, |_| async move { start.elapsed() })
            .await;
        for (nth, at) in times.iter().enumerate() {
            let allowed = 100.0 + 40.0 * at.as_secs_f64();
            assert!((nth as f64) < allowed, "call {nth} at {at:?}");
        }
        assert!(times.last().unwrap().as_secs() < 27);
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_throttle_is_called_again_and_what_is_refused_is_not() {
        let failure = |code: &str| crate::error::AwsFailure {
            call: "ecs:RunTask",
            code: code.to_owned(),
            message: String::new(),
        };
        let start = Instant::now();
        let calls = std::cell::RefCell::new(vec![0; 3]);
        let answers = ECS_MODIFY
            .patiently(vec![0, 1, 2], |n: usize| {
                calls.borrow_mut()[n] += 1;
                let late = start.elapsed() > Duration::from_secs(10);
                async move {
                    match n {
                        0 => Ok(n),
                        1 if late => Ok(n),
                        1 => Err(WorkerError::AwsUnavailable(failure("ThrottlingException"))),
                        _ => Err(WorkerError::AwsRejected(failure("AccessDeniedException"))),
                    }
                }
            })
            .await;
        assert_eq!((&answers[0], &answers[1]), (&Ok(0), &Ok(1)));
        assert!(answers[2].is_err());
        assert_eq!(*calls.borrow(), [1, 4, 1]);
    }
}
