//! One state at a time.

use super::{
    super::{
        analysis::Available,
        fields::{Fields, Notes},
        handling,
        model::{Exit, Handling, Kind, Next, State, Task, Wait, literal},
        template::Template,
    },
    Edge, StateFacts, target,
};
use crate::{Pattern, Resource};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

pub(super) struct StateReader<'a, 'n> {
    pub(super) fields: Fields<'a>,
    pub(super) names: &'n BTreeMap<&'a str, usize>,
    pub(super) in_map: bool,
    pub(super) facts: &'n mut StateFacts,
    pub(super) notes: &'n mut Notes,
}

impl StateReader<'_, '_> {
    pub(super) fn state(mut self, name: &str) -> Option<State> {
        self.check_language();
        let kind = self.fields.text("Type", self.notes)?;
        let available = Available {
            map_item: self.in_map,
            ..Available::default()
        };
        let read = match kind {
            "Task" => self.task(available),
            "Choice" => self.choice(available),
            "Pass" => self.pass(available),
            "Wait" => self.wait(available),
            "Succeed" => self.succeed(available),
            "Fail" => self.fail(available),
            "Map" => self.map(available),
            "Parallel" => self.parallel(available),
            other => {
                let message = format!(
                    "no state type '{other}'; expected Task, Choice, Pass, Wait, Succeed, Fail, Map or Parallel"
                );
                self.notes.error(self.fields.at("Type"), message);
                None
            }
        };
        self.facts.uses.append(&mut self.fields.uses);
        let (kind, exit, next) = read?;
        Some(State {
            name: name.into(),
            kind,
            exit,
            next,
        })
    }

    fn check_language(&mut self) {
        if let Some(language) = self.fields.members.get("QueryLanguage")
            && language != "JSONata"
        {
            self.notes.error(
                self.fields.at("QueryLanguage"),
                format!("QueryLanguage must be JSONata, not {language}"),
            );
        }
    }

    pub(super) fn only(&mut self, whose: &str, own: &[&str]) {
        let mut known = vec!["Type", "Comment", "QueryLanguage"];
        known.extend(own);
        self.fields.only(&known, whose, self.notes);
    }

    /// `Next`, or `End: true`; the edge is that of `exit`.
    pub(super) fn next(&mut self, exit: &Exit) -> Option<Next> {
        let to = match (
            self.fields.members.get("Next"),
            self.fields.members.get("End"),
        ) {
            (None, Some(Value::Bool(true))) => Next::End,
            (Some(_), None | Some(Value::Bool(false))) => {
                Next::State(target(&self.fields, "Next", self.names, self.notes)?)
            }
            _ => {
                self.notes.error(
                    self.fields.pointer,
                    "a state has either Next with a state's name, or \"End\": true",
                );
                return None;
            }
        };
        self.edge(to, exit);
        Some(to)
    }

    pub(super) fn edge(&mut self, to: Next, exit: &Exit) {
        self.facts.edges.push(Edge {
            to: match to {
                Next::State(index) => Some(index),
                Next::End => None,
            },
            assigned: handling::assigned(exit),
            pointer: self.fields.at("Assign"),
            caught: false,
        });
    }

    fn task(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Task",
            &[
                "Resource",
                "Arguments",
                "TimeoutSeconds",
                "HeartbeatSeconds",
                "Retry",
                "Catch",
                "Assign",
                "Output",
                "Next",
                "End",
            ],
        );
        let resource = self.resource();
        let available = Available {
            task_token: resource
                .as_ref()
                .is_some_and(|resource| resource.pattern == Pattern::WaitForTaskToken),
            ..available
        };
        let arguments = self.fields.template("Arguments", available, self.notes);
        let timeout = self
            .fields
            .seconds("TimeoutSeconds", 1, available, self.notes);
        let heartbeat = self
            .fields
            .seconds("HeartbeatSeconds", 1, available, self.notes);
        let whole = |template: &Option<Template>| {
            template.as_ref().and_then(literal).and_then(Value::as_u64)
        };
        if let (Some(timeout), Some(heartbeat)) = (whole(&timeout), whole(&heartbeat))
            && heartbeat >= timeout
        {
            self.notes.error(
                self.fields.at("HeartbeatSeconds"),
                "HeartbeatSeconds must be smaller than TimeoutSeconds",
            );
        }
        let (exit, handling) = self.handled(available);
        let next = self.next(&exit)?;
        let task = Task {
            resource: Arc::new(resource?),
            arguments,
            timeout,
            heartbeat,
            handling,
        };
        Some((Kind::Task(Box::new(task)), exit, Some(next)))
    }

    fn resource(&mut self) -> Option<Resource> {
        let text = self.fields.text("Resource", self.notes)?;
        match Resource::parse(text) {
            Ok(resource) => Some(resource),
            Err(message) => {
                self.notes.error(self.fields.at("Resource"), message);
                None
            }
        }
    }

    /// `Assign`, `Output`, Retry and Catch of a state that has a result.
    pub(super) fn handled(&mut self, available: Available) -> (Exit, Handling) {
        let left = Available {
            result: true,
            ..available
        };
        let exit = self.fields.exit(left, self.notes);
        let handling = handling::read(
            &mut self.fields,
            self.names,
            available,
            &mut self.facts.edges,
            self.notes,
        );
        (exit, handling)
    }

    fn pass(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Pass", &["Assign", "Output", "Next", "End"]);
        let exit = self.fields.exit(available, self.notes);
        let next = self.next(&exit)?;
        Some((Kind::Pass, exit, Some(next)))
    }

    fn wait(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Wait",
            &["Seconds", "Timestamp", "Assign", "Output", "Next", "End"],
        );
        let seconds = self.fields.seconds("Seconds", 0, available, self.notes);
        let timestamp = self.fields.string("Timestamp", available, self.notes);
        let exit = self.fields.exit(available, self.notes);
        let next = self.next(&exit)?;
        let wait = match (seconds, timestamp) {
            (Some(seconds), None) => Wait::Seconds(seconds),
            (None, Some(timestamp)) => Wait::Timestamp(timestamp),
            _ => {
                self.notes.error(
                    self.fields.pointer,
                    "a Wait has either Seconds or Timestamp",
                );
                return None;
            }
        };
        if let Wait::Timestamp(Template::Literal(Value::String(text))) = &wait
            && crate::time::parse_rfc3339(text).is_none()
        {
            let message = format!("'{text}' is no timestamp; expected one as 2026-01-05T03:00:00Z");
            self.notes.error(self.fields.at("Timestamp"), message);
        }
        Some((Kind::Wait(wait), exit, Some(next)))
    }

    fn succeed(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Succeed", &["Output"]);
        let output = self.fields.template("Output", available, self.notes);
        let exit = Exit {
            output,
            ..Exit::default()
        };
        self.edge(Next::End, &exit);
        Some((Kind::Succeed, exit, Some(Next::End)))
    }

    fn fail(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Fail", &["Error", "Cause"]);
        let error = self.fields.string("Error", available, self.notes);
        let cause = self.fields.string("Cause", available, self.notes);
        self.edge(Next::End, &Exit::default());
        Some((
            Kind::Fail { error, cause },
            Exit::default(),
            Some(Next::End),
        ))
    }
}
