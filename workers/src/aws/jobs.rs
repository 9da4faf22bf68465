//! The `hybrid-gpu-training-job` table: one item per job, one per rank of each attempt.
//!
//! Whoever changes a job while a recovery is at it names itself: every such write is conditional on `holder`,
//! so an execution that lost the job (a takeover, a late redrive) can change nothing any more.

use crate::{
    WorkerError,
    aws::{
        dynamo::{Item, n, put_or_left, read, s, to_attribute, write},
        pace,
        update::Update,
    },
    context::Clock,
    ids::{ExecutionArn, JobId, TaskArn},
    records::{
        AttemptRecord, JobRecord, JobStatus, RankRecord, Swap, SwapState, event::DAY_SECONDS,
        launch, parse_rank_key, rank_key, rank_prefix,
    },
};
use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, PutRequest, ReturnValuesOnConditionCheckFailure, WriteRequest},
};
use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

/// The index that finds a rank by its task.
pub const TASK_INDEX: &str = "task_arn-index";

/// The index that lists running jobs: sparse, only their items have its hash key `running`.
pub const RUNNING_INDEX: &str = "running-index";

/// BatchWriteItem takes so many (DynamoDB API reference).
const WRITE_BATCH: usize = 25;

/// Ends of a job that follow a message within so long are told with it: a gang's ranks all end within seconds.
const TELL_AGAIN_SECONDS: i64 = 600;

const LAUNCHING: &str =
    "holder = :by AND attempt = :attempt AND launching = :true AND launch_try = :try";

const HELD: &str = "holder = :by AND attempt = :attempt";

/// The table.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) client: Client,
    pub(crate) table: String,
    clock: Clock,
}

/// Where a task stands in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RankKey {
    pub job_id: JobId,
    pub attempt: u32,
    pub rank: u32,
}

/// What a conditional write on a job came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Done; the job as it is now.
    Done(Box<JobRecord>),
    /// The condition did not hold; the job as it was found, if there is one.
    Refused(Option<Box<JobRecord>>),
}

impl Jobs {
    pub fn new(client: Client, table: &str, clock: Clock) -> Self {
        Self {
            client,
            table: table.to_owned(),
            clock,
        }
    }

    /// Finds the rank whose task this is. The index lags behind the table by a moment.
    pub async fn find_task(&self, task: &TaskArn) -> Result<Option<RankKey>, WorkerError> {
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(TASK_INDEX)
            .key_condition_expression("task_arn = :task")
            .expression_attribute_values(":task", s(task.as_str()))
            .limit(1)
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:Query"))?;
        let Some(item) = found.items().first() else {
            return Ok(None);
        };
        let text = |name| item.get(name).and_then(|v| v.as_s().ok());
        let key = text("job_id")
            .and_then(|id| id.parse().ok())
            .zip(text("record").and_then(|r| parse_rank_key(r)))
            .map(|(job_id, (attempt, rank))| RankKey {
                job_id,
                attempt,
                rank,
            });
        key.map(Some).ok_or_else(|| {
            WorkerError::CorruptRecord(format!(
                "table {}: the item of task {task} is not keyed like attempt#00001#rank#00003; fix it by hand",
                self.table
            ))
        })
    }

    /// The job's item, as it is now.
    pub async fn get(&self, job: &JobId) -> Result<Option<JobRecord>, WorkerError> {
        self.get_item(job, JobRecord::SORT_KEY).await
    }

    /// One rank's item, as it is now.
    pub async fn rank(&self, key: &RankKey) -> Result<Option<RankRecord>, WorkerError> {
        self.get_item(&key.job_id, &rank_key(key.attempt, key.rank))
            .await
    }

    async fn get_item<T: serde::de::DeserializeOwned>(
        &self,
        job: &JobId,
        record: &str,
    ) -> Result<Option<T>, WorkerError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("job_id", s(job.as_str()))
            .key("record", s(record))
            .consistent_read(true)
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:GetItem"))?;
        found.item.map(|item| read(&self.table, item)).transpose()
    }

    /// The job, if this execution holds it.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when it does not.
    pub async fn held(
        &self,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let found = self.get(job).await?;
        match found {
            Some(record) if record.holder.as_ref() == Some(by) && record.attempt == attempt => {
                Ok(record)
            }
            other => Err(lost(job, attempt, other.as_ref())),
        }
    }

    /// Every rank of an attempt, in order.
    pub async fn ranks(&self, job: &JobId, attempt: u32) -> Result<Vec<RankRecord>, WorkerError> {
        let items: Vec<Item> = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("job_id = :job AND begins_with(#r, :attempt)")
            .expression_attribute_names("#r", "record")
            .expression_attribute_values(":job", s(job.as_str()))
            .expression_attribute_values(":attempt", s(rank_prefix(attempt)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(WorkerError::aws("dynamodb:Query"))?;
        items.into_iter().map(|i| read(&self.table, i)).collect()
    }

    /// The ids of running jobs, a page of at most `limit` after `after`, in the ids' order, and where the next page
    /// begins. The index lags behind the table by a moment.
    pub async fn running(
        &self,
        after: Option<&JobId>,
        limit: i32,
    ) -> Result<(Vec<JobId>, Option<JobId>), WorkerError> {
        let start = after.map(|job| {
            HashMap::from([
                ("running".to_owned(), s(JobRecord::RUNNING)),
                ("job_id".to_owned(), s(job.as_str())),
                ("record".to_owned(), s(JobRecord::SORT_KEY)),
            ])
        });
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(RUNNING_INDEX)
            .key_condition_expression("running = :yes")
            .expression_attribute_values(":yes", s(JobRecord::RUNNING))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:Query"))?;
        let id = |item: &Item| {
            item.get("job_id")
                .and_then(|v| v.as_s().ok())
                .map(JobId::new)
        };
        let next = page.last_evaluated_key().and_then(id);
        Ok((page.items().iter().filter_map(id).collect(), next))
    }

    /// Writes rank items whole.
    pub async fn put_ranks(&self, ranks: &[RankRecord]) -> Result<(), WorkerError> {
        let mut batches = Vec::new();
        for chunk in ranks.chunks(WRITE_BATCH) {
            let mut puts = Vec::with_capacity(chunk.len());
            for rank in chunk {
                let put = PutRequest::builder()
                    .set_item(Some(write(rank)?))
                    .build()
                    .map_err(|e| WorkerError::CorruptRecord(e.to_string()))?;
                puts.push(WriteRequest::builder().put_request(put).build());
            }
            batches.push(puts);
        }
        pace::DYNAMODB
            .each(batches, |batch| self.put_batch(batch))
            .await
            .into_iter()
            .collect()
    }

    /// Lets DynamoDB delete the items of these ranks in a week, but for those that may run. To be called when nothing is
    /// started again from them.
    pub async fn let_expire(&self, ranks: &[RankRecord]) -> Result<(), WorkerError> {
        let at = self.clock.epoch_seconds() + launch::KEPT_DAYS * DAY_SECONDS;
        let over = ranks
            .iter()
            .filter(|rank| !rank.may_run() && rank.expires_at.is_none());
        let over = over.map(|rank| RankRecord {
            expires_at: Some(at),
            ..rank.clone()
        });
        self.put_ranks(&over.collect::<Vec<_>>()).await
    }

    async fn put_batch(&self, mut batch: Vec<WriteRequest>) -> Result<(), WorkerError> {
        const CALL: &str = "dynamodb:BatchWriteItem";
        for pause in [0, 50, 200, 800, 3200] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let answer = self
                .client
                .batch_write_item()
                .request_items(&self.table, batch)
                .send()
                .await
                .map_err(WorkerError::aws(CALL))?;
            batch = answer
                .unprocessed_items
                .and_then(|mut left| left.remove(&self.table))
                .unwrap_or_default();
            if batch.is_empty() {
                return Ok(());
            }
        }
        Err(WorkerError::AwsUnavailable(crate::error::AwsFailure {
            call: CALL,
            code: "UnprocessedItems".into(),
            message: format!("{} items are still unwritten", batch.len()),
        }))
    }

    /// Writes the rank item of a launch, over that of an earlier one only: a call that was fenced off must not write over
    /// the ranks of the call that fenced it off, and one that comes late not over what has happened to the rank since.
    ///
    /// # Errors
    /// [`WorkerError::NotSettledYet`] when a later launch has written its own.
    pub async fn put_launched(&self, rank: &RankRecord) -> Result<(), WorkerError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(rank)?))
            .condition_expression("attribute_not_exists(launch_try) OR launch_try < :try")
            .expression_attribute_values(":try", n(rank.launch_try))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let refused = match put {
            Ok(_) => return Ok(()),
            Err(e) => match e.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => refused.clone(),
                _ => return Err(WorkerError::aws("dynamodb:PutItem")(e)),
            },
        };
        let found: Option<RankRecord> = refused
            .item
            .map(|item| read(&self.table, item))
            .transpose()?;
        // The client token makes it the same task, whoever asked for it: another call of this try has written it.
        if found.is_some_and(|found| {
            found.launch_try == rank.launch_try && found.task_arn == rank.task_arn
        }) {
            return Ok(());
        }
        Err(WorkerError::NotSettledYet(format!(
            "another call launches job {}",
            rank.job_id
        )))
    }

    /// Writes a rank's item over the one of the same task only; nothing changes when another task has taken its place.
    pub async fn put_rank_of_task(&self, rank: &RankRecord) -> Result<(), WorkerError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(rank)?))
            .condition_expression("task_arn = :task")
            .expression_attribute_values(":task", s(rank.task_arn.as_str()))
            .send()
            .await;
        put_or_left(put)
    }

    /// Writes a new job's item, once: a job id is never used twice.
    pub async fn create(&self, job: &JobRecord) -> Result<Write, WorkerError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(job)?))
            .condition_expression("attribute_not_exists(job_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let refused = match put {
            Ok(_) => return Ok(Write::Done(Box::new(job.clone()))),
            Err(e) => match e.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => refused.clone(),
                _ => return Err(WorkerError::aws("dynamodb:PutItem")(e)),
            },
        };
        let found = refused.item.filter(|item| !item.is_empty());
        // The answer to this very write was lost, and the SDK sent it again.
        if found.as_ref() == Some(&write(job)?) {
            return Ok(Write::Done(Box::new(job.clone())));
        }
        let found = found.map(|item| read(&self.table, item).map(Box::new));
        Ok(Write::Refused(found.transpose()?))
    }

    /// Notes that a new job's tasks could not be started.
    pub async fn not_started(&self, job: &JobId, why: &str) -> Result<Write, WorkerError> {
        let update = self
            .update(
                job,
                "SET #status = :failed, reason = :reason, updated_at = :now REMOVE running",
            )
            .condition_expression(
                "attempt = :first AND #status = :running AND attribute_not_exists(holder)",
            )
            .expression_attribute_values(":failed", s(JobStatus::Failed.as_str()))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()))
            .expression_attribute_values(":reason", s(why))
            .expression_attribute_values(":first", n(1));
        self.send(update).await
    }

    /// Takes the job for an execution: the one conditional write that decides between simultaneous failures.
    /// `previous` is the holder to take over from, when there is one.
    pub async fn claim(
        &self,
        key: &RankKey,
        by: &ExecutionArn,
        previous: Option<&ExecutionArn>,
    ) -> Result<Write, WorkerError> {
        let update = self
            .update(
                &key.job_id,
                "SET #status = :claimed, holder = :by, failed_rank = :rank, reason = :reason, updated_at = :now \
                 REMOVE running, refused_places",
            )
            .expression_attribute_values(":claimed", s(JobStatus::PendingHealthcheck.as_str()))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":rank", n(key.rank))
            .expression_attribute_values(":reason", s(format!("rank {} failed", key.rank)))
            .expression_attribute_values(":attempt", n(key.attempt));
        let update = match previous {
            None => update
                .condition_expression(
                    "attempt = :attempt AND #status = :running AND attribute_not_exists(holder)",
                )
                .expression_attribute_values(":running", s(JobStatus::InProgress.as_str())),
            Some(previous) => update
                .condition_expression(
                    "attempt = :attempt AND holder = :previous AND #status <> :stopped",
                )
                .expression_attribute_values(":stopped", s(JobStatus::UserStopped.as_str()))
                .expression_attribute_values(":previous", s(previous.as_str())),
        };
        self.send(update).await
    }

    /// Notes that this execution tells the operators of an end that is not recovered: unless one did within the last ten
    /// minutes, or the job is not running any more.
    pub async fn tell(&self, key: &RankKey, by: &ExecutionArn) -> Result<Write, WorkerError> {
        let now = self.clock.epoch_seconds();
        let update = self
            .update(
                &key.job_id,
                "SET told_at = :at, told_by = :by, updated_at = :now",
            )
            .condition_expression(
                "attempt = :attempt AND #status = :running AND \
                 (attribute_not_exists(told_at) OR told_at < :before OR told_by = :by)",
            )
            .expression_attribute_values(":at", n(now))
            .expression_attribute_values(":before", n(now - TELL_AGAIN_SECONDS))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(key.attempt))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()));
        self.send(update).await
    }

    /// Moves a held job on to another status.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when another execution holds it.
    pub async fn advance(
        &self,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
        status: JobStatus,
        reason: &str,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                job,
                "SET #status = :status, reason = :reason, updated_at = :now",
            )
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":reason", s(reason));
        self.send_held(update, job, attempt, by).await
    }

    /// Notes that tasks of the next attempt are about to be started. The answer's `launch_try` is the fence: only
    /// [`commit_launch`](Self::commit_launch) with the same one makes them the current attempt.
    ///
    /// # Errors
    /// [`WorkerError::NotSettledYet`] while another call of this execution is launching.
    pub async fn begin_launch(
        &self,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                job,
                "SET #status = :status, launching = :true, \
                 launch_try = if_not_exists(launch_try, :zero), updated_at = :now \
                 REMOVE launched_at, launch_ended",
            )
            .condition_expression(
                "holder = :by AND attempt = :attempt AND \
                 (attribute_not_exists(launching) OR launching = :false)",
            )
            .expression_attribute_values(":status", s(JobStatus::Restarting.as_str()))
            .expression_attribute_values(":zero", n(0))
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        self.send_launch(update, job, attempt, by).await
    }

    /// Notes that a call goes on with a launch that an earlier one has begun.
    pub async fn go_on_launching(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(&job.job_id, "SET updated_at = :now")
            .condition_expression(
                "holder = :by AND attempt = :attempt AND launching = :true AND launch_try = :try \
                 AND attribute_not_exists(undo_since)",
            )
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":try", n(job.launch_try));
        self.send_launch(update, &job.job_id, job.attempt, by).await
    }

    /// Shuts out every call that is still launching: none of them can commit any more. What they have started is to
    /// be stopped next.
    pub async fn fence_launch(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                &job.job_id,
                "SET launch_try = :next, undo_since = if_not_exists(undo_since, :since), updated_at = :now",
            )
            .expression_attribute_values(":since", n(self.clock.epoch_seconds()))
            .condition_expression(
                "holder = :by AND attempt = :attempt AND launching = :true AND launch_try = :try",
            )
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":try", n(job.launch_try))
            .expression_attribute_values(":next", n(job.launch_try + 1));
        self.send_launch(update, &job.job_id, job.attempt, by).await
    }

    /// Keeps which tasks are being stopped: ECS lists those that are stopping already to nobody.
    pub async fn note_undo_tasks(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
        tasks: &[TaskArn],
    ) -> Result<JobRecord, WorkerError> {
        let arns = tasks.iter().map(|task| task.as_str().to_owned()).collect();
        let update = self
            .update(&job.job_id, "ADD undo_tasks :tasks SET updated_at = :now")
            .condition_expression("holder = :by AND attempt = :attempt AND launch_try = :try")
            .expression_attribute_values(":try", n(job.launch_try))
            .expression_attribute_values(":tasks", AttributeValue::Ss(arns));
        self.send_launch(update, &job.job_id, job.attempt, by).await
    }

    /// Notes that no task of an unfinished launch runs any more.
    pub async fn end_undo(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                &job.job_id,
                "SET launching = :false, updated_at = :now \
                 REMOVE undo_since, undo_tasks, launched_at, launch_ended",
            )
            .condition_expression("holder = :by AND attempt = :attempt AND launch_try = :try")
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":try", n(job.launch_try));
        self.send_launch(update, &job.job_id, job.attempt, by).await
    }

    /// Notes since when every task of a launch is started.
    pub async fn all_launched(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                &job.job_id,
                "SET launched_at = if_not_exists(launched_at, :at), updated_at = :now",
            )
            .condition_expression(LAUNCHING)
            .expression_attribute_values(":at", n(self.clock.epoch_seconds()))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":try", n(job.launch_try));
        self.send_launch(update, &job.job_id, job.attempt, by).await
    }

    /// Notes that a task of an attempt that is being launched has ended: RelaunchJob reads it before it commits. Refused
    /// when the launch was committed before that, or is undone.
    pub async fn note_launch_ended(
        &self,
        key: &RankKey,
        launch_try: u32,
    ) -> Result<Write, WorkerError> {
        let update = self
            .update(&key.job_id, "ADD launch_ended :rank")
            .condition_expression("attempt = :attempt AND launching = :true AND launch_try = :try")
            .expression_attribute_values(":rank", AttributeValue::Ns(vec![key.rank.to_string()]))
            .expression_attribute_values(":attempt", n(key.attempt.saturating_sub(1)))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":try", n(launch_try));
        self.send(update).await
    }

    /// Makes the next attempt the current one: the one write that relaunches the job. `done` are ranks that have completed
    /// already, `told` those whose ends were known; `swapped`: it runs on spares. `None` when another end has become known since.
    ///
    /// # Errors
    /// [`WorkerError::NotSettledYet`] when another call has fenced this launch off.
    pub async fn commit_launch(
        &self,
        job: &JobRecord,
        done: &[u32],
        told: &BTreeSet<u32>,
        swapped: bool,
        by: &ExecutionArn,
    ) -> Result<Option<JobRecord>, WorkerError> {
        let next = job.attempt + 1;
        let set = |ranks: Vec<String>| AttributeValue::Ns(ranks);
        let now = self.clock.epoch_seconds();
        let mut attempts = job.attempts.clone();
        attempts.push(AttemptRecord {
            attempt: next,
            running_at: Some(now),
            ended_at: None,
            by: Some(by.clone()),
        });
        let attempts = to_attribute(&attempts)?;
        let (set_done, remove_done) = if done.is_empty() {
            ("", ", done_ranks")
        } else {
            (", done_ranks = :done", "")
        };
        let set_swap = if swapped { ", swap = :swap" } else { "" };
        let unchanged = if told.is_empty() {
            "attribute_not_exists(launch_ended)"
        } else {
            "launch_ended = :told"
        };
        let mut update = self
            .update(
                &job.job_id,
                &format!(
                    "SET #status = :status, attempt = :next, relaunched_by = :by, attempts = :attempts, \
                     launching = :false, running = :yes, reason = :reason, updated_at = :now{set_done}{set_swap} \
                     REMOVE holder, failed_rank, told_at, told_by, launched_at, launch_ended, spares, refused_places{remove_done}"
                ),
            )
            .condition_expression(format!("{LAUNCHING} AND {unchanged}"))
            .expression_attribute_values(":status", s(JobStatus::InProgress.as_str()))
            .expression_attribute_values(":next", n(next))
            .expression_attribute_values(":yes", s(JobRecord::RUNNING))
            .expression_attribute_values(":attempts", attempts)
            .expression_attribute_values(":false", AttributeValue::Bool(false))
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .expression_attribute_values(":try", n(job.launch_try))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(job.attempt))
            .expression_attribute_values(":reason", s(format!("relaunched as attempt {next}")));
        if swapped {
            let swap = Swap {
                by: by.clone(),
                attempt: next,
                state: SwapState::Open,
            };
            update = update.expression_attribute_values(":swap", to_attribute(&swap)?);
        }
        if !done.is_empty() {
            let done = done.iter().map(u32::to_string).collect();
            update = update.expression_attribute_values(":done", set(done));
        }
        if !told.is_empty() {
            let told = told.iter().map(u32::to_string).collect();
            update = update.expression_attribute_values(":told", set(told));
        }
        match self.send(update).await? {
            Write::Done(record) => Ok(Some(*record)),
            Write::Refused(Some(found))
                if found.holder.as_ref() == Some(by)
                    && found.attempt == job.attempt
                    && found.launching
                    && found.launch_try == job.launch_try
                    && found.launch_ended != *told =>
            {
                Ok(None)
            }
            Write::Refused(Some(found))
                if found.holder.as_ref() == Some(by) && found.attempt == job.attempt =>
            {
                Err(WorkerError::NotSettledYet(format!(
                    "another call of this execution is launching job {}",
                    job.job_id
                )))
            }
            Write::Refused(found) => Err(lost(&job.job_id, job.attempt, found.as_deref())),
        }
    }

    /// Keeps how the attempts of a held job ran.
    pub async fn note_attempts(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
        attempts: &[AttemptRecord],
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(&job.job_id, "SET attempts = :attempts, updated_at = :now")
            .expression_attribute_values(":attempts", to_attribute(attempts)?);
        self.send_held(update, &job.job_id, job.attempt, by).await
    }

    /// Declares a held job failed and lets go of it.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when another execution holds it.
    pub async fn fail(
        &self,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
        reason: &str,
    ) -> Result<JobRecord, WorkerError> {
        let update = self
            .update(
                job,
                "SET #status = :status, failed_by = :by, reason = :reason, updated_at = :now REMOVE holder, running",
            )
            .condition_expression(HELD)
            .expression_attribute_values(":status", s(JobStatus::Failed.as_str()))
            .expression_attribute_values(":reason", s(reason))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(attempt));
        match self.send(update).await? {
            Write::Done(record) => Ok(*record),
            // The answer to this very write was lost, and the SDK sent it again.
            Write::Refused(Some(found)) if found.was_failed_by(by, attempt) => Ok(*found),
            Write::Refused(found) => Err(lost(job, attempt, found.as_deref())),
        }
    }

    /// Ends a held check with what came of it, and lets go of it.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when another execution holds it.
    pub async fn end_check(
        &self,
        check: &JobId,
        attempt: u32,
        by: &ExecutionArn,
        status: JobStatus,
        reason: &str,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(
                check,
                "SET #status = :status, reason = :reason, updated_at = :now REMOVE holder",
            )
            .expression_attribute_values(":status", s(status.as_str()))
            .expression_attribute_values(":reason", s(reason));
        let update = update
            .condition_expression(HELD)
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(attempt));
        match self.send(update).await? {
            Write::Done(_) => Ok(()),
            // The answer to this very write was lost, and the SDK sent it again.
            Write::Refused(Some(found)) if found.status == status && found.holder.is_none() => {
                Ok(())
            }
            Write::Refused(found) => Err(lost(check, attempt, found.as_deref())),
        }
    }

    /// Marks the job as stopped by an operator, for good: if nobody is at work on it, or this execution is. It stays among
    /// the running jobs while a rank of it may run.
    pub async fn user_stop(&self, key: &RankKey, by: &ExecutionArn) -> Result<Write, WorkerError> {
        let update = self.update(
            &key.job_id,
            "SET #status = :stopped, stopped_by = :by, reason = :reason, updated_at = :now REMOVE holder",
        );
        self.send_user_stop(update, key, by).await
    }

    /// The same, and takes the job for this execution, which stops the other ranks.
    pub async fn claim_user_stop(
        &self,
        key: &RankKey,
        by: &ExecutionArn,
    ) -> Result<Write, WorkerError> {
        let update = self.update(
            &key.job_id,
            "SET #status = :stopped, stopped_by = :by, holder = :by, failed_rank = :rank, reason = :reason, \
             updated_at = :now REMOVE running",
        );
        self.send_user_stop(update, key, by).await
    }

    async fn send_user_stop(
        &self,
        update: Update,
        key: &RankKey,
        by: &ExecutionArn,
    ) -> Result<Write, WorkerError> {
        let update = update
            .condition_expression(
                "attempt = :attempt AND ((#status = :running AND attribute_not_exists(holder)) OR holder = :by)",
            )
            .expression_attribute_values(":stopped", s(JobStatus::UserStopped.as_str()))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()))
            .expression_attribute_values(":attempt", n(key.attempt))
            .expression_attribute_values(":rank", n(key.rank))
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":reason", s("stopped by an operator"));
        match self.send(update).await? {
            // The answer to this very write was lost, and the SDK sent it again.
            Write::Refused(Some(found))
                if found.status == JobStatus::UserStopped
                    && found.stopped_by.as_ref() == Some(by)
                    && found.attempt == key.attempt =>
            {
                Ok(Write::Done(found))
            }
            written => Ok(written),
        }
    }

    /// Lets go of a job that an operator stopped.
    ///
    /// # Errors
    /// [`WorkerError::ClaimLost`] when another execution holds it.
    pub async fn end_user_stop(
        &self,
        job: &JobRecord,
        by: &ExecutionArn,
    ) -> Result<(), WorkerError> {
        let update = self
            .update(&job.job_id, "SET updated_at = :now REMOVE holder")
            .condition_expression(HELD)
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(job.attempt));
        match self.send(update).await? {
            Write::Done(_) => Ok(()),
            // The answer to this very write was lost, and the SDK sent it again.
            Write::Refused(Some(found))
                if found.holder.is_none() && found.stopped_by.as_ref() == Some(by) =>
            {
                Ok(())
            }
            Write::Refused(found) => Err(lost(&job.job_id, job.attempt, found.as_deref())),
        }
    }

    /// Takes a job that an operator stopped from the running ones: no rank of it runs any more.
    pub async fn all_ended(&self, job: &JobRecord) -> Result<(), WorkerError> {
        let update = self
            .update(&job.job_id, "SET updated_at = :now REMOVE running")
            .condition_expression("attempt = :attempt AND #status = :stopped")
            .expression_attribute_values(":stopped", s(JobStatus::UserStopped.as_str()))
            .expression_attribute_values(":attempt", n(job.attempt));
        self.send(update).await.map(drop)
    }

    /// Notes that a rank of the running attempt ended with exit 0; the answer says which ranks are done.
    pub async fn rank_done(&self, key: &RankKey) -> Result<Write, WorkerError> {
        let update = self
            .update(&key.job_id, "ADD done_ranks :rank SET updated_at = :now")
            .condition_expression("attempt = :attempt AND #status = :running")
            .expression_attribute_values(":rank", AttributeValue::Ns(vec![key.rank.to_string()]))
            .expression_attribute_values(":attempt", n(key.attempt))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()));
        self.send(update).await
    }

    /// Marks the job complete, if every rank of the attempt is done and nobody recovers it.
    pub async fn complete(&self, job: &JobRecord) -> Result<Write, WorkerError> {
        let update = self
            .update(
                &job.job_id,
                "SET #status = :complete, reason = :reason, updated_at = :now REMOVE running",
            )
            .condition_expression(
                "attempt = :attempt AND #status = :running AND size(done_ranks) = nodes",
            )
            .expression_attribute_values(":complete", s(JobStatus::Complete.as_str()))
            .expression_attribute_values(":attempt", n(job.attempt))
            .expression_attribute_values(":running", s(JobStatus::InProgress.as_str()))
            .expression_attribute_values(":reason", s("every rank ended with exit 0"));
        self.send(update).await
    }

    pub(crate) fn update(&self, job: &JobId, expression: &str) -> Update {
        let key = [("job_id", job.as_str()), ("record", JobRecord::SORT_KEY)];
        Update::new(key, self.clock.rfc3339(), expression)
    }

    pub(crate) async fn send(&self, update: Update) -> Result<Write, WorkerError> {
        match update.call(&self.client, &self.table).send().await {
            Ok(answer) => {
                let item = answer.attributes.unwrap_or_default();
                Ok(Write::Done(Box::new(read(&self.table, item)?)))
            }
            Err(e) => match e.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
                    let found = refused.item().filter(|item| !item.is_empty()).cloned();
                    let found = found.map(|item| read(&self.table, item).map(Box::new));
                    Ok(Write::Refused(found.transpose()?))
                }
                _ => Err(WorkerError::aws("dynamodb:UpdateItem")(e)),
            },
        }
    }

    /// For writes that need more than the hold: a refusal although the job is held is another call at work.
    async fn send_launch(
        &self,
        update: Update,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = update
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(attempt));
        match self.send(update).await? {
            Write::Done(record) => Ok(*record),
            Write::Refused(Some(found))
                if found.holder.as_ref() == Some(by) && found.attempt == attempt =>
            {
                Err(WorkerError::NotSettledYet(format!(
                    "another call of this execution is launching job {job}"
                )))
            }
            Write::Refused(found) => Err(lost(job, attempt, found.as_deref())),
        }
    }

    pub(crate) async fn send_held(
        &self,
        update: Update,
        job: &JobId,
        attempt: u32,
        by: &ExecutionArn,
    ) -> Result<JobRecord, WorkerError> {
        let update = update
            .condition_expression(HELD)
            .expression_attribute_values(":by", s(by.as_str()))
            .expression_attribute_values(":attempt", n(attempt));
        match self.send(update).await? {
            Write::Done(record) => Ok(*record),
            Write::Refused(found) => Err(lost(job, attempt, found.as_deref())),
        }
    }
}

fn lost(job: &JobId, attempt: u32, found: Option<&JobRecord>) -> WorkerError {
    WorkerError::ClaimLost(match found {
        None => format!("job {job} is not in the table any more"),
        Some(found) => format!(
            "this execution does not hold job {job} for attempt {attempt} any more: it is {} in attempt {}, held by {}",
            found.status,
            found.attempt,
            found.holder.as_ref().map_or("nobody", ExecutionArn::as_str)
        ),
    })
}
