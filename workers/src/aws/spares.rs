//! What the tables hold of spares. A hold is written on the job first and on the spare then: whoever holds the job later
//! finds every spare that may be held for it, and a hold for a job is void for whoever holds that job.

use crate::{
    WorkerError,
    aws::{
        dynamo::{n, s},
        instances::Instances,
        jobs::{Jobs, Write},
        update::Update,
    },
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{InstanceRecord, InstanceStatus, JobRecord, SwapState},
};
use aws_sdk_dynamodb::types::AttributeValue;

impl Jobs {
    /// Notes spares that are about to be held for a job that this execution holds.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when it does not.
    pub async fn note_spares(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
        spares: &[InstanceId],
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(&job.job_id, "ADD spares :spares SET updated_at = :now")
            .expression_attribute_values(":spares", set(spares));
        self.send_held(update, &job.job_id, job.attempt, by).await
    }

    /// Notes that none is held any more.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when this execution does not hold the job.
    pub async fn forget_spares(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self.update(&job.job_id, "SET updated_at = :now REMOVE spares");
        self.send_held(update, &job.job_id, job.attempt, by).await
    }

    /// Notes instances on which a rank could not be placed, or did not start: beside those that were noted before, or
    /// instead of them.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when this execution does not hold the job.
    pub async fn refuse_places(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
        places: &[InstanceId],
        instead: bool,
    ) -> Result<JobRecord, WorkerError> {
        let expression = if instead {
            "SET refused_places = :places, updated_at = :now"
        } else {
            "ADD refused_places :places SET updated_at = :now"
        };
        let update = self
            .update(&job.job_id, expression)
            .expression_attribute_values(":places", set(places));
        self.send_held(update, &job.job_id, job.attempt, by).await
    }

    /// Notes what has come of the nodes that this execution has replaced by spares. Nothing changes when another swap has
    /// followed.
    pub async fn end_swap(
        &self,
        job: &JobId,
        by: &ExecutionArn,
        state: SwapState,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(job, "SET swap.#state = :state, updated_at = :now")
            .condition_expression("swap.#by = :by")
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":state", s(state.as_str()));
        match self.send(update).await? {
            Write::Done(_) | Write::Refused(_) => Ok(()),
        }
    }
}

/// A spare about to be held.
pub struct SpareHold<'a> {
    pub instance: &'a InstanceId,
    pub arn: &'a ContainerInstanceArn,
    pub job: &'a JobId,
    pub by: &'a ExecutionArn,
    /// The item as it was read: free, or held by an execution that has ended.
    pub seen: &'a InstanceRecord,
}

impl Instances {
    /// Holds a spare for a job. Answers false when its item is not any more what was seen.
    pub async fn hold_spare(&self, hold: SpareHold<'_>) -> Result<bool, WorkerError> {
        let previous = hold.seen.holder.as_ref();
        let unheld = if previous.is_some() {
            "holder = :previous AND #status = :held"
        } else {
            "attribute_not_exists(holder) AND #status = :available"
        };
        let mut update = self
            .update(
                hold.instance,
                "SET #status = :held, holder = :by, job_id = :job, container_instance_arn = :arn, \
                 held_since = :since, updated_at = :now REMOVE task_token",
            )
            // The second: the answer to this very write was lost, and the SDK sent it again.
            .condition_expression(format!(
                "(updated_at = :seen AND attribute_not_exists(keep_out) AND {unheld}) OR \
                 (#status = :held AND holder = :by AND job_id = :job)"
            ))
            .expression_attribute_values(":held", s(InstanceStatus::Held.as_str()))
            .expression_attribute_values(":seen", s(&hold.seen.updated_at))
            .expression_attribute_values(":since", n(self.clock.epoch_seconds()))
            .expression_attribute_values(":by", s(hold.by.as_str()))
            .expression_attribute_values(":job", s(hold.job.as_str()))
            .expression_attribute_values(":arn", s(hold.arn.as_str()));
        update = match previous {
            Some(previous) => update.expression_attribute_values(":previous", s(previous.as_str())),
            None => update
                .expression_attribute_values(":available", s(InstanceStatus::Available.as_str())),
        };
        Ok(self.send(update).await?.is_some())
    }

    /// Says that a spare is still held by this execution, and by that keeps others from taking it over: they write an item
    /// only as they have read it. One that a launch of ours has assigned already counts, too.
    pub async fn still_held(
        &self,
        instance: &InstanceId,
        job: &JobId,
        by: &ExecutionArn,
    ) -> Result<bool, WorkerError> {
        let update = self
            .update(instance, "SET updated_at = :now")
            .condition_expression(
                "job_id = :job AND ((#status = :held AND holder = :by) OR \
                 (#status = :working AND attribute_not_exists(holder)))",
            )
            .expression_attribute_values(":held", s(InstanceStatus::Held.as_str()))
            .expression_attribute_values(":working", s(InstanceStatus::InProgress.as_str()))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":job", s(job.as_str()));
        Ok(self.send(update).await?.is_some())
    }

    /// Frees a spare that was held for a job and is not used by it: by this execution, or, for who holds the job, by any.
    /// One that an operator wants out of service is quarantined instead.
    pub async fn let_go_spare(
        &self,
        instance: &InstanceId,
        job: &JobId,
        by: Option<&ExecutionArn>,
    ) -> Result<(), WorkerError> {
        let ours = match by {
            Some(_) => "job_id = :job AND #status = :held AND holder = :by",
            None => "job_id = :job AND #status IN (:held, :working)",
        };
        let valued = |update: Update| {
            update
                .expression_attribute_values(":by", s(by.map_or("", ExecutionArn::as_str)))
                .expression_attribute_values(":held", s(InstanceStatus::Held.as_str()))
                .expression_attribute_values(":working", s(InstanceStatus::InProgress.as_str()))
                .expression_attribute_values(":job", s(job.as_str()))
        };
        let freed = valued(self.freed(instance, ours));
        if self.send(freed).await?.is_none() {
            self.send(valued(self.kept_out(instance, ours))).await?;
        }
        Ok(())
    }

    /// Keeps a suspect for the repair beside its job, which runs on a spare. Answers false for one that another recovery
    /// holds or that is quarantined.
    pub async fn keep_for_repair(
        &self,
        instance: &InstanceId,
        job: &JobId,
        by: &ExecutionArn,
    ) -> Result<bool, WorkerError> {
        let update = self
            .update(
                instance,
                "SET holder = :by, held_since = if_not_exists(held_since, :since), updated_at = :now",
            )
            .expression_attribute_values(":since", n(self.clock.epoch_seconds()))
            .condition_expression(
                "job_id = :job AND #status <> :quarantined AND \
                 (attribute_not_exists(holder) OR holder = :by)",
            )
            .expression_attribute_values(":quarantined", s(InstanceStatus::Quarantined.as_str()))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":job", s(job.as_str()));
        Ok(self.send(update).await?.is_some())
    }
}

fn set(instances: &[InstanceId]) -> AttributeValue {
    AttributeValue::Ss(instances.iter().map(InstanceId::to_string).collect())
}
