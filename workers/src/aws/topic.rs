//! The operators' SNS topic.

use crate::{WorkerError, decisions::message::Message};
use aws_sdk_sns::{Client, types::MessageAttributeValue};

/// Publishes to the one topic.
#[derive(Clone)]
pub struct Topic {
    client: Client,
    arn: String,
}

impl Topic {
    pub fn new(client: Client, arn: &str) -> Self {
        Self {
            client,
            arn: arn.to_owned(),
        }
    }

    /// Publishes; the answer is SNS's message id.
    pub async fn publish(&self, message: &Message) -> Result<String, WorkerError> {
        let mut call = self
            .client
            .publish()
            .topic_arn(&self.arn)
            .subject(&message.subject)
            .message(&message.body);
        for (name, value) in &message.attributes {
            let attribute = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build()
                .map_err(|e| WorkerError::CorruptRecord(format!("attribute {name}: {e}")))?;
            call = call.message_attributes(*name, attribute);
        }
        let sent = call.send().await.map_err(WorkerError::aws("sns:Publish"))?;
        Ok(sent.message_id.unwrap_or_default())
    }
}
