//! Systems Manager: what the simulated one lacks, and its answers as they are on the wire.

use super::{
    page::{answered, page, size},
    text,
};
use crate::account::Account;
use serde_json::{Value, json};
use simulator::{clock::epoch_seconds, wire::ApiError};

/// The tag by which the stack's roles know the cluster's nodes (docs/deploy.md).
const TAG: &str = "tag:gpu-recovery-cluster";

/// The simulated service answers as Step Functions passes it on, with times as texts; on the wire they are numbers.
pub fn on_the_wire(mut answer: Value) -> Value {
    numbers(&mut answer);
    answer
}

/// Every member of an answer here that the model has as a timestamp.
const TIMES: [&str; 2] = ["ExpiresAfter", "RequestedDateTime"];

fn numbers(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let time = member.as_str().filter(|_| TIMES.contains(&name.as_str()));
                match time.and_then(|text| humantime::parse_rfc3339(text).ok()) {
                    Some(time) => *member = json!(epoch_seconds(time)),
                    None => numbers(member),
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(numbers),
        _ => {}
    }
}

/// <https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeInstanceInformation.html>; every node of the
/// cluster carries its tag. Filters that are not simulated are refused.
pub fn describe_instance_information(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let filters = body["Filters"].as_array().into_iter().flatten();
    let older = body["InstanceInformationFilterList"].as_array();
    let older = older.into_iter().flatten();
    let mut wanted: Vec<(String, Vec<String>)> = Vec::new();
    for filter in filters.chain(older) {
        let key = text(filter, "Key").or(text(filter, "key"));
        let key = key.unwrap_or_default().to_owned();
        let values = match &filter["Values"] {
            Value::Null => &filter["valueSet"],
            values => values,
        };
        let values = values.as_array().into_iter().flatten();
        let values: Vec<String> = values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        if !["InstanceIds", "PingStatus", TAG].contains(&key.as_str()) {
            return Err(ApiError::new(
                "InvalidFilterKey",
                format!(
                    "The filter {key} is not simulated; InstanceIds, PingStatus and {TAG} are."
                ),
            ));
        }
        wanted.push((key, values));
    }
    let cloud = &account.cloud;
    let now = cloud.clock.now();
    let cluster = &cloud.settings.cluster;
    let nodes = cloud.fleet.instances();
    let known = nodes
        .iter()
        .filter_map(|node| Some((node, node.ssm_online?)));
    let all = known.filter_map(|(node, online)| {
        let ping = if online { "Online" } else { "ConnectionLost" };
        let fits = wanted.iter().all(|(key, values)| {
            let own = match key.as_str() {
                "InstanceIds" => &node.id,
                "PingStatus" => ping,
                _ => cluster.as_str(),
            };
            values.iter().any(|value| value == own)
        });
        let kind = match node.id.starts_with("mi-") {
            true => "ManagedInstance",
            false => "EC2Instance",
        };
        fits.then(|| {
            json!({
                "InstanceId": node.id,
                "PingStatus": ping,
                "LastPingDateTime": epoch_seconds(now),
                "AgentVersion": "3.3.3050.0",
                "IsLatestVersion": true,
                "PlatformType": "Linux",
                "PlatformName": "Amazon Linux",
                "PlatformVersion": "2023",
                "ResourceType": kind,
            })
        })
    });
    let refused = || ApiError::new("InvalidNextToken", "The specified token is not valid.");
    let token = text(body, "NextToken");
    let found = page(all.collect(), token, size(&body["MaxResults"], 50), refused)?;
    Ok(answered("InstanceInformationList", "NextToken", found))
}
