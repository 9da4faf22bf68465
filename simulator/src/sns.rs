//! SNS: topics, and a record of what was published.

use crate::{
    ACCOUNT, REGION,
    clock::Clock,
    dice::Dice,
    wire::{ApiError, Handler, form_entries},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>: bytes of message and attributes together.
const MESSAGE_BYTES: usize = 262_144;

/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>: fewer than 100 characters are promised, 100 are taken.
const SUBJECT_CHARACTERS: usize = 100;

/// "Each call returns a limited list of subscriptions, up to 100."
const SUBSCRIPTIONS_PAGE: usize = 100;

/// A published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    pub at: SystemTime,
    pub topic: String,
    pub subject: Option<String>,
    pub message: String,
    /// String attributes; subscription filters see them.
    pub attributes: BTreeMap<String, String>,
}

/// Who gets a topic's messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub protocol: String,
    pub endpoint: String,
    /// The subscriber has opened the link that SNS sent; until then it gets nothing.
    pub confirmed: bool,
}

/// The account's topics. Clones are the same topics.
#[derive(Clone)]
pub struct Sns(Arc<Inner>);

struct Inner {
    clock: Clock,
    dice: Dice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By ARN.
    topics: BTreeMap<String, Vec<Subscription>>,
    published: Vec<Notification>,
}

impl Sns {
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self(Arc::new(Inner {
            clock,
            dice: Dice::new(seed, "sns"),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a topic; the answer is its ARN.
    pub fn create_topic(&self, name: &str) -> String {
        let arn = format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}");
        self.state().topics.entry(arn.clone()).or_default();
        arn
    }

    /// Subscribes to a topic; to one that does not exist, nobody.
    pub fn subscribe(&self, topic: &str, subscription: Subscription) {
        if let Some(subscriptions) = self.state().topics.get_mut(topic) {
            subscriptions.push(subscription);
        }
    }

    /// Everything that was published, in order.
    pub fn published(&self) -> Vec<Notification> {
        self.state().published.clone()
    }

    /// The operation; the body holds the form's members.
    ///
    /// # Errors
    /// `NotFound`, `InvalidParameter`, `ParameterValueInvalid`: the codes on the wire.
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        match operation {
            "Publish" => self.publish(body),
            "ListSubscriptionsByTopic" => self.list_subscriptions(body),
            _ => Err(ApiError::new(
                "InvalidAction",
                format!("SNS {operation} is not simulated"),
            )),
        }
    }

    /// <https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html>
    fn list_subscriptions(&self, body: &Value) -> Result<Value, ApiError> {
        let topic = topic(body)?;
        let state = self.state();
        let subscriptions = state.topics.get(topic).ok_or_else(no_topic)?;
        let from = match body.get("NextToken").and_then(Value::as_str) {
            None => 0,
            Some(token) => token
                .parse()
                .ok()
                .filter(|from| *from <= subscriptions.len())
                .ok_or_else(|| invalid("NextToken"))?,
        };
        let to = subscriptions.len().min(from + SUBSCRIPTIONS_PAGE);
        let page: Vec<Value> = subscriptions[from..to]
            .iter()
            .zip(from..)
            .map(|(subscription, number)| {
                let arn = match subscription.confirmed {
                    true => format!("{topic}:00000000-0000-4000-8000-{number:012x}"),
                    false => "PendingConfirmation".to_owned(),
                };
                json!({
                    "SubscriptionArn": arn,
                    "Owner": ACCOUNT,
                    "Protocol": subscription.protocol,
                    "Endpoint": subscription.endpoint,
                    "TopicArn": topic,
                })
            })
            .collect();
        let mut answer = json!({ "Subscriptions": page });
        if to < subscriptions.len() {
            answer["NextToken"] = json!(to.to_string());
        }
        Ok(answer)
    }

    fn publish(&self, body: &Value) -> Result<Value, ApiError> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let attributes = attributes(body)?;
        let topic = topic(body)?;
        let message = text("Message").unwrap_or_default();
        let size = message.len()
            + attributes
                .iter()
                .map(|(name, value)| name.len() + value.len() + "String".len())
                .sum::<usize>();
        if message.is_empty() {
            return Err(invalid("Empty message"));
        }
        if size > MESSAGE_BYTES {
            return Err(invalid("Message too long"));
        }
        let subject = text("Subject");
        if let Some(subject) = subject {
            check_subject(subject)?;
        }
        let mut state = self.state();
        if !state.topics.contains_key(topic) {
            return Err(no_topic());
        }
        state.published.push(Notification {
            at: self.0.clock.now(),
            topic: topic.to_owned(),
            subject: subject.map(str::to_owned),
            message: message.to_owned(),
            attributes,
        });
        Ok(json!({ "MessageId": self.0.dice.uuid() }))
    }

    /// For [`Wire::register`](crate::wire::Wire::register).
    pub fn handler(&self) -> Handler {
        let topics = self.clone();
        Arc::new(move |operation, body| {
            let answer = topics.api(operation, &body);
            Box::pin(async move { answer })
        })
    }
}

fn topic(body: &Value) -> Result<&str, ApiError> {
    body.get("TopicArn")
        .and_then(Value::as_str)
        .ok_or_else(|| invalid("TopicArn or TargetArn Reason: no value for required parameter"))
}

fn no_topic() -> ApiError {
    ApiError::new("NotFound", "Topic does not exist").with_status(404)
}

fn invalid(what: &str) -> ApiError {
    ApiError::new("InvalidParameter", format!("Invalid parameter: {what}"))
}

/// "Subjects must be ASCII text that begins with a letter, number, or punctuation mark; must not include line breaks or
/// control characters; and must be less than 100 characters long" (API_Publish).
fn check_subject(subject: &str) -> Result<(), ApiError> {
    let fits = !subject.is_empty()
        && subject.len() <= SUBJECT_CHARACTERS
        && subject
            .chars()
            .all(|c| c.is_ascii() && !c.is_ascii_control())
        && !subject.starts_with(' ');
    if fits {
        Ok(())
    } else {
        Err(invalid("Subject"))
    }
}

fn attributes(body: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    form_entries(body, "MessageAttributes")
        .iter()
        .map(|entry| {
            let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
            let (name, value) = (text("Name"), text("Value.StringValue"));
            if !text("Value.DataType").starts_with("String") || value.is_empty() {
                let message = format!("The message attribute '{name}' must contain non-empty message attribute value for message attribute type 'String'.");
                return Err(ApiError::new("ParameterValueInvalid", message));
            }
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
