//! Whatever comes in is answered, and nothing panics.

use crate::{
    Furniture,
    account::Account,
    operations::{Protocol, SERVICES},
    protocol::{self, Request},
    services,
};
use hyper::{HeaderMap, Method};
use serde_json::{Map, Value, json};
use simulator::{clock, dice::Dice, scenario::Scenario, ssm::PROBE};
use std::{
    panic,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// The gate gives it a minute.
const SECONDS: &str = "FUZZ_SECONDS";

/// Members that some operation reads.
const MEMBERS: [&str; 66] = [
    "cluster",
    "clusters",
    "tasks",
    "task",
    "reason",
    "containerInstances",
    "containerInstance",
    "status",
    "filter",
    "maxResults",
    "nextToken",
    "taskDefinition",
    "launchType",
    "placementConstraints",
    "type",
    "expression",
    "overrides",
    "containerOverrides",
    "name",
    "environment",
    "value",
    "count",
    "startedBy",
    "group",
    "clientToken",
    "tags",
    "include",
    "family",
    "containerDefinitions",
    "targetType",
    "attributeName",
    "TableName",
    "Key",
    "Item",
    "UpdateExpression",
    "ConditionExpression",
    "KeyConditionExpression",
    "ExpressionAttributeValues",
    "ExpressionAttributeNames",
    "Limit",
    "ExclusiveStartKey",
    "RequestItems",
    "TransactItems",
    "IndexName",
    "stateMachineArn",
    "executionArn",
    "input",
    "output",
    "taskToken",
    "error",
    "cause",
    "statusFilter",
    "stateMachineAliasArn",
    "DocumentName",
    "InstanceIds",
    "Parameters",
    "TimeoutSeconds",
    "CommandId",
    "InstanceId",
    "Filters",
    "MaxResults",
    "NextToken",
    "Entries",
    "Detail",
    "logGroupName",
    "logStreamName",
];

/// Texts that some operation knows, or that are awkward.
const TEXTS: [&str; 40] = [
    "",
    "gpu-training",
    "train",
    "train:1",
    "dcgm-health-check",
    "i-0f3a9c5d7e0000001",
    "llama-7b",
    "job",
    "S",
    "N",
    "DRAINING",
    "ACTIVE",
    "memberOf",
    "ec2InstanceId == 'i-0f3a9c5d7e0000001'",
    "ec2InstanceId in [",
    "not(",
    "hybrid-gpu-training-job",
    "ecs_container_instance",
    "running-index",
    "SET a = :a",
    "REMOVE a, b[99999999999]",
    "job_id = :a AND begins_with(record, :a)",
    "arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery",
    "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:x",
    "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
    "arn:",
    ":::::::",
    PROBE,
    "{\"detail\":{}}",
    "{",
    "page-1",
    "page-99999999999999999999",
    "f/1",
    "b/99999999999999999999",
    "/aws/lambda/gpu-recovery-claim-job",
    "sandbox",
    "\u{0}\u{7f}",
    "ü\u{1f600}\u{202e}",
    "tag:gpu-recovery-cluster",
    "99999999999999999999999999999999",
];

struct Fuzz(Dice);

impl Fuzz {
    fn below(&self, most: usize) -> usize {
        (self.0.fraction() * most as f64) as usize
    }

    fn of<'a, T: ?Sized>(&self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }

    fn value(&self, depth: usize) -> Value {
        match self.below(if depth == 0 { 8 } else { 13 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.below(200)),
            3 => json!([i64::MIN, -1, 0, i64::MAX][self.below(4)]),
            4 => json!(1e308 * self.0.fraction()),
            5 => "x".repeat(self.below(3000)).into(),
            6 | 7 => self.of(&TEXTS).into(),
            8 | 9 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }

    fn object(&self, depth: usize) -> Value {
        let members = (0..self.below(6)).map(|_| {
            let name = match self.below(8) {
                0 => self.of(&TEXTS),
                _ => self.of(&MEMBERS),
            };
            (name.to_owned(), self.value(depth))
        });
        Value::Object(members.collect::<Map<_, _>>())
    }

    /// A request that gets as far as its operation, with one member put wrong now and then.
    fn likely(&self) -> Value {
        let mut body = match self.below(8) {
            0 => {
                json!({ "cluster": "gpu-training", "taskDefinition": "train", "containerInstances": ["x"],
                "placementConstraints": [{ "type": "memberOf", "expression": "ec2InstanceId == 'i-0f3a9c5d7e0000002'" }] })
            }
            1 => {
                json!({ "TableName": "hybrid-gpu-training-job", "Key": { "job_id": { "S": "a" }, "record": { "S": "job" } },
                "UpdateExpression": "SET a = :a", "ExpressionAttributeValues": { ":a": { "N": "1" } } })
            }
            2 => {
                json!({ "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery", "input": "{}",
                "executionArn": "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:fuzz", "name": "fuzz" })
            }
            3 => {
                json!({ "DocumentName": PROBE, "InstanceIds": ["i-0f3a9c5d7e0000001"], "Parameters": { "AttemptSeconds": ["600"] },
                "CommandId": "00000000-0000-4000-8000-000000000000", "Details": true, "MaxResults": 1 })
            }
            4 => json!({ "Entries": [{ "Source": "x", "DetailType": "y", "Detail": "{}" }] }),
            5 => {
                json!({ "logGroupName": "/aws/lambda/gpu-recovery-claim-job", "logStreamName": "sandbox", "limit": 1 })
            }
            6 => {
                json!({ "family": "fuzz", "containerDefinitions": [{ "name": "a", "essential": true }] })
            }
            _ => {
                json!({ "cluster": "gpu-training", "tasks": ["x"], "task": "x", "status": "DRAINING",
                "targetType": "container-instance" })
            }
        };
        if let Some(members) = body.as_object_mut() {
            for value in members.values_mut() {
                if self.below(6) == 0 {
                    *value = self.value(3);
                }
            }
        }
        body
    }

    fn bytes(&self, most: usize) -> Vec<u8> {
        (0..self.below(most))
            .map(|_| self.below(256) as u8)
            .collect()
    }

    /// Some bytes of it are others, or missing.
    fn damaged(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.below(4) {
            let place = self.below(bytes.len().max(1));
            if place < bytes.len() {
                match self.below(3) {
                    0 => bytes[place] = self.below(256) as u8,
                    1 => bytes.truncate(place),
                    _ => drop(bytes.remove(place)),
                }
            }
        }
        bytes
    }
}

/// A request as it may come over HTTP.
struct Asked {
    method: Method,
    path: String,
    query: Option<String>,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn asked(fuzz: &Fuzz) -> Asked {
    let service = &SERVICES[fuzz.below(SERVICES.len())];
    let operation = match fuzz.below(20) {
        0 => fuzz.of(&TEXTS),
        _ => fuzz.of(service.operations),
    };
    let body = match fuzz.below(3) {
        0 => fuzz.value(5),
        _ => fuzz.likely(),
    };
    let mut headers = HeaderMap::new();
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    if fuzz.below(50) > 0 {
        put("authorization", "AWS4-HMAC-SHA256 Credential=x");
    }
    put(
        "content-type",
        [
            "application/x-amz-json-1.0",
            "application/x-amz-json-1.1",
            "x",
        ][fuzz.below(3)],
    );
    let mut asked = Asked {
        method: [Method::POST, Method::GET][usize::from(fuzz.below(20) == 0)].clone(),
        path: "/".to_owned(),
        query: None,
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    match service.protocol {
        Protocol::Json(target) => {
            put("x-amz-target", &format!("{target}.{operation}"));
            asked.body = body.to_string().into_bytes();
        }
        Protocol::Query(version, _) | Protocol::Ec2(version, _) => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("Action", operation)
                .append_pair("Version", version);
            for name in [
                "TopicArn",
                "Message",
                "Subject",
                "Protocol",
                "Endpoint",
                "StackName",
                "InstanceId.1",
                "NextToken",
            ] {
                if fuzz.below(3) > 0 {
                    form.append_pair(name, fuzz.of(&TEXTS));
                }
            }
            for n in 0..fuzz.below(3) {
                form.append_pair(
                    &format!("MessageAttributes.entry.{n}.Name"),
                    fuzz.of(&TEXTS),
                );
                form.append_pair(
                    &format!("MessageAttributes.entry.{n}.Value.StringValue"),
                    fuzz.of(&TEXTS),
                );
            }
            asked.body = form.finish().into_bytes();
        }
        Protocol::Rest => {
            asked.method = Method::GET;
            let name = fuzz.of(&[
                "",
                "/gpu-recovery-claim-job",
                "/%3A%zz",
                "/a/configuration",
                "/a/b/c",
                "//",
            ]);
            asked.path = format!("/2015-03-31/functions{name}");
            asked.query = Some(format!(
                "MaxItems={}&Marker={}",
                fuzz.of(&TEXTS),
                fuzz.of(&TEXTS)
            ));
        }
    }
    if fuzz.below(10) == 0 {
        asked.body = match fuzz.below(2) {
            0 => fuzz.bytes(300),
            _ => fuzz.damaged(asked.body),
        };
    }
    asked.headers = headers;
    asked
}

async fn account() -> Account {
    let text = "
name: fuzz
about: A job runs.
nodes: 3
expect: { job: IN_PROGRESS, attempt: 1, notifications: [] }";
    let furniture = Furniture {
        scenario: Scenario::parse("fuzz", text).unwrap(),
        free: 2,
        seed: 1,
    };
    let start = clock::default_start();
    Account::make(&furniture, start, "http://127.0.0.1:1")
        .await
        .unwrap()
}

#[test]
fn whatever_is_asked_is_answered_as_aws_answers_and_nothing_panics() {
    let seconds = std::env::var(SECONDS)
        .ok()
        .and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(2));
    // Also in what the account does by itself later, where no answer would tell.
    let panics = Arc::new(AtomicUsize::new(0));
    let last: Arc<Mutex<String>> = Arc::default();
    let (counted, asking) = (panics.clone(), last.clone());
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        counted.fetch_add(1, Ordering::Relaxed);
        eprintln!("after {}", asking.lock().unwrap());
        usual(info);
    }));
    let answered = clock::in_virtual_time(async {
        let account = account().await;
        let fuzz = Fuzz(Dice::new(7, "fuzz"));
        let (mut answered, mut well) = (0_u64, 0_u64);
        while Instant::now() < end {
            let asked = asked(&fuzz);
            *last.lock().unwrap() = format!(
                "{} {} {:?} {}",
                asked.method,
                asked.path,
                asked.headers,
                String::from_utf8_lossy(&asked.body)
            );
            let request = Request {
                method: &asked.method,
                path: &asked.path,
                query: asked.query.as_deref(),
                headers: &asked.headers,
                body: &asked.body,
            };
            let reply = match protocol::read(&request, "id") {
                Err(reply) => reply,
                Ok(call) => {
                    let body = call.body.clone();
                    let answer =
                        services::answer(&account, call.service.name, &call.action, body).await;
                    if let Err(error) = &answer {
                        assert!(!error.code.is_empty(), "{}", last.lock().unwrap());
                    }
                    protocol::write(&call, answer, "id")
                }
            };
            assert!((200..600).contains(&reply.status), "{}", reply.status);
            if reply.content_type.contains("json") {
                let body: Value = serde_json::from_str(&reply.body).unwrap();
                let named = body["__type"].is_string() || reply.error.is_some();
                assert!(reply.status == 200 || named, "{body}");
            }
            answered += 1;
            well += u64::from(reply.status == 200);
            if answered.is_multiple_of(50) {
                sleep(Duration::from_millis(fuzz.below(20_000) as u64)).await;
            }
        }
        assert!(
            well > answered / 20,
            "{well} of {answered} got further than to a refusal"
        );
        account.cloud.clone().dissolve();
        Ok::<u64, std::io::Error>(answered)
    });
    drop(panic::take_hook());
    assert_eq!(panics.load(Ordering::Relaxed), 0);
    println!("{} requests", answered.unwrap());
}
