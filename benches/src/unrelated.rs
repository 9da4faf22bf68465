//! Items in the tables that no recovery asks for: other jobs that have ended, other instances.

use serde_json::{Value, json};
use simulator::cloud::Cloud;

/// Puts so many items into each of the two tables, past the wire: nobody is billed for them.
pub fn fill(cloud: &Cloud, items: u32) -> Result<(), String> {
    let settings = &cloud.settings;
    let import = |table: &str, make: fn(u32) -> Value| {
        let items = (0..items).map(make);
        let done = cloud.tables.import(table, items);
        done.map_err(|error| error.to_string())
    };
    import(&settings.training_job_table, rank)?;
    import(&settings.container_instance_table, instance)
}

/// Eight ranks a job, with a task each, so that the index is as full.
fn rank(n: u32) -> Value {
    let (job, rank) = (n / 8, n % 8);
    json!({
        "job_id": { "S": format!("ended-{job:06}") },
        "record": { "S": format!("attempt#00001#rank#{rank:05}") },
        "status": { "S": "COMPLETE" },
        "attempt": { "N": "1" },
        "rank": { "N": rank.to_string() },
        "task_arn": { "S": format!("arn:aws:ecs:us-east-1:123456789012:task/gpu-training/{n:032x}") },
        "instance_id": { "S": format!("i-1{n:016x}") },
    })
}

fn instance(n: u32) -> Value {
    json!({
        "instance_id": { "S": format!("i-1{n:016x}") },
        "status": { "S": "AVAILABLE" },
        "last_verdict": { "S": "healthy" },
        "updated_at": { "S": "2026-01-04T00:00:00Z" },
    })
}
