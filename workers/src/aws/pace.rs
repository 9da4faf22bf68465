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
    /// called again, a few at a time and ever later, for about three minutes. No call begins after `until`: those that
    /// did not get their turn are [`WorkerError::OutOfTime`], so that whoever calls again can go on with them.
    ///
    /// A call should write down at once what it has done: it may be the last one of this process.
    pub async fn patiently<T: Clone, R, F>(
        self,
        items: Vec<T>,
        until: Instant,
        call: impl Fn(T) -> F,
    ) -> Vec<Result<R, WorkerError>>
    where
        F: Future<Output = Result<R, WorkerError>>,
    {
        let in_time = |item: T| {
            let turn = call(item);
            async move {
                if Instant::now() < until {
                    turn.await
                } else {
                    Err(out_of_time())
                }
            }
        };
        let mut answers = self.each(items.iter().cloned(), in_time).await;
        for pause in PATIENCE {
            let throttled: Vec<usize> = (0..answers.len())
                .filter(|i| matches!(&answers[*i], Err(error) if error.is_throttled()))
                .collect();
            if throttled.is_empty() {
                break;
            }
            if Instant::now() + pause >= until {
                // The next call goes on with them: they are not more wrong than those that had no turn.
                for i in throttled {
                    answers[i] = Err(out_of_time());
                }
                break;
            }
            sleep(pause).await;
            let again = throttled.iter().map(|i| items[*i].clone());
            let later = self.at_once(again, in_time, FEW).await;
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

/// Until when a function of this time-out may begin calls: each of its loops ends then, so that the function is never
/// killed in one. What is left is for the calls under way, with the SDK's retries, and for the last writes.
pub fn deadline(timeout_seconds: u32) -> Instant {
    Instant::now() + Duration::from_secs(timeout_seconds.into()).saturating_sub(LAST_CALLS)
}

/// One call with all its tries: five of at most 10 s with the pauses between them (`aws::defaults`).
const LAST_CALLS: Duration = Duration::from_secs(60);

pub(crate) fn out_of_time() -> WorkerError {
    WorkerError::OutOfTime(
        "AWS answers too slowly to do all of it in one call; what is done is kept, the next call goes on".to_owned(),
    )
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
            .patiently(
                vec![0, 1, 2],
                start + Duration::from_secs(600),
                |n: usize| {
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
                },
            )
            .await;
        assert_eq!((&answers[0], &answers[1]), (&Ok(0), &Ok(1)));
        assert!(answers[2].is_err());
        assert_eq!(*calls.borrow(), [1, 4, 1]);
    }

    /// A thousand calls of which AWS leaves one a second: the function would be killed after 300 s.
    #[tokio::test(start_paused = true)]
    async fn a_paced_loop_ends_before_its_function_does_and_tells_what_it_has_not_done() {
        let start = Instant::now();
        let until = deadline(300);
        let granted = std::cell::Cell::new(0_u64);
        let answers = ECS_MODIFY
            .patiently((0..1024).collect(), until, |_: usize| async {
                tokio::time::sleep(Duration::from_millis(800)).await;
                if start.elapsed().as_secs() > granted.get() {
                    granted.set(granted.get() + 1);
                    return Ok(());
                }
                Err(WorkerError::AwsUnavailable(crate::error::AwsFailure {
                    call: "ecs:StopTask",
                    code: "ThrottlingException".to_owned(),
                    message: String::new(),
                }))
            })
            .await;
        assert!(
            start.elapsed() < Duration::from_secs(242),
            "{:?}",
            start.elapsed()
        );
        let done = answers.iter().filter(|a| a.is_ok()).count();
        assert_eq!(done as u64, granted.get());
        assert!(done > 100, "{done}");
        let waiting = answers
            .iter()
            .filter(|a| matches!(a, Err(WorkerError::OutOfTime(_))))
            .count();
        assert_eq!(done + waiting, 1024);
    }
}
