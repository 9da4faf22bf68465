//! The `ecs_container_instance` table: one item per instance.
//!
//! `holder` is the execution that may reboot the instance; no write here takes an instance from another holder
//! but [`Instances::hold`], which is told whom to take it from.

use crate::{
    WorkerError,
    aws::{
        dynamo::{n, read, s},
        update::Update,
    },
    context::Clock,
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{InstanceRecord, InstanceStatus},
};
use aws_sdk_dynamodb::{Client, error::SdkError, types::AttributeValue};

/// The table.
#[derive(Clone)]
pub struct Instances {
    pub(crate) client: Client,
    pub(crate) table: String,
    pub(crate) clock: Clock,
}

/// A hold on an instance, about to be written.
pub struct Hold<'a> {
    pub instance: &'a InstanceId,
    pub arn: &'a ContainerInstanceArn,
    pub job: &'a JobId,
    pub by: &'a ExecutionArn,
    /// The ended execution to take it over from, when there is one, and when the item was last written: it may be
    /// redriven meanwhile.
    pub previous: Option<(&'a ExecutionArn, &'a str)>,
    /// The GPUs of its registration, as the probe tells a set; none when ECS names none.
    pub gpus: Option<&'a str>,
    pub verdict: &'a str,
    /// When it was found faulty, this time included.
    pub faults: &'a [i64],
}

/// An instance that is about to be taken out of service.
pub struct Quarantine<'a> {
    pub instance: &'a InstanceId,
    pub arn: &'a ContainerInstanceArn,
    pub by: &'a ExecutionArn,
    pub reason: &'a str,
    /// The DRAINING in ECS is ours; an operator's is not taken back by us.
    pub ours: bool,
    /// When it was found faulty, this time included.
    pub faults: &'a [i64],
}

const FREE: &str = "(attribute_not_exists(holder) OR holder = :by)";

impl Instances {
    pub fn new(client: Client, table: &str, clock: Clock) -> Self {
        Self {
            client,
            table: table.to_owned(),
            clock,
        }
    }

    /// The instance's item, as it is now.
    pub async fn get(&self, instance: &InstanceId) -> Result<Option<InstanceRecord>, WorkerError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("instance_id", s(instance.as_str()))
            .consistent_read(true)
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:GetItem"))?;
        found.item.map(|item| read(&self.table, item)).transpose()
    }

    /// Notes that the instance works for a job (`InProgress`) or is about to be checked (`PendingHealthcheck`).
    /// Answers false when another recovery holds it or it is quarantined. A launcher, which holds nothing, is `None`.
    pub async fn assign(
        &self,
        instance: &InstanceId,
        arn: Option<&ContainerInstanceArn>,
        job: &JobId,
        by: Option<&ExecutionArn>,
        status: InstanceStatus,
    ) -> Result<bool, WorkerError> {
        let set_arn = arn.map_or("", |_| ", container_instance_arn = :arn");
        let free = if by.is_some() {
            FREE
        } else {
            "attribute_not_exists(holder)"
        };
        let mut update = self
            .update(
                instance,
                &format!(
                    "SET #status = :status, job_id = :job, updated_at = :now{set_arn} \
                     REMOVE holder, task_token, held_since"
                ),
            )
            .condition_expression(format!(
                "attribute_not_exists(instance_id) OR (#status <> :quarantined AND {free})"
            ))
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":job", s(job.as_str()));
        if let Some(by) = by {
            update = update.expression_attribute_values(":by", s(by.as_str()));
        }
        if let Some(arn) = arn {
            update = update.expression_attribute_values(":arn", s(arn.as_str()));
        }
        Ok(self.send(update).await?.is_some())
    }

    /// Takes an instance that nobody holds for a check by hand, if its item is still what was `seen`. It is not AVAILABLE
    /// from here on.
    pub async fn take_to_check(
        &self,
        instance: &InstanceId,
        arn: &ContainerInstanceArn,
        check: &JobId,
        seen: Option<&InstanceRecord>,
    ) -> Result<bool, WorkerError> {
        let update = self
            .update(
                instance,
                "SET #status = :status, job_id = :job, container_instance_arn = :arn, updated_at = :now \
                 REMOVE holder, task_token, waiting_since, command_id, quarantine_reason, keep_out",
            )
            .expression_attribute_values(":status", s(InstanceStatus::PendingHealthcheck.as_str()))
            .expression_attribute_values(":job", s(check.as_str()))
            .expression_attribute_values(":arn", s(arn.as_str()));
        let update = match seen {
            Some(seen) => update
                // Or the answer to this very write was lost, and the SDK sent it again.
                .condition_expression("updated_at = :seen OR job_id = :job")
                .expression_attribute_values(":seen", s(&seen.updated_at)),
            None => {
                update.condition_expression("attribute_not_exists(instance_id) OR job_id = :job")
            }
        };
        Ok(self.send(update).await?.is_some())
    }

    /// Notes that an instance which is being checked by hand is ACTIVE in ECS.
    pub async fn not_cordoned(
        &self,
        instance: &InstanceId,
        check: &JobId,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(instance, "SET cordoned = :false, updated_at = :now")
            .condition_expression("job_id = :job AND attribute_not_exists(holder)")
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":job", s(check.as_str()));
        self.send(update).await.map(drop)
    }

    /// Notes what the last health check of an instance of this job said, and of which boot that is true.
    pub async fn note_verdict(
        &self,
        instance: &InstanceId,
        job: &JobId,
        verdict: &str,
        boot: Option<&str>,
    ) -> Result<(), WorkerError> {
        let boot = boot.map_or(AttributeValue::Null(true), s);
        let update = self
            .update(
                instance,
                "SET last_verdict = :verdict, last_check_at = :now, last_check_boot = :boot, updated_at = :now",
            )
            .expression_attribute_values(":boot", boot)
            .condition_expression("job_id = :job")
            .expression_attribute_values(":verdict", s(verdict))
            .expression_attribute_values(":job", s(job.as_str()));
        self.send(update).await.map(drop)
    }

    /// Frees the instance of a job that has ended. Nothing changes when it works for another job by now, is held by
    /// another recovery, or is quarantined.
    pub async fn release(
        &self,
        instance: &InstanceId,
        job: &JobId,
        by: &ExecutionArn,
    ) -> Result<bool, WorkerError> {
        let ours = format!("job_id = :job AND #status <> :quarantined AND {FREE}");
        let update = self
            .freed(instance, &ours)
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":job", s(job.as_str()))
            .expression_attribute_values(":by", s(by.as_str()));
        Ok(self.send(update).await?.is_some())
    }

    /// Ends the hold of a job that has ended on an instance that an operator wants out of service: QUARANTINED with the
    /// operator's reason. Answers false for any other instance.
    pub async fn keep_out(
        &self,
        instance: &InstanceId,
        job: &JobId,
        by: &ExecutionArn,
    ) -> Result<bool, WorkerError> {
        let update = self
            .kept_out(instance, &format!("job_id = :job AND {FREE}"))
            .expression_attribute_values(":job", s(job.as_str()))
            .expression_attribute_values(":by", s(by.as_str()));
        Ok(self.send(update).await?.is_some())
    }

    /// AVAILABLE, and nobody's, where `ours` holds and no operator wants it out of service.
    pub(super) fn freed(&self, instance: &InstanceId, ours: &str) -> Update {
        self.update(
            instance,
            "SET #status = :available, updated_at = :now REMOVE holder, job_id, task_token, held_since",
        )
        .condition_expression(format!("{ours} AND attribute_not_exists(keep_out)"))
        .expression_attribute_values(":available", s(InstanceStatus::Available.as_str()))
    }

    /// QUARANTINED with the operator's reason, where `ours` holds and an operator wants it out of service.
    pub(super) fn kept_out(&self, instance: &InstanceId, ours: &str) -> Update {
        self.update(
            instance,
            "SET #status = :quarantined, cordoned = :true, quarantine_reason = keep_out, last_verdict = keep_out, \
             updated_at = :now REMOVE holder, job_id, task_token, keep_out, held_since",
        )
        .condition_expression(format!("{ours} AND attribute_exists(keep_out)"))
        .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
        .expression_attribute_values(":true", AttributeValue::Bool(true))
    }

    /// Takes the instance for a reboot. Answers `None` when another recovery was faster.
    pub async fn hold(&self, hold: Hold<'_>) -> Result<Option<InstanceRecord>, WorkerError> {
        let faults = hold.faults.iter().map(n).collect();
        let (previous, seen) = hold.previous.unwrap_or((hold.by, ""));
        let update = self
            .update(
                hold.instance,
                "SET #status = :rebooting, holder = :by, job_id = :job, container_instance_arn = :arn, \
                 cordoned = :true, faults = :faults, gpus = :gpus, last_verdict = :verdict, \
                 last_check_at = :now, updated_at = :now \
                 REMOVE task_token, waiting_since, command_id, quarantine_reason, held_since",
            )
            .condition_expression(
                "attribute_not_exists(instance_id) OR (#status <> :quarantined AND \
                 (attribute_not_exists(holder) OR holder = :by OR (holder = :previous AND updated_at = :seen)))",
            )
            .expression_attribute_values(":rebooting", s(InstanceStatus::Rebooting.as_str()))
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":by", s(hold.by.as_str()))
            .expression_attribute_values(":previous", s(previous.as_str()))
            .expression_attribute_values(":seen", s(seen))
            .expression_attribute_values(":job", s(hold.job.as_str()))
            .expression_attribute_values(":arn", s(hold.arn.as_str()))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":faults", AttributeValue::L(faults))
            .expression_attribute_values(":gpus", s(hold.gpus.unwrap_or("?:-")))
            .expression_attribute_values(":verdict", s(hold.verdict));
        self.send(update).await
    }

    /// Lets go of an instance that was held but is not to be rebooted after all.
    pub async fn let_go(
        &self,
        instance: &InstanceId,
        by: &ExecutionArn,
        faults: &[i64],
    ) -> Result<(), WorkerError> {
        let update = self
            .update(
                instance,
                "SET #status = :checked, cordoned = :false, faults = :faults, updated_at = :now \
                 REMOVE holder, task_token, held_since",
            )
            .condition_expression("holder = :by")
            .expression_attribute_values(":checked", s(InstanceStatus::PendingHealthcheck.as_str()))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(
                ":faults",
                AttributeValue::L(faults.iter().map(n).collect()),
            )
            .expression_attribute_values(":by", s(by.as_str()));
        self.send(update).await.map(drop)
    }

    /// Stores what ends the wait for the instance. `command_id` is the order's; a reboot by EC2 has none. No event ends
    /// the wait before it is 30 s old, counted from `since` (seconds since the epoch).
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when this execution does not hold the instance, or it is not being rebooted.
    pub async fn store_wait(
        &self,
        instance: &InstanceId,
        by: &ExecutionArn,
        command_id: Option<&str>,
        task_token: &str,
        since: i64,
    ) -> Result<InstanceRecord, WorkerError> {
        let update = self
            .update(
                instance,
                "SET task_token = :token, waiting_since = :since, command_id = :command, updated_at = :now",
            )
            .condition_expression("holder = :by AND #status = :rebooting")
            .expression_attribute_values(":token", s(task_token))
            .expression_attribute_values(":since", n(since))
            .expression_attribute_values(":command", s(command_id.unwrap_or("none")))
            .expression_attribute_values(":rebooting", s(InstanceStatus::Rebooting.as_str()))
            .expression_attribute_values(":by", s(by.as_str()));
        self.send(update)
            .await?
            .ok_or_else(|| not_held(instance, by))
    }

    /// Notes the ARN of an instance that registered anew while it was rebooted.
    pub async fn note_arn(
        &self,
        instance: &InstanceId,
        arn: &ContainerInstanceArn,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(
                instance,
                "SET container_instance_arn = :arn, updated_at = :now",
            )
            .condition_expression("#status = :rebooting")
            .expression_attribute_values(":arn", s(arn.as_str()))
            .expression_attribute_values(":rebooting", s(InstanceStatus::Rebooting.as_str()));
        self.send(update).await.map(drop)
    }

    /// Forgets a wait that has been answered.
    pub async fn forget_wait(
        &self,
        instance: &InstanceId,
        task_token: &str,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(instance, "SET updated_at = :now REMOVE task_token")
            .condition_expression("task_token = :token")
            .expression_attribute_values(":token", s(task_token));
        self.send(update).await.map(drop)
    }

    /// Notes that a held instance is ACTIVE again, to be verified.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when this execution does not hold the instance.
    pub async fn uncordoned(
        &self,
        instance: &InstanceId,
        by: &ExecutionArn,
    ) -> Result<InstanceRecord, WorkerError> {
        let update = self
            .update(
                instance,
                "SET #status = :checking, cordoned = :false, updated_at = :now REMOVE task_token",
            )
            .condition_expression("holder = :by")
            .expression_attribute_values(
                ":checking",
                s(InstanceStatus::PendingHealthcheck.as_str()),
            )
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":by", s(by.as_str()));
        self.send(update)
            .await?
            .ok_or_else(|| not_held(instance, by))
    }

    /// Marks the instance as out of service. Answers false when another recovery holds it.
    pub async fn quarantine(&self, mark: Quarantine<'_>) -> Result<bool, WorkerError> {
        let Quarantine {
            instance,
            arn,
            by,
            reason,
            ours,
            faults,
        } = mark;
        let update = self
            .update(
                instance,
                "SET #status = :quarantined, cordoned = :ours, container_instance_arn = :arn, faults = :faults, \
                 quarantine_reason = :reason, last_verdict = :reason, last_check_at = :now, updated_at = :now \
                 REMOVE holder, job_id, task_token, keep_out, held_since",
            )
            .condition_expression(FREE)
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":ours", AttributeValue::Bool(ours))
            .expression_attribute_values(
                ":faults",
                AttributeValue::L(faults.iter().map(n).collect()),
            )
            .expression_attribute_values(":arn", s(arn.as_str()))
            .expression_attribute_values(":reason", s(reason))
            .expression_attribute_values(":by", s(by.as_str()));
        Ok(self.send(update).await?.is_some())
    }

    pub(crate) fn update(&self, instance: &InstanceId, expression: &str) -> Update {
        let key = [("instance_id", instance.as_str())];
        Update::new(key, self.clock.rfc3339(), expression)
    }

    /// The item as it is now, or `None` when the condition did not hold.
    pub(crate) async fn send(&self, update: Update) -> Result<Option<InstanceRecord>, WorkerError> {
        match update.call(&self.client, &self.table).send().await {
            Ok(answer) => Ok(Some(read(
                &self.table,
                answer.attributes.unwrap_or_default(),
            )?)),
            Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(e) => Err(WorkerError::aws("dynamodb:UpdateItem")(e)),
        }
    }
}

fn not_held(instance: &InstanceId, by: &ExecutionArn) -> WorkerError {
    WorkerError::ClaimLost(format!(
        "execution {by} does not hold instance {instance} any more"
    ))
}
