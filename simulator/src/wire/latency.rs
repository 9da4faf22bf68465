//! How long a call takes.

use std::time::Duration;

/// The middle of what a call within a region takes, there and back. DynamoDB promises single-digit milliseconds
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Introduction.html>); AWS publishes nothing for the
/// others, so these are orders of magnitude: control planes answer in tens to hundreds of milliseconds, and RunTask, which
/// places, is the slowest.
const MILLISECONDS: [(&str, &str, u64); 12] = [
    ("dynamodb", "TransactWriteItems", 15),
    ("dynamodb", "TransactGetItems", 10),
    ("dynamodb", "*", 5),
    ("ecs", "RunTask", 300),
    ("ecs", "StartTask", 250),
    ("ecs", "StopTask", 120),
    ("ecs", "UpdateContainerInstancesState", 120),
    ("ecs", "*", 60),
    ("states", "*", 30),
    ("sns", "*", 30),
    ("ssm", "*", 150),
    ("ec2", "*", 300),
];

/// The middle latency of an action; 50 ms for a service that is not in the table.
pub(super) fn of(service: &str, action: &str) -> Duration {
    let found = MILLISECONDS
        .iter()
        .find(|(s, a, _)| *s == service && (*a == action || *a == "*"));
    Duration::from_millis(found.map_or(50, |(_, _, milliseconds)| *milliseconds))
}
