//! The operators' SNS topic, and the one for their chat.

use crate::{
    WorkerError,
    decisions::{chat, message::Message},
};
use aws_sdk_sns::{Client, types::MessageAttributeValue};

/// Publishes to the one topic, and to the chat's where there is one.
#[derive(Clone)]
pub struct Topic {
    client: Client,
    arn: String,
    chat: Option<String>,
}

impl Topic {
    pub fn new(client: Client, arn: &str, chat: Option<&str>) -> Self {
        Self {
            client,
            arn: arn.to_owned(),
            chat: chat.map(str::to_owned),
        }
    }

    /// Publishes; the answer is SNS's message id. That the chat could not be told as well is logged, and no more: a retry
    /// would tell everybody twice.
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
        if let Some(chat) = &self.chat {
            let told = self.publish_to_chat(chat, message).await;
            if let Err(error) = told {
                tracing::warn!(%error, "the chat topic was not told");
            }
        }
        Ok(sent.message_id.unwrap_or_default())
    }

    async fn publish_to_chat(&self, arn: &str, message: &Message) -> Result<(), WorkerError> {
        self.client
            .publish()
            .topic_arn(arn)
            .message(chat::notification(message).to_string())
            .send()
            .await
            .map_err(WorkerError::aws("sns:Publish"))?;
        Ok(())
    }
}
