//! The checks.

use super::{Finding, same};
use crate::{
    Failure,
    account::{Desk, refused},
    drill::words,
    history::{self, path::Path},
    output::counted,
};
use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, TableDescription};
use aws_sdk_sfn::types::ExecutionStatus;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use workers::aws::jobs::{RUNNING_INDEX, TASK_INDEX};

/// An execution with nothing to do takes seconds; a cold start and retries belong to it.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_secs(2);

/// Without an answer nothing can be checked, and every check would say so.
///
/// # Errors
/// When AWS gives no answer at all.
pub async fn reached(desk: &Desk, table: &str) -> Result<(), Failure> {
    let asked = desk
        .dynamodb
        .describe_table()
        .table_name(table)
        .send()
        .await;
    match asked {
        Err(error) if error.as_service_error().is_none() => {
            Err(refused("dynamodb:DescribeTable", "the account")(error))
        }
        _ => Ok(()),
    }
}

async fn table(desk: &Desk, name: &str) -> Result<TableDescription, Finding> {
    let answer = desk.dynamodb.describe_table().table_name(name).send().await;
    let answer = answer.map_err(refused("dynamodb:DescribeTable", name));
    match answer {
        Ok(answer) => answer
            .table
            .ok_or_else(|| Finding::bad(format!("the table {name} is not described"), "try again")),
        Err(error) => Err(Finding::bad(
            error.to_string(),
            "the template (infra/) makes the table; its name is a setting",
        )),
    }
}

fn keys(schema: &[KeySchemaElement]) -> Vec<(&str, &KeyType)> {
    schema
        .iter()
        .map(|key| (key.attribute_name(), key.key_type()))
        .collect()
}

/// The table of jobs.
pub async fn jobs_table(desk: &Desk, name: &str) -> Vec<Finding> {
    let table = match table(desk, name).await {
        Ok(table) => table,
        Err(finding) => return vec![finding],
    };
    let wanted = [("job_id", &KeyType::Hash), ("record", &KeyType::Range)];
    let mut found = vec![keyed(name, &keys(table.key_schema()), &wanted)];
    let task = [("task_arn", &KeyType::Hash)];
    let running = [("running", &KeyType::Hash), ("job_id", &KeyType::Range)];
    found.push(indexed(
        name,
        &table,
        TASK_INDEX,
        &task,
        "no stopped task is found",
    ));
    found.push(indexed(
        name,
        &table,
        RUNNING_INDEX,
        &running,
        "a stop that ECS did not tell is not found",
    ));
    found
}

/// Whether the index is there; without it, `lacks`.
fn indexed(
    name: &str,
    table: &TableDescription,
    index: &str,
    wanted: &[(&str, &KeyType)],
    lacks: &str,
) -> Finding {
    let mut indexes = table.global_secondary_indexes().iter();
    let fits = indexes
        .find(|known| known.index_name() == Some(index))
        .is_some_and(|known| keys(known.key_schema()) == wanted);
    if fits {
        return Finding::well(format!("the table {name} has the index {index}"));
    }
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    Finding::bad(
        format!(
            "the table {name} has no index {index} on {}: {lacks}",
            names.join(", then ")
        ),
        "add the index (projection: keys only), or deploy infra/",
    )
}

/// The table of instances.
pub async fn instances_table(desk: &Desk, name: &str) -> Vec<Finding> {
    match table(desk, name).await {
        Ok(table) => {
            let wanted = [("instance_id", &KeyType::Hash)];
            vec![keyed(name, &keys(table.key_schema()), &wanted)]
        }
        Err(finding) => vec![finding],
    }
}

fn keyed(name: &str, keys: &[(&str, &KeyType)], wanted: &[(&str, &KeyType)]) -> Finding {
    if keys == wanted {
        return Finding::well(format!("the table {name} has its keys"));
    }
    let names: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
    Finding::bad(
        format!("the table {name} is not keyed by {}", names.join(", then ")),
        "keys cannot be changed: make the table anew, or name another",
    )
}

/// A state machine's ARN without version or alias.
pub fn unqualified(arn: &str) -> String {
    arn.splitn(8, ':').take(7).collect::<Vec<_>>().join(":")
}

/// A state machine, or a version of one, beside this program's definition.
pub struct Deployed {
    pub name: String,
    /// Where they differ.
    pub difference: Option<String>,
    /// What was put in for the placeholders, by their names.
    pub values: BTreeMap<String, String>,
}

/// Looks at a state machine, or at a version of one.
///
/// # Errors
/// When Step Functions does not describe it.
pub async fn deployed(desk: &Desk, arn: &str) -> Result<Deployed, Failure> {
    let answer = desk
        .sfn
        .describe_state_machine()
        .state_machine_arn(arn)
        .send()
        .await
        .map_err(refused("states:DescribeStateMachine", arn))?;
    let ours: Value = serde_json::from_str(simulator::cloud::RECOVERY).unwrap_or_default();
    let theirs: Value = serde_json::from_str(answer.definition()).unwrap_or_default();
    Ok(Deployed {
        name: answer.name().to_owned(),
        difference: same::difference(&ours, &theirs, ""),
        values: same::values(&ours, &theirs),
    })
}

/// The state machine's definition.
pub fn machine(deployed: &Deployed) -> Finding {
    let name = &deployed.name;
    match &deployed.difference {
        None => Finding::well(format!("the state machine {name} is this version's")),
        Some(place) => Finding::look(
            format!("the state machine {name} is not this version's: they differ at {place}"),
            "deploy this version, or use the program of that one: graph and replay judge by its states",
        ),
    }
}

/// The settings that are part of the definition, against what this program was told.
pub fn settings(desk: &Desk, values: &BTreeMap<String, String>, task: &str) -> Vec<Finding> {
    let cluster = &desk.context.settings.cluster;
    let mut found = Vec::new();
    let other = |name: &str, told: &str| {
        let value = values.get(name)?;
        (value != told).then(|| value.clone())
    };
    if let Some(value) = other("EcsClusterName", cluster) {
        found.push(Finding::bad(
            format!("the state machine recovers the jobs of the cluster {value}, not of {cluster}"),
            format!("give --cluster {value}, or deploy with EcsClusterName={cluster}"),
        ));
    }
    if let Some(value) = other("DcgmHealthCheckTask", task) {
        found.push(Finding::look(
            format!("the state machine's health check is {value}, not {task}"),
            format!("give --dcgm-task {value}, or deploy with DcgmHealthCheckTask={task}"),
        ));
    }
    if found.is_empty() && !values.is_empty() {
        let what = format!(
            "the state machine works on the cluster {cluster}, with the health check {task}"
        );
        found.push(Finding::well(what));
    }
    found
}

/// The operators' topic.
pub async fn topic(desk: &Desk, topic: Option<&str>) -> Finding {
    let Some(topic) = topic.filter(|topic| !topic.is_empty()) else {
        return Finding::look(
            "no topic is given, so it was not checked",
            "give --topic ARN or set SNS_TOPIC_ARN",
        );
    };
    let answer = desk
        .sns
        .list_subscriptions_by_topic()
        .topic_arn(topic)
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await;
    match answer.map_err(refused("sns:ListSubscriptionsByTopic", topic)) {
        Ok(all) => {
            let arns = all.iter().filter_map(|s| s.subscription_arn());
            subscribed(topic, &arns.collect::<Vec<_>>())
        }
        Err(error) => Finding::look(
            error.to_string(),
            format!("aws sns list-subscriptions-by-topic --topic-arn {topic}"),
        ),
    }
}

/// "PendingConfirmation" stands for the ARN until a subscriber has confirmed (SNS API reference, Subscribe).
fn subscribed(topic: &str, arns: &[&str]) -> Finding {
    let confirmed = arns.iter().filter(|arn| arn.starts_with("arn:")).count();
    if confirmed > 0 {
        let all = counted(confirmed as u64, "confirmed subscription");
        return Finding::well(format!("the topic has {all}"));
    }
    Finding::bad(
        "nobody gets the messages: the topic has no confirmed subscription",
        format!(
            "aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOU, and confirm it"
        ),
    )
}

/// An execution that finds nothing to do; `machine` is what the rules start, and `values` is part of its definition.
pub async fn execution(desk: &Desk, machine: &str, values: &BTreeMap<String, String>) -> Finding {
    let parts: Vec<&str> = machine.split(':').collect();
    let (Some(partition), Some(region), Some(account)) = (parts.get(1), parts.get(3), parts.get(4))
    else {
        return Finding::bad(format!("{machine} is no ARN"), "give --state-machine ARN");
    };
    let settings = &desk.context.settings;
    // Any failure goes to ClaimJob; up to version 0.1.0 a recoverable code only.
    let told = values
        .get("RecoverableExitCodes")
        .and_then(|codes| codes.split(',').next()?.trim().parse().ok());
    let code = told.unwrap_or(1);
    let container = values
        .get("TrainingContainerName")
        .map(String::as_str)
        .or(settings.training_container_name.as_deref())
        .filter(|name| !name.is_empty())
        .unwrap_or("doctor");
    // A task that stopped long ago: nobody waits for its record.
    let event = json!({
        "source": "gpu-recovery.doctor",
        "detail-type": "ECS Task State Change",
        "detail": {
            "taskArn": format!("arn:{partition}:ecs:{region}:{account}:task/{}/gpu-recovery-doctor", settings.cluster),
            "createdAt": "2020-01-01T00:00:00Z",
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited",
            "containers": [{ "name": container, "exitCode": code }],
        },
    });
    let started = desk
        .sfn
        .start_execution()
        .state_machine_arn(machine)
        .input(event.to_string())
        .send()
        .await;
    let arn = match started.map_err(refused("states:StartExecution", machine)) {
        Ok(started) => started.execution_arn,
        Err(error) => {
            return Finding::bad(
                error.to_string(),
                "your role needs states:StartExecution; or --no-execution",
            );
        }
    };
    let mut waited = Duration::ZERO;
    loop {
        let described = desk
            .sfn
            .describe_execution()
            .execution_arn(&arn)
            .send()
            .await;
        match described.map_err(refused("states:DescribeExecution", &arn)) {
            Ok(described)
                if *described.status() == ExecutionStatus::Running && waited < PATIENCE => {}
            Ok(described) => return judged(desk, &arn, described.status()).await,
            Err(error) => return Finding::bad(error.to_string(), format!("look at {arn}")),
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
}

async fn judged(desk: &Desk, arn: &str, status: &ExecutionStatus) -> Finding {
    let events = history::of_execution(&desk.sfn, arn)
        .await
        .unwrap_or_default();
    let path = Path::of(&events);
    let claimed = path
        .answer("ClaimJob")
        .is_some_and(|answer| answer["outcome"] == "NotManaged");
    if *status == ExecutionStatus::Succeeded && claimed {
        return Finding::well("an execution went through ClaimJob and found nothing to do");
    }
    let standing = path.standing();
    let failed = standing.iter().find_map(|visit| visit.failures.last());
    let why = failed.map_or_else(
        || words::named(&path.error, &path.cause),
        |failed| words::named(&failed.error, &failed.cause),
    );
    Finding::bad(
        format!("the dry execution ended {}: {why}", status.as_str()),
        format!("fix what the error names; gpu-recovery explain {arn}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Level;

    #[test]
    fn a_subscription_counts_when_it_is_confirmed() {
        let level = |arns: &[&str]| subscribed("arn:aws:sns:us-east-1:1:t", arns).level;
        assert_eq!(level(&["PendingConfirmation"]), Level::Bad);
        assert_eq!(level(&[]), Level::Bad);
        assert_eq!(
            level(&["PendingConfirmation", "arn:aws:sns:us-east-1:1:t:x"]),
            Level::Well
        );
    }
}
