//! States and flows (<https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html>).

use super::{
    analysis::Available,
    error::join,
    fields::{Fields, Notes},
    handling,
    model::{Condition, Exit, Flow, Kind, Map, Next, Parallel, Rule, State, Task, Wait, literal},
    template::{Template, expression},
};
use crate::stepfunctions::Resource;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// Longest name of a state.
const NAME_CHARACTERS: usize = 80;

/// A flow as the checks of its graph and its variables see it.
pub(super) struct FlowFacts {
    pub(super) pointer: String,
    pub(super) start: Option<usize>,
    pub(super) states: Vec<StateFacts>,
}

pub(super) struct StateFacts {
    pub(super) name: String,
    pub(super) pointer: String,
    /// Variables that it reads, with the place.
    pub(super) uses: Vec<(String, Arc<str>)>,
    pub(super) edges: Vec<Edge>,
    pub(super) inner: Vec<FlowFacts>,
}

/// A way out of a state.
pub(super) struct Edge {
    /// `None`: the flow's end.
    pub(super) to: Option<usize>,
    pub(super) assigned: Vec<Arc<str>>,
    /// Where the variables are assigned.
    pub(super) pointer: String,
}

/// `StartAt` and `States` of the object at the pointer.
pub(super) fn flow(
    members: &serde_json::Map<String, Value>,
    pointer: &str,
    in_map: bool,
    notes: &mut Notes,
) -> (Option<Flow>, FlowFacts) {
    let fields = Fields::new(members, pointer, "");
    let mut facts = FlowFacts {
        pointer: pointer.to_owned(),
        start: None,
        states: Vec::new(),
    };
    let states = match members.get("States") {
        Some(Value::Object(states)) if !states.is_empty() => states,
        Some(_) => {
            notes.error(fields.at("States"), "States must be an object with at least one state");
            return (None, facts);
        }
        None => {
            notes.error(pointer, "the field States is required");
            return (None, facts);
        }
    };
    let names: BTreeMap<&str, usize> = states
        .keys()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    facts.start = target(&fields, "StartAt", &names, notes);
    let mut read = Vec::new();
    for (name, value) in states {
        let pointer = join(&fields.at("States"), name);
        check_name(name, &pointer, notes);
        let mut state = StateFacts {
            name: name.clone(),
            pointer: pointer.clone(),
            uses: Vec::new(),
            edges: Vec::new(),
            inner: Vec::new(),
        };
        match value {
            Value::Object(members) => {
                let reader = StateReader {
                    fields: Fields::new(members, &pointer, ""),
                    names: &names,
                    in_map,
                    facts: &mut state,
                    notes,
                };
                read.extend(reader.state(name));
            }
            _ => notes.error(pointer, "a state must be an object"),
        }
        facts.states.push(state);
    }
    let complete = read.len() == states.len();
    let flow = facts
        .start
        .filter(|_| complete)
        .map(|start| Flow { start, states: read });
    (flow, facts)
}

fn check_name(name: &str, pointer: &str, notes: &mut Notes) {
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS {
        notes.error(pointer, format!("a state's name has from 1 to {NAME_CHARACTERS} characters"));
    }
    if let Some(first) = notes.states.insert(name.to_owned(), pointer.to_owned()) {
        let message = format!("the state name '{name}' stands at {first} already; names are unique in the whole machine");
        notes.error(pointer, message);
    }
}

/// The state that a field names.
pub(super) fn target(
    fields: &Fields<'_>,
    field: &str,
    names: &BTreeMap<&str, usize>,
    notes: &mut Notes,
) -> Option<usize> {
    let name = fields.text(field, notes)?;
    let index = names.get(name).copied();
    if index.is_none() {
        let known: Vec<_> = names.keys().copied().collect();
        let message = format!("{field} names no state: '{name}'; expected one of {}", known.join(", "));
        notes.error(fields.at(field), message);
    }
    index
}

struct StateReader<'a, 'n> {
    fields: Fields<'a>,
    names: &'n BTreeMap<&'a str, usize>,
    in_map: bool,
    facts: &'n mut StateFacts,
    notes: &'n mut Notes,
}

impl StateReader<'_, '_> {
    fn state(mut self, name: &str) -> Option<State> {
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

    fn only(&mut self, whose: &str, own: &[&str]) {
        let mut known = vec!["Type", "Comment", "QueryLanguage"];
        known.extend(own);
        self.fields.only(&known, whose, self.notes);
    }

    /// `Next`, or `End: true`; the edge is that of `exit`.
    fn next(&mut self, exit: &Exit) -> Option<Next> {
        let to = match (self.fields.members.get("Next"), self.fields.members.get("End")) {
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

    fn edge(&mut self, to: Next, exit: &Exit) {
        self.facts.edges.push(Edge {
            to: match to {
                Next::State(index) => Some(index),
                Next::End => None,
            },
            assigned: handling::assigned(exit),
            pointer: self.fields.at("Assign"),
        });
    }

    fn task(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Task",
            &["Resource", "Arguments", "TimeoutSeconds", "HeartbeatSeconds", "Retry", "Catch", "Assign", "Output", "Next", "End"],
        );
        let resource = self.resource();
        let available = Available {
            task_token: resource == Some(Resource::LambdaInvokeWaitForTaskToken),
            ..available
        };
        let arguments = self.fields.template("Arguments", available, self.notes);
        let timeout = self.fields.seconds("TimeoutSeconds", 1, available, self.notes);
        let heartbeat = self.fields.seconds("HeartbeatSeconds", 1, available, self.notes);
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
        let resource = Resource::parse(text);
        if resource.is_none() {
            let message = format!(
                "the resource '{text}' is not simulated; expected arn:aws:states::: and one of lambda:invoke, \
                 lambda:invoke.waitForTaskToken, ecs:runTask.sync, aws-sdk:SERVICE:ACTION"
            );
            self.notes.error(self.fields.at("Resource"), message);
        }
        resource
    }

    /// `Assign`, `Output`, Retry and Catch of a state that has a result.
    fn handled(&mut self, available: Available) -> (Exit, super::model::Handling) {
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

    fn choice(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Choice", &["Choices", "Default", "Assign", "Output"]);
        let exit = self.fields.exit(available, self.notes);
        let default = match self.fields.members.get("Default") {
            Some(_) => Some(Next::State(target(&self.fields, "Default", self.names, self.notes)?)),
            None => None,
        };
        if let Some(default) = default {
            self.edge(default, &exit);
        }
        let pointer = self.fields.at("Choices");
        let Some(list) = self
            .fields
            .members
            .get("Choices")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
        else {
            self.notes.error(self.fields.pointer, "Choices must be a non-empty array of rules");
            return None;
        };
        let rules: Vec<Rule> = list
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| self.rule(rule, &format!("{pointer}/{index}"), index, available))
            .collect();
        (rules.len() == list.len()).then_some((Kind::Choice(rules), exit, default))
    }

    fn rule(&mut self, rule: &Value, pointer: &str, index: usize, available: Available) -> Option<Rule> {
        let Some(members) = rule.as_object() else {
            self.notes.error(pointer, "a rule of Choices must be an object");
            return None;
        };
        let location = format!("Choices[{index}]/");
        let mut fields = Fields::new(members, pointer, &location);
        fields.only(&["Condition", "Next", "Assign", "Output", "Comment"], "a rule of Choices", self.notes);
        let condition = self.condition(&mut fields, available);
        let exit = fields.exit(available, self.notes);
        let next = target(&fields, "Next", self.names, self.notes);
        self.fields.uses.append(&mut fields.uses);
        let next = next?;
        self.facts.edges.push(Edge::new(next, &exit, fields.at("Assign")));
        Some(Rule {
            condition: condition?,
            next,
            exit,
        })
    }

    fn condition(&mut self, fields: &mut Fields<'_>, available: Available) -> Option<Condition> {
        let pointer = fields.at("Condition");
        let text = match fields.members.get("Condition") {
            Some(Value::Bool(always)) => return Some(Condition::Always(*always)),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.notes.error(pointer, "Condition must be JSONata or a boolean");
                return None;
            }
            None => {
                self.notes.error(fields.pointer, "the field Condition is required");
                return None;
            }
        };
        let location = format!("{}Condition", fields.location);
        match expression(text, &location, available) {
            Ok(Some(expression)) => {
                let read = expression.reads.variables.iter();
                fields.uses.extend(read.map(|name| (pointer.clone(), name.clone())));
                Some(Condition::Expression(expression))
            }
            Ok(None) => {
                self.notes.error(pointer, "Condition must be JSONata: \"{% … %}\"");
                None
            }
            Err(messages) => {
                for message in messages {
                    self.notes.error(pointer.clone(), message);
                }
                None
            }
        }
    }

    fn pass(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Pass", &["Assign", "Output", "Next", "End"]);
        let exit = self.fields.exit(available, self.notes);
        let next = self.next(&exit)?;
        Some((Kind::Pass, exit, Some(next)))
    }

    fn wait(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Wait", &["Seconds", "Timestamp", "Assign", "Output", "Next", "End"]);
        let seconds = self.fields.seconds("Seconds", 0, available, self.notes);
        let timestamp = self.fields.string("Timestamp", available, self.notes);
        let exit = self.fields.exit(available, self.notes);
        let next = self.next(&exit)?;
        let wait = match (seconds, timestamp) {
            (Some(seconds), None) => Wait::Seconds(seconds),
            (None, Some(timestamp)) => Wait::Timestamp(timestamp),
            _ => {
                self.notes.error(self.fields.pointer, "a Wait has either Seconds or Timestamp");
                return None;
            }
        };
        if let Wait::Timestamp(Template::Literal(Value::String(text))) = &wait
            && super::timestamp(text).is_none()
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
        Some((Kind::Fail { error, cause }, Exit::default(), Some(Next::End)))
    }

    fn map(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Map",
            &["Items", "ItemSelector", "MaxConcurrency", "ItemProcessor", "Retry", "Catch", "Assign", "Output", "Next", "End"],
        );
        let items = self.fields.template("Items", available, self.notes);
        if let Some(Template::Literal(value)) = &items
            && !value.is_array()
        {
            self.notes.error(self.fields.at("Items"), "Items must be an array or JSONata; objects are for distributed Maps");
        }
        let selecting = Available {
            map_item: true,
            ..available
        };
        let item_selector = self.fields.template("ItemSelector", selecting, self.notes);
        let max_concurrency = self.fields.seconds("MaxConcurrency", 0, available, self.notes);
        let processor = self.processor();
        let (exit, handling) = self.handled(available);
        let next = self.next(&exit)?;
        let map = Map {
            items,
            item_selector,
            max_concurrency,
            processor: processor?,
            handling,
        };
        Some((Kind::Map(Box::new(map)), exit, Some(next)))
    }

    fn processor(&mut self) -> Option<Flow> {
        const FIELD: &str = "ItemProcessor";
        let pointer = self.fields.at(FIELD);
        let Some(members) = self.fields.members.get(FIELD).and_then(Value::as_object) else {
            self.notes.error(self.fields.pointer, "the field ItemProcessor is required, an object");
            return None;
        };
        let fields = Fields::new(members, &pointer, "");
        fields.only(&["ProcessorConfig", "StartAt", "States", "Comment"], FIELD, self.notes);
        if let Some(config) = members.get("ProcessorConfig") {
            let pointer = fields.at("ProcessorConfig");
            let inline = config.as_object().is_some_and(|config| {
                config.keys().all(|field| field == "Mode")
                    && config.get("Mode").is_none_or(|mode| mode == "INLINE")
            });
            if !inline {
                self.notes.error(pointer, "only {\"Mode\": \"INLINE\"} is simulated");
            }
        }
        let (flow, facts) = flow(members, &pointer, true, self.notes);
        self.facts.inner.push(facts);
        flow
    }

    fn parallel(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Parallel",
            &["Arguments", "Branches", "Retry", "Catch", "Assign", "Output", "Next", "End"],
        );
        let arguments = self.fields.template("Arguments", available, self.notes);
        let pointer = self.fields.at("Branches");
        let list = self
            .fields
            .members
            .get("Branches")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty());
        let mut branches = Vec::new();
        match list {
            None => self.notes.error(self.fields.pointer, "Branches must be a non-empty array"),
            Some(list) => {
                for (index, branch) in list.iter().enumerate() {
                    branches.push(self.branch(branch, &format!("{pointer}/{index}")));
                }
            }
        }
        let (exit, handling) = self.handled(available);
        let next = self.next(&exit)?;
        let branches: Option<Vec<Flow>> = branches.into_iter().collect();
        let parallel = Parallel {
            arguments,
            branches: branches?,
            handling,
        };
        list.map(|_| (Kind::Parallel(Box::new(parallel)), exit, Some(next)))
    }

    fn branch(&mut self, branch: &Value, pointer: &str) -> Option<Flow> {
        let Some(members) = branch.as_object() else {
            self.notes.error(pointer, "a branch must be an object");
            return None;
        };
        Fields::new(members, pointer, "").only(&["StartAt", "States", "Comment"], "a branch", self.notes);
        let (flow, facts) = flow(members, pointer, self.in_map, self.notes);
        self.facts.inner.push(facts);
        flow
    }
}
