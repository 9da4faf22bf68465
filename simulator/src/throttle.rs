//! AWS's request throttling: token buckets per account and region.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// How many calls at once, and how many a second after that.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub burst: f64,
    pub per_second: f64,
}

/// Which bucket an action draws from, how large it is, and how the refusal is called.
#[derive(Debug, Clone, Copy)]
struct Group {
    service: &'static str,
    actions: &'static [&'static str],
    name: &'static str,
    limit: Limit,
    code: &'static str,
}

const fn limit(burst: f64, per_second: f64) -> Limit {
    Limit { burst, per_second }
}

/// An action that is not here has no limit that a recovery could reach.
const GROUPS: [Group; 7] = [
    // https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html
    Group {
        service: "ecs",
        actions: &[
            "RunTask",
            "StartTask",
            "StopTask",
            "UpdateContainerInstancesState",
            "DeregisterContainerInstance",
        ],
        name: "ecs cluster resource modify",
        limit: limit(100.0, 40.0),
        code: "ThrottlingException",
    },
    Group {
        service: "ecs",
        actions: &[
            "DescribeTasks",
            "DescribeContainerInstances",
            "ListTasks",
            "ListContainerInstances",
        ],
        name: "ecs cluster resource read",
        limit: limit(100.0, 20.0),
        code: "ThrottlingException",
    },
    Group {
        service: "ecs",
        actions: &["DescribeTaskDefinition"],
        name: "ecs task definition read",
        limit: limit(50.0, 20.0),
        code: "ThrottlingException",
    },
    Group {
        service: "ecs",
        actions: &["RegisterTaskDefinition"],
        name: "ecs task definition modify",
        limit: limit(20.0, 1.0),
        code: "ThrottlingException",
    },
    // https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html (mutating actions)
    Group {
        service: "ec2",
        actions: &["RebootInstances"],
        name: "ec2 mutating",
        limit: limit(50.0, 5.0),
        code: "RequestLimitExceeded",
    },
    // https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html (us-east-1, Standard)
    Group {
        service: "states",
        actions: &["StartExecution"],
        name: "states StartExecution",
        limit: limit(1300.0, 300.0),
        code: "ThrottlingException",
    },
    Group {
        service: "states",
        actions: &["SendTaskSuccess", "SendTaskFailure", "SendTaskHeartbeat"],
        name: "states SendTask",
        limit: limit(3000.0, 500.0),
        code: "ThrottlingException",
    },
];

#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: Limit,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(limit: Limit) -> Self {
        Self {
            limit,
            tokens: limit.burst,
            at: Instant::now(),
        }
    }

    fn take(&mut self) -> bool {
        let now = Instant::now();
        let refill = (now - self.at).as_secs_f64() * self.limit.per_second;
        self.tokens = (self.tokens + refill).min(self.limit.burst);
        self.at = now;
        let granted = self.tokens >= 1.0;
        if granted {
            self.tokens -= 1.0;
        }
        granted
    }
}

/// The account's buckets. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Throttle(Arc<Mutex<BTreeMap<&'static str, Bucket>>>);

impl Throttle {
    /// Takes a token for the action.
    ///
    /// # Errors
    /// The error code that AWS answers (with HTTP 400, or 503 for EC2) when the bucket is empty.
    pub fn take(&self, service: &str, action: &str) -> Result<(), &'static str> {
        let Some(group) = group(service, action) else {
            return Ok(());
        };
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets
            .entry(group.name)
            .or_insert_with(|| Bucket::full(group.limit));
        if bucket.take() {
            Ok(())
        } else {
            Err(group.code)
        }
    }

    /// Gives the action's group another limit, full at once: someone else in the account is busy.
    /// Without effect for an action that has none.
    pub fn set_limit(&self, service: &str, action: &str, limit: Limit) {
        if let Some(group) = group(service, action) {
            let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.insert(group.name, Bucket::full(limit));
        }
    }
}

/// The services and actions that have a limit which a recovery could reach.
pub fn limited() -> impl Iterator<Item = (&'static str, &'static str)> {
    GROUPS
        .iter()
        .flat_map(|group| group.actions.iter().map(|action| (group.service, *action)))
}

fn group(service: &str, action: &str) -> Option<&'static Group> {
    GROUPS
        .iter()
        .find(|g| g.service == service && g.actions.contains(&action))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_group_shares_its_burst_and_refills_in_virtual_time() {
        let throttle = Throttle::default();
        let granted = |n: usize| {
            (0..n)
                .filter(|_| throttle.take("ecs", "StopTask").is_ok())
                .count()
        };
        assert_eq!(throttle.take("ecs", "RunTask"), Ok(()));
        assert_eq!(granted(200), 99);
        assert_eq!(throttle.take("ecs", "RunTask"), Err("ThrottlingException"));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(granted(200), 20);
        assert_eq!(throttle.take("ecs", "DescribeTasks"), Ok(()));
        assert_eq!(throttle.take("dynamodb", "UpdateItem"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_account_leaves_less() {
        let throttle = Throttle::default();
        throttle.set_limit("ecs", "RunTask", limit(1.0, 0.1));
        assert!(throttle.take("ecs", "StopTask").is_ok());
        assert!(throttle.take("ecs", "StopTask").is_err());
    }
}
