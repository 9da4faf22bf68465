//! What is there at one moment, as a page shows it: nodes with their records, jobs with their attempts, messages.
//!
//! A glance is read beside the wire: it is no AWS call, nobody is billed for it, and nothing that is played notices it.

use crate::{
    cloud::Cloud,
    ecs::{GpuHealth, InstanceView},
    stepfunctions::time::epoch_seconds,
    wire::ApiError,
};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use workers::{
    aws::marks::MARK,
    records::{JobRecord, parse_rank_key},
};

/// Of a job that was relaunched often only the last attempts are shown,
const ATTEMPTS: usize = 4;
/// and of the messages the last ones.
const MESSAGES: usize = 50;

/// One moment. What is of no value is left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Glance {
    /// By instance id.
    pub nodes: BTreeMap<String, NodeGlance>,
    /// By job id.
    pub jobs: BTreeMap<String, JobGlance>,
    /// By their number.
    pub messages: BTreeMap<usize, MessageGlance>,
}

/// An instance, its host, and its item in the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeGlance {
    /// ACTIVE or DRAINING, in ECS.
    pub ecs: String,
    pub agent: bool,
    /// The host runs.
    pub up: bool,
    /// What a health check would find: not known to the system.
    pub gpu: String,
    pub reboots: u32,
    /// How many tasks are on it.
    pub tasks: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// A recovery holds it.
    pub held: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
    /// The pool whose spare it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spare: Option<String>,
}

/// A job and its last attempts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobGlance {
    pub status: String,
    pub attempt: u32,
    pub ranks: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Ranks by attempt and rank.
    pub attempts: BTreeMap<u32, BTreeMap<u32, RankGlance>>,
}

/// One rank of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RankGlance {
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What the operators got.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MessageGlance {
    /// Seconds since the epoch.
    pub at: f64,
    pub subject: String,
    pub message: String,
}

impl Glance {
    /// Looks.
    ///
    /// # Errors
    /// When a table cannot be read.
    pub fn of(cloud: &Cloud) -> Result<Self, ApiError> {
        let records = scan(
            cloud,
            &cloud.settings.container_instance_table,
            &[
                "instance_id",
                "status",
                "job_id",
                "holder",
                "last_verdict",
                "quarantine_reason",
            ],
        )?;
        let mut records: BTreeMap<String, Value> = records
            .into_iter()
            .filter_map(|item| Some((text(&item, "instance_id")?, item)))
            .collect();
        let node = |view: InstanceView| {
            let record = records.remove(&view.id).unwrap_or_default();
            (view.id.clone(), NodeGlance::of(view, &record))
        };
        let published = cloud.sns.published().into_iter().enumerate();
        let operators = published.filter(|(_, m)| m.topic == cloud.settings.topic_arn);
        let mut messages: Vec<_> = operators.collect();
        let messages = messages.split_off(messages.len().saturating_sub(MESSAGES));
        Ok(Self {
            nodes: cloud.fleet.instances().into_iter().map(node).collect(),
            jobs: jobs(cloud)?,
            messages: messages
                .into_iter()
                .map(|(number, m)| {
                    let message = MessageGlance {
                        at: epoch_seconds(m.at),
                        subject: m.subject.unwrap_or_default(),
                        message: m.message,
                    };
                    (number, message)
                })
                .collect(),
        })
    }
}

impl NodeGlance {
    fn of(view: InstanceView, record: &Value) -> Self {
        Self {
            ecs: view.status,
            agent: view.agent_connected,
            up: view.up,
            gpu: health(view.gpu_health),
            reboots: view.reboots,
            tasks: view.tasks.len(),
            status: text(record, "status"),
            job: text(record, "job_id"),
            held: text(record, "holder").is_some(),
            verdict: text(record, "last_verdict"),
            quarantine: text(record, "quarantine_reason"),
            spare: view.attributes.get(MARK).cloned().flatten(),
        }
    }
}

fn jobs(cloud: &Cloud) -> Result<BTreeMap<String, JobGlance>, ApiError> {
    let items = scan(
        cloud,
        &cloud.settings.training_job_table,
        &[
            "job_id",
            "record",
            "status",
            "attempt",
            "nodes",
            "reason",
            "instance_id",
            "exit_code",
            "stopped_reason",
        ],
    )?;
    let mut jobs = BTreeMap::new();
    let of_jobs = items
        .iter()
        .filter(|item| text(item, "record").as_deref() == Some(JobRecord::SORT_KEY));
    for item in of_jobs {
        let job = JobGlance {
            status: text(item, "status").unwrap_or_default(),
            attempt: number(item, "attempt").unwrap_or_default(),
            ranks: number(item, "nodes").unwrap_or_default(),
            reason: text(item, "reason"),
            attempts: BTreeMap::new(),
        };
        jobs.extend(text(item, "job_id").map(|id| (id, job)));
    }
    for item in &items {
        let key = text(item, "record");
        let Some((attempt, rank)) = key.as_deref().and_then(parse_rank_key) else {
            continue;
        };
        if let Some(job) = text(item, "job_id").and_then(|id| jobs.get_mut(&id)) {
            let seen = RankGlance {
                status: text(item, "status").unwrap_or_default(),
                node: text(item, "instance_id"),
                code: number(item, "exit_code"),
                why: text(item, "stopped_reason"),
            };
            job.attempts.entry(attempt).or_default().insert(rank, seen);
        }
    }
    for job in jobs.values_mut() {
        while job.attempts.len() > ATTEMPTS {
            job.attempts.pop_first();
        }
    }
    Ok(jobs)
}

/// The members of all items of a table.
fn scan(cloud: &Cloud, table: &str, members: &[&str]) -> Result<Vec<Value>, ApiError> {
    // Some of them are words that DynamoDB keeps for itself.
    let names: BTreeMap<String, &str> = members
        .iter()
        .enumerate()
        .map(|(nth, member)| (format!("#m{nth}"), *member))
        .collect();
    let projection: Vec<&str> = names.keys().map(String::as_str).collect();
    let mut request = json!({
        "TableName": table,
        "ConsistentRead": true,
        "ProjectionExpression": projection.join(", "),
        "ExpressionAttributeNames": names,
    });
    let mut items = Vec::new();
    loop {
        let mut page = cloud.tables.api("Scan", request.clone())?;
        if let Value::Array(found) = page["Items"].take() {
            items.extend(found);
        }
        match page["LastEvaluatedKey"].take() {
            Value::Null => return Ok(items),
            key => request["ExclusiveStartKey"] = key,
        }
    }
}

fn text(item: &Value, member: &str) -> Option<String> {
    item[member]["S"].as_str().map(str::to_owned)
}

fn number<T: std::str::FromStr>(item: &Value, member: &str) -> Option<T> {
    item[member]["N"].as_str()?.parse().ok()
}

/// In the word of a scenario's file, without a code.
fn health(health: GpuHealth) -> String {
    match serde_json::to_value(health) {
        Ok(Value::String(word)) => word,
        Ok(Value::Object(with_code)) => with_code.keys().cloned().collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::in_virtual_time,
        cloud::CloudOptions,
        ecs::NewInstance,
        scenario::{PlayError, PlayOptions, builtin, play},
    };
    use std::sync::{Arc, Mutex};

    #[test]
    fn gpus_are_told_in_the_words_of_a_scenario() {
        assert_eq!(health(GpuHealth::DcgmCrashes(204)), "dcgm-exits");
        assert_eq!(health(GpuHealth::CannotPlace), "cannot-place");
    }

    #[test]
    fn glances_follow_a_recovery_and_change_nothing_of_it() {
        let scenario = builtin("gpu-fault")
            .unwrap()
            .unwrap()
            .with_nodes(3)
            .unwrap();
        let plain = play(&scenario, &PlayOptions::default()).unwrap();
        let seen: Arc<Mutex<Vec<Glance>>> = Arc::default();
        let glances = seen.clone();
        let options = PlayOptions {
            onlooker: Some(Arc::new(move |_, glance| {
                glances.lock().unwrap().push(glance)
            })),
            ..PlayOptions::default()
        };
        let watched = play(&scenario, &options).unwrap();
        assert_eq!(watched.history, plain.history);
        assert_eq!(watched.calls, plain.calls);

        let seen = seen.lock().unwrap();
        let (first, last) = (seen.first().unwrap(), seen.last().unwrap());
        assert_eq!((first.nodes.len(), first.messages.len()), (3, 0));
        let down = seen.iter().flat_map(|glance| glance.nodes.values());
        assert!(down.clone().any(|node| !node.up && node.held));
        assert!(
            down.clone()
                .any(|node| node.status.as_deref() == Some("REBOOTING"))
        );
        let job = &last.jobs["llama-7b"];
        assert_eq!((job.status.as_str(), job.attempt), ("IN_PROGRESS", 2));
        assert_eq!((job.attempts[&1].len(), job.attempts[&2].len()), (3, 3));
        assert!(job.attempts[&1].values().any(|rank| rank.code == Some(1)));
        assert!(last.messages[&0].message.contains("llama-7b"));
    }

    #[test]
    fn a_spare_is_seen_with_its_pool() {
        let seen = in_virtual_time::<_, PlayError, _>(async {
            let cloud = Cloud::new(CloudOptions::default()).await?;
            for id in ["i-0f3a9c5d7e0000000", "i-0f3a9c5d7e0000001"] {
                cloud.fleet.add_instance(NewInstance::p5(id));
            }
            cloud
                .fleet
                .set_attribute("i-0f3a9c5d7e0000001", MARK, "h100");
            Ok(Glance::of(&cloud).unwrap())
        });
        let seen = seen.unwrap();
        let spares = seen.nodes.values().map(|node| node.spare.as_deref());
        assert_eq!(spares.collect::<Vec<_>>(), [None, Some("h100")]);
    }
}
