//! SNS's Subscribe: an address is asked for its consent; nobody here gives it.

use super::text;
use crate::account::Account;
use serde_json::{Value, json};
use simulator::{sns::Subscription, wire::ApiError};

/// <https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html>: "If the subscription requires confirmation, the response
/// is `pending confirmation`"; queues and functions need none.
pub fn subscribe(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let invalid =
        |what: &str| ApiError::new("InvalidParameter", format!("Invalid parameter: {what}"));
    let topic = text(body, "TopicArn").ok_or_else(|| invalid("TopicArn"))?;
    if topic != account.cloud.settings.topic_arn {
        return Err(ApiError::new("NotFound", "Topic does not exist").with_status(404));
    }
    let protocol = text(body, "Protocol").unwrap_or_default();
    const PROTOCOLS: [&str; 9] = [
        "http",
        "https",
        "email",
        "email-json",
        "sms",
        "sqs",
        "application",
        "lambda",
        "firehose",
    ];
    if !PROTOCOLS.contains(&protocol) {
        return Err(invalid(&format!(
            "Does not support this protocol string: {protocol}"
        )));
    }
    let endpoint = text(body, "Endpoint").filter(|endpoint| !endpoint.is_empty());
    let endpoint = endpoint.ok_or_else(|| invalid("Endpoint"))?;
    let confirmed = matches!(
        protocol,
        "sqs" | "lambda" | "firehose" | "application" | "sms"
    );
    account.cloud.sns.subscribe(
        topic,
        Subscription {
            protocol: protocol.to_owned(),
            endpoint: endpoint.to_owned(),
            confirmed,
        },
    );
    Ok(match confirmed {
        true => {
            json!({ "SubscriptionArn": format!("{topic}:00000000-0000-4000-8000-00000000ffff") })
        }
        false => json!({ "SubscriptionArn": "pending confirmation" }),
    })
}
