//! CloudWatch Logs: what the workers have logged, a group for each function with one stream.

use super::{
    PREFIX,
    page::{answered, page, size},
    text,
};
use crate::{account::Account, logs::Line};
use serde_json::{Value, json};
use simulator::{ACCOUNT, REGION, clock::epoch_millis, lambda::Lambda, wire::ApiError};

const STREAM: &str = "sandbox";
/// API_FilterLogEvents, API_GetLogEvents: "up to 10,000"; DescribeLogGroups and DescribeLogStreams 50.
const EVENTS: usize = 10_000;
const GROUPS: usize = 50;

/// A function's log group, as the template names it.
pub fn group(worker: &str) -> String {
    format!("/aws/lambda/{PREFIX}-{worker}")
}

pub fn answer(account: &Account, action: &str, body: &Value) -> Result<Value, ApiError> {
    match action {
        "DescribeLogGroups" => describe_groups(account, body),
        "DescribeLogStreams" => describe_streams(account, body),
        "FilterLogEvents" => filter(account, body),
        _ => get(account, body),
    }
}

fn group_arn(name: &str) -> String {
    format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}")
}

fn made(account: &Account) -> u64 {
    epoch_millis(account.cloud.clock.now() - account.now())
}

fn stored(lines: &[Line]) -> usize {
    lines.iter().map(|line| line.text.len()).sum()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogGroups.html>
fn describe_groups(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let prefix = text(body, "logGroupNamePrefix").unwrap_or_default();
    let pattern = text(body, "logGroupNamePattern").unwrap_or_default();
    let all = Lambda::functions().map(|(worker, _)| (worker, group(worker)));
    let all = all.filter(|(_, name)| name.starts_with(prefix) && name.contains(pattern));
    let all = all.map(|(worker, name)| {
        json!({
            "logGroupName": name,
            "arn": format!("{}:*", group_arn(&name)),
            "logGroupArn": group_arn(&name),
            "creationTime": made(account),
            "metricFilterCount": 0,
            "storedBytes": stored(&account.logs.of(worker)),
            "logGroupClass": "STANDARD",
        })
    });
    let refused = || invalid("The specified nextToken is invalid.");
    let found = page(
        all.collect(),
        text(body, "nextToken"),
        size(&body["limit"], GROUPS),
        refused,
    )?;
    Ok(answered("logGroups", "nextToken", found))
}

/// The lines of the group that the request names, by name or ARN.
fn lines(account: &Account, body: &Value) -> Result<Vec<Line>, ApiError> {
    let asked = text(body, "logGroupName").or(text(body, "logGroupIdentifier"));
    let asked =
        asked.ok_or_else(|| invalid("One of logGroupName and logGroupIdentifier is needed."))?;
    let name = asked.rsplit("log-group:").next().unwrap_or(asked);
    let name = name.trim_end_matches(":*");
    let worker = Lambda::functions().find(|(worker, _)| group(worker) == name);
    match worker {
        Some((worker, _)) => Ok(account.logs.of(worker)),
        None => Err(ApiError::new(
            "ResourceNotFoundException",
            "The specified log group does not exist.",
        )),
    }
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_DescribeLogStreams.html>
fn describe_streams(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let lines = lines(account, body)?;
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return Ok(json!({ "logStreams": [] }));
    };
    let name = text(body, "logGroupName").or(text(body, "logGroupIdentifier"));
    let name = name.unwrap_or_default();
    Ok(json!({ "logStreams": [{
        "logStreamName": STREAM,
        "creationTime": first.at,
        "firstEventTimestamp": first.at,
        "lastEventTimestamp": last.at,
        "lastIngestionTime": last.at,
        "uploadSequenceToken": "1",
        "arn": format!("{}:log-stream:{STREAM}", group_arn(name)),
        "storedBytes": 0,
    }]}))
}

/// The lines in the time that is asked for.
fn within(lines: Vec<Line>, body: &Value) -> Vec<Line> {
    let from = body["startTime"].as_u64().unwrap_or(0);
    let to = body["endTime"].as_u64().unwrap_or(u64::MAX);
    let mut lines = lines;
    lines.retain(|line| (from..=to).contains(&line.at));
    lines
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>; of filter patterns one is
/// simulated: a term, in quotation marks or not, that the line holds.
fn filter(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let pattern = text(body, "filterPattern").unwrap_or_default().trim();
    if pattern.starts_with(['{', '[', '%', '?', '-']) {
        return Err(invalid(
            "The sandbox knows filter patterns of one term, such as ERROR or \"exit 226\".",
        ));
    }
    let term = pattern.trim_matches('"');
    let lines = within(lines(account, body)?, body);
    let fitting = lines.iter().zip(0_u64..);
    let fitting = fitting.filter(|(line, _)| line.text.contains(term));
    let events = fitting.map(|(line, number)| {
        json!({
            "logStreamName": STREAM,
            "timestamp": line.at,
            "message": line.text,
            "ingestionTime": line.at,
            "eventId": format!("{:020}{number:036}", line.at),
        })
    });
    let refused = || invalid("The specified nextToken is invalid.");
    let found = page(
        events.collect(),
        text(body, "nextToken"),
        size(&body["limit"], EVENTS),
        refused,
    )?;
    let mut answer = answered("events", "nextToken", found);
    answer["searchedLogStreams"] = json!([]);
    Ok(answer)
}

/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html>: the newest events unless
/// `startFromHead`; at the end of the stream the token is the same again.
fn get(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let lines = within(lines(account, body)?, body);
    if text(body, "logStreamName") != Some(STREAM) {
        return Err(ApiError::new(
            "ResourceNotFoundException",
            "The specified log stream does not exist.",
        ));
    }
    let limit = size(&body["limit"], EVENTS);
    let count = lines.len();
    let from_head = body["startFromHead"].as_bool().unwrap_or(false);
    let refused = || invalid("The specified nextToken is invalid.");
    let (from, to) = match text(body, "nextToken") {
        None if from_head => (0, count.min(limit)),
        None => (count.saturating_sub(limit), count),
        Some(token) => {
            let (way, place) = token.split_once('/').ok_or_else(refused)?;
            let place: usize = place.parse().map_err(|_| refused())?;
            let place = place.min(count);
            match way {
                "f" => (place, count.min(place + limit)),
                "b" => (place.saturating_sub(limit), place),
                _ => return Err(refused()),
            }
        }
    };
    let events: Vec<Value> = lines[from..to]
        .iter()
        .map(|line| json!({ "timestamp": line.at, "message": line.text, "ingestionTime": line.at }))
        .collect();
    Ok(json!({
        "events": events,
        "nextForwardToken": format!("f/{to}"),
        "nextBackwardToken": format!("b/{from}"),
    }))
}
