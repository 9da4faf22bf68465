//! Calls spread over time so that they fit AWS's token buckets.

use futures::{StreamExt, stream};
use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep_until};

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
        let start = Instant::now();
        let calls: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(nth, item)| not_before(start + self.delay(nth), call(item)))
            .collect();
        stream::iter(calls).buffered(CONCURRENCY).collect()
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
}
