//! Whole tables, a bounded number of pages of them.

use crate::{
    WorkerError,
    aws::{
        dynamo::{read, s},
        instances::Instances,
        jobs::Jobs,
    },
    records::{InstanceRecord, JobRecord},
};
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use serde::de::DeserializeOwned;

/// What was read of a table.
#[derive(Debug)]
pub struct Scanned<T> {
    pub records: Vec<T>,
    /// Items that are no such record, each with what is wrong with it: one of them must not hide the others.
    pub unreadable: Vec<String>,
    /// That was all of the table.
    pub complete: bool,
}

impl Jobs {
    /// The jobs in the first `pages` pages (1 MB each) of the table. It reads the rank items, too: for an operator who
    /// looks on, not for a worker.
    pub async fn list(&self, pages: usize) -> Result<Scanned<JobRecord>, WorkerError> {
        let jobs_only = self
            .client
            .scan()
            .filter_expression("#r = :job")
            .expression_attribute_names("#r", "record")
            .expression_attribute_values(":job", s(JobRecord::SORT_KEY));
        scan(jobs_only, &self.table, pages).await
    }
}

impl Instances {
    /// The instances in the first `pages` pages (1 MB each) of the table: for an operator who looks on, not for a worker.
    pub async fn list(&self, pages: usize) -> Result<Scanned<InstanceRecord>, WorkerError> {
        scan(self.client.scan(), &self.table, pages).await
    }
}

async fn scan<T: DeserializeOwned>(
    scan: ScanFluentBuilder,
    table: &str,
    pages: usize,
) -> Result<Scanned<T>, WorkerError> {
    let mut scanned = Scanned {
        records: Vec::new(),
        unreadable: Vec::new(),
        complete: false,
    };
    let mut start = None;
    for _ in 0..pages {
        let answer = scan
            .clone()
            .table_name(table)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(WorkerError::aws("dynamodb:Scan"))?;
        for item in answer.items.unwrap_or_default() {
            match read(table, item) {
                Ok(record) => scanned.records.push(record),
                Err(error) => scanned.unreadable.push(error.to_string()),
            }
        }
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            scanned.complete = true;
            break;
        }
    }
    Ok(scanned)
}
