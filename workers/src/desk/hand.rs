//! An instance's record, written by an operator.

use crate::{
    WorkerError,
    aws::{
        dynamo::{read, s, write},
        instances::Instances,
    },
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId},
    records::{InstanceRecord, InstanceStatus},
};
use aws_sdk_dynamodb::types::AttributeValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an operator did to an instance's record last, kept beside it as `by_hand`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ByHand {
    /// `released` or `quarantined`.
    pub action: String,
    pub who: String,
    pub why: String,
    /// RFC 3339.
    pub at: String,
}

impl Instances {
    /// What an operator did to the instance last.
    pub async fn by_hand(&self, instance: &InstanceId) -> Result<Option<ByHand>, WorkerError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("instance_id", s(instance.as_str()))
            .consistent_read(true)
            .projection_expression("by_hand")
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:GetItem"))?;
        let hand = found.item.and_then(|mut item| item.remove("by_hand"));
        hand.map(|hand| match hand {
            AttributeValue::M(item) => read(&self.table, item),
            _ => Err(WorkerError::CorruptRecord(format!(
                "table {}: by_hand of instance {instance} is no map; fix it by hand",
                self.table
            ))),
        })
        .transpose()
    }

    /// An operator puts the instance back into service, whatever its record says: to its job where it `works` for that
    /// still, else free. Answers `None` when the record is not any more what the operator has `seen`.
    pub async fn release_by_hand(
        &self,
        seen: &InstanceRecord,
        works: bool,
        who: &str,
        why: &str,
    ) -> Result<Option<InstanceRecord>, WorkerError> {
        let hand = self.hand("released", who, why)?;
        let (status, job) = match works {
            true => (InstanceStatus::InProgress, ""),
            false => (InstanceStatus::Available, ", job_id"),
        };
        let update = self
            .update(
                &seen.instance_id,
                &format!(
                    "SET #status = :status, cordoned = :false, by_hand = :hand, updated_at = :now \
                     REMOVE holder, task_token, quarantine_reason, keep_out, held_since{job}"
                ),
            )
            .condition_expression("updated_at = :seen AND #status = :was")
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":hand", hand)
            .expression_attribute_values(":seen", s(&seen.updated_at))
            .expression_attribute_values(":was", s(seen.status.as_str()));
        self.send(update).await
    }

    /// An operator takes the instance out of service. Answers `None` when the record is not any more what they have
    /// `seen`.
    pub async fn quarantine_by_hand(
        &self,
        instance: &InstanceId,
        arn: &ContainerInstanceArn,
        seen: Option<&InstanceRecord>,
        who: &str,
        why: &str,
    ) -> Result<Option<InstanceRecord>, WorkerError> {
        let hand = self.hand("quarantined", who, why)?;
        let update = self
            .update(
                instance,
                "SET #status = :quarantined, cordoned = :true, container_instance_arn = :arn, \
                 quarantine_reason = :reason, last_verdict = :reason, by_hand = :hand, updated_at = :now \
                 REMOVE holder, task_token, held_since",
            )
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":arn", s(arn.as_str()))
            .expression_attribute_values(":reason", s(format!("{why} ({who})")))
            .expression_attribute_values(":hand", hand);
        let update = match seen {
            Some(seen) => update
                .condition_expression("updated_at = :seen AND #status = :was")
                .expression_attribute_values(":seen", s(&seen.updated_at))
                .expression_attribute_values(":was", s(seen.status.as_str())),
            None => update.condition_expression("attribute_not_exists(instance_id)"),
        };
        self.send(update).await
    }

    /// An operator wants an instance out of service that a recovery holds: written beside the hold, which goes on.
    /// Answers `None` when the record is not any more what the operator has `seen`.
    pub async fn ask_to_keep_out(
        &self,
        seen: &InstanceRecord,
        who: &str,
        why: &str,
    ) -> Result<Option<InstanceRecord>, WorkerError> {
        let hand = self.hand("quarantined", who, why)?;
        let update = self
            .update(
                &seen.instance_id,
                "SET keep_out = :why, by_hand = :hand, updated_at = :now",
            )
            .condition_expression("holder = :holder AND #status = :was")
            .expression_attribute_values(":why", s(format!("{why} ({who})")))
            .expression_attribute_values(":hand", hand)
            .expression_attribute_values(
                ":holder",
                s(seen.holder.as_ref().map_or("", ExecutionArn::as_str)),
            )
            .expression_attribute_values(":was", s(seen.status.as_str()));
        self.send(update).await
    }

    fn hand(&self, action: &str, who: &str, why: &str) -> Result<AttributeValue, WorkerError> {
        let hand = ByHand {
            action: action.to_owned(),
            who: who.to_owned(),
            why: why.to_owned(),
            at: self.clock.rfc3339(),
        };
        write(&hand).map(AttributeValue::M)
    }
}
