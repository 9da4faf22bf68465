//! The writes that take something: a job, an attempt, a node, a spare. Each is told by its expression.

use super::{Inner, Watch, nodes::Hold};
use crate::{
    stepfunctions::{ExecutionStatus, StepFunctions},
    wire::Handler,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Job,
    Attempt,
    Node,
    Spare,
}

impl Taken {
    fn by(expression: &str, of_jobs: bool) -> Option<Self> {
        let of = |begin: &str, taken: Self| expression.contains(begin).then_some(taken);
        if of_jobs {
            return of("#status = :claimed, holder = :by", Self::Job)
                .or_else(|| of("attempt = :next", Self::Attempt));
        }
        of("#status = :held, holder = :by", Self::Spare)
            .or_else(|| of("#status = :rebooting, holder = :by", Self::Node))
    }
}

impl Watch {
    /// The tables, under the eyes of the watch.
    pub fn tables(&self) -> Handler {
        let watch = self.clone();
        let (tables, jobs, instances) = self.with(|inner| {
            let names = (inner.job_table.clone(), inner.instance_table.clone());
            (inner.tables.clone(), names.0, names.1)
        });
        Arc::new(move |operation, body| {
            let table = body["TableName"].as_str().unwrap_or_default();
            let known =
                operation == "UpdateItem" && [&jobs, &instances].contains(&&table.to_owned());
            let taken = body["UpdateExpression"]
                .as_str()
                .filter(|_| known)
                .and_then(|expression| Taken::by(expression, table == jobs));
            let before = taken.map(|_| {
                let get = json!({ "TableName": table, "Key": body["Key"], "ConsistentRead": true });
                tables.api("GetItem", get).unwrap_or_default()["Item"].take()
            });
            let answer = tables.api(operation, body);
            if let (Some(taken), Some(before), Ok(answer)) = (taken, before, &answer) {
                watch.taken(taken, &before, &answer["Attributes"]);
            }
            Box::pin(async move { answer })
        })
    }

    fn taken(&self, taken: Taken, before: &Value, now: &Value) {
        match taken {
            Taken::Attempt => self.with(|inner| inner.committed(now)),
            Taken::Spare => self.spare_held(before, now),
            Taken::Job => self.job_claimed(before, now),
            Taken::Node => self.node_held(before, now),
        }
    }

    /// Promise 5: whatever comes twice or late, a recovery that runs keeps its job.
    fn job_claimed(&self, before: &Value, now: &Value) {
        let (earlier, holder) = (text(before, "holder"), text(now, "holder"));
        if earlier != holder && self.runs(&earlier) {
            let job = text(now, "job_id");
            let what = format!("{job} is taken by {holder}, and {earlier} holds it and runs");
            self.with(|inner| inner.breaks(5, &what));
        }
    }

    /// Promise 2: a node is taken from no other job's recovery, and from no operator.
    fn node_held(&self, before: &Value, now: &Value) {
        let (earlier, holder) = (text(before, "holder"), text(now, "holder"));
        let (node, job) = (text(now, "instance_id"), text(now, "job_id"));
        // Whoever holds the job ends every other hold for it.
        let of_another = text(before, "job_id") != job;
        if earlier != holder && of_another && self.runs(&earlier) {
            let what =
                format!("{node} is held for {job} by {holder}, and {earlier} holds it and runs");
            self.with(|inner| inner.breaks(2, &what));
        }
        let cordoned = before["cordoned"]["BOOL"] == true;
        self.with(|inner| {
            let held = Hold {
                by: holder,
                job: job.clone(),
                at: inner.clock.now(),
            };
            inner.holds.entry(node.clone()).or_default().push(held);
            if !cordoned && inner.is_long_drained(&node) {
                let what = format!("{node} is held for {job}, and an operator has drained it");
                inner.breaks(2, &what);
            }
        });
    }

    /// An execution that runs, and never did anything else: one that was redriven a moment ago finds that it has lost what
    /// it held.
    pub(super) fn runs(&self, execution: &str) -> bool {
        let stepfunctions = self.with(|inner| inner.stepfunctions.clone());
        runs(&stepfunctions, execution)
    }
}

fn runs(stepfunctions: &StepFunctions, execution: &str) -> bool {
    !execution.is_empty()
        && stepfunctions.executions().iter().any(|e| {
            e.arn == execution && e.status == ExecutionStatus::Running && e.redrive_count == 0
        })
}

impl Inner {
    /// An item as it is now; null where there is none.
    pub(super) fn item(&self, table: &str, key: Value) -> Value {
        let get = json!({ "TableName": table, "Key": key, "ConsistentRead": true });
        self.tables.api("GetItem", get).unwrap_or_default()["Item"].take()
    }

    pub(super) fn job_item(&self, job: &str) -> Value {
        let key = json!({ "job_id": { "S": job }, "record": { "S": "job" } });
        self.item(&self.job_table, key)
    }

    pub(super) fn node_item(&self, node: &str) -> Value {
        self.item(
            &self.instance_table,
            json!({ "instance_id": { "S": node } }),
        )
    }
}

/// A text of an item; none is empty.
pub(super) fn text(item: &Value, name: &str) -> String {
    item[name]["S"].as_str().unwrap_or_default().to_owned()
}

/// A number of an item.
pub(super) fn number(item: &Value, name: &str) -> Option<u32> {
    item[name]["N"].as_str()?.parse().ok()
}
