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

impl Jobs {
    /// The jobs in the first `pages` pages (1 MB each) of the table, and whether that was all of it. It reads the rank
    /// items, too: for a person who looks on, not for a worker.
    pub async fn list(&self, pages: usize) -> Result<(Vec<JobRecord>, bool), WorkerError> {
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
    /// The instances in the first `pages` pages (1 MB each) of the table, and whether that was all of it: for a person
    /// who looks on, not for a worker.
    pub async fn list(&self, pages: usize) -> Result<(Vec<InstanceRecord>, bool), WorkerError> {
        scan(self.client.scan(), &self.table, pages).await
    }
}

/// The records in the first `pages` pages (1 MB each) of a scan, and whether that was all of it: for a person who looks
/// on, not for a worker.
async fn scan<T: DeserializeOwned>(
    scan: ScanFluentBuilder,
    table: &str,
    pages: usize,
) -> Result<(Vec<T>, bool), WorkerError> {
    let mut records = Vec::new();
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
            records.push(read(table, item)?);
        }
        start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        if start.is_none() {
            return Ok((records, true));
        }
    }
    Ok((records, false))
}
