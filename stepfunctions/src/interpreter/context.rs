//! The context object.

use super::{Moment, Run, Visit};
use crate::{definition::model::Kind, time::rfc3339};
use serde_json::{Map, Value, json};

impl Run {
    /// The context object
    /// (<https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html>).
    pub(super) fn context(&self, visit: &Visit<'_>, moment: &Moment<'_>, input: bool) -> Value {
        let execution = &self.execution;
        let (redrives, redriven) = {
            let record = execution.record();
            (record.redrives, record.redriven)
        };
        let mut about = Map::new();
        about.insert("Id".to_owned(), execution.arn.as_ref().into());
        if input {
            about.insert("Input".to_owned(), execution.input.value().clone());
        }
        about.insert("StartTime".to_owned(), rfc3339(execution.started).into());
        about.insert("Name".to_owned(), execution.name.as_ref().into());
        about.insert("RoleArn".to_owned(), self.service.host.role_arn().into());
        about.insert("RedriveCount".to_owned(), redrives.into());
        if let Some(redriven) = redriven {
            about.insert("RedriveTime".to_owned(), rfc3339(redriven).into());
        }
        let mut state = Map::new();
        state.insert("Name".to_owned(), visit.state.name.as_ref().into());
        state.insert("EnteredTime".to_owned(), rfc3339(visit.entered.at).into());
        if let Kind::Task(_) | Kind::Map(_) | Kind::Parallel(_) = visit.state.kind {
            state.insert("RetryCount".to_owned(), moment.retries.into());
        }
        let machine = &execution.machine;
        let mut context = Map::new();
        context.insert("Execution".to_owned(), about.into());
        context.insert(
            "StateMachine".to_owned(),
            json!({ "Id": machine.arn, "Name": machine.name }),
        );
        context.insert("State".to_owned(), state.into());
        if let Some(token) = moment.token {
            context.insert("Task".to_owned(), json!({ "Token": token }));
        }
        if let Some(item) = moment.item.or(visit.item) {
            // Not by `json!`, which serializes the item anew, however large it is.
            let mut about = Map::new();
            about.insert("Index".to_owned(), item.index.into());
            about.insert("Value".to_owned(), item.value.value().clone());
            let map = Map::from_iter([("Item".to_owned(), about.into())]);
            context.insert("Map".to_owned(), map.into());
        }
        Value::Object(context)
    }
}
