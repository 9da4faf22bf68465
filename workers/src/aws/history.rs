//! The history of jobs and instances: event items in the table of jobs.

use crate::{
    WorkerError,
    aws::dynamo::{put_or_left, read, s, write},
    context::{Clock, parse_time},
    ids::{ExecutionArn, JobId},
    records::event::{About, EventRecord, PREFIX, What, expiry},
};
use aws_sdk_dynamodb::Client;
use aws_smithy_types::{DateTime, date_time::Format};

/// The history.
#[derive(Clone)]
pub struct History {
    client: Client,
    table: String,
    clock: Clock,
}

/// What is added to it.
pub struct Event<'a> {
    pub about: About<'a>,
    pub what: What,
    pub detail: &'a str,
    /// The job for which an instance works.
    pub of_job: Option<&'a JobId>,
}

impl History {
    pub fn new(client: Client, table: &str, clock: Clock) -> Self {
        Self {
            client,
            table: table.to_owned(),
            clock,
        }
    }

    /// Adds what an execution did. To be called after the deed, and again by a call that finds it done: an execution adds
    /// each kind of event once.
    pub async fn note(&self, event: Event<'_>, by: &ExecutionArn) -> Result<(), WorkerError> {
        let mut item = self.item(&event, by.name());
        item.execution = Some(by.clone());
        self.add(&item).await
    }

    /// Adds what an operator did.
    pub async fn note_by_hand(&self, event: Event<'_>, who: &str) -> Result<(), WorkerError> {
        let mut item = self.item(&event, &self.clock.rfc3339());
        item.who = Some(who.to_owned());
        self.add(&item).await
    }

    fn item(&self, event: &Event<'_>, by: &str) -> EventRecord {
        EventRecord {
            job_id: event.about.key(),
            record: format!("{PREFIX}{by}#{}", event.what),
            what: event.what,
            at: self.clock.rfc3339(),
            detail: event.detail.to_owned(),
            of_job: event.of_job.cloned(),
            execution: None,
            who: None,
            expires_at: expiry(self.clock.epoch_seconds()),
        }
    }

    async fn add(&self, item: &EventRecord) -> Result<(), WorkerError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(write(item)?))
            .condition_expression("attribute_not_exists(job_id)")
            .send()
            .await;
        // Or an earlier call has added it.
        put_or_left(put)
    }

    /// The events since then (seconds since the epoch), oldest first. An expired item can stand for a few days until
    /// DynamoDB deletes it (developer guide, TTL); `since` leaves it out.
    pub async fn of(&self, about: About<'_>, since: i64) -> Result<Vec<EventRecord>, WorkerError> {
        let items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("job_id = :about AND begins_with(#r, :event)")
            .expression_attribute_names("#r", "record")
            .expression_attribute_values(":about", s(about.key()))
            .expression_attribute_values(":event", s(PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(WorkerError::aws("dynamodb:Query"))?;
        let mut events: Vec<EventRecord> = items
            .into_iter()
            .map(|item| read(&self.table, item))
            .collect::<Result<_, _>>()?;
        events.retain(|event| parse_time(&event.at).is_some_and(|at| at >= since));
        // Not by the text: a whole second is written without a fraction.
        events.sort_by_key(|event| nanoseconds(&event.at));
        Ok(events)
    }
}

fn nanoseconds(at: &str) -> Option<i128> {
    let time = DateTime::from_str(at, Format::DateTimeWithOffset).ok()?;
    Some(time.as_nanos())
}
