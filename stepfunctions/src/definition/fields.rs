//! Reading one field at a time; what is wrong is written down, and reading goes on.

use super::{
    analysis::{Available, is_function},
    error::join,
    model::{Exit, literal},
    template::{Assignments, Findings, Template, compile},
};
use crate::nearest;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// Longest and shortest of everything that counts seconds
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/state-task.html>: 99999999).
pub(super) const MAX_SECONDS: u64 = 99_999_999;

/// What is found while reading.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) errors: Vec<(String, String)>,
    /// What AWS accepts, but may not be meant.
    pub(super) warnings: Vec<(String, String)>,
    /// Every state's name and pointer: "state names must be unique within the scope of the whole state machine".
    pub(super) states: BTreeMap<String, String>,
}

impl Notes {
    pub(super) fn error(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.errors.push((pointer.into(), message.into()));
    }

    pub(super) fn warn(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.warnings.push((pointer.into(), message.into()));
    }
}

/// An object in the definition, its place, and what it may read.
pub(super) struct Fields<'a> {
    pub(super) members: &'a Map<String, Value>,
    pub(super) pointer: &'a str,
    /// Where it stands in its state, for locations: empty, or `Choices[0]/`.
    pub(super) location: &'a str,
    pub(super) uses: Vec<(String, Arc<str>)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        members: &'a Map<String, Value>,
        pointer: &'a str,
        location: &'a str,
    ) -> Self {
        Self {
            members,
            pointer,
            location,
            uses: Vec::new(),
        }
    }

    pub(super) fn at(&self, field: &str) -> String {
        join(self.pointer, field)
    }

    /// A string that must be there.
    pub(super) fn text(&self, field: &str, notes: &mut Notes) -> Option<&'a str> {
        match self.members.get(field) {
            Some(Value::String(text)) => Some(text),
            Some(_) => {
                notes.error(self.at(field), format!("{field} must be a string"));
                None
            }
            None => {
                notes.error(self.pointer, format!("the field {field} is required"));
                None
            }
        }
    }

    /// A field with JSONata.
    pub(super) fn template(
        &mut self,
        field: &str,
        available: Available,
        notes: &mut Notes,
    ) -> Option<Template> {
        let value = self.members.get(field)?;
        let mut findings = Findings::default();
        let location = format!("{}{field}", self.location);
        let pointer = self.at(field);
        let template = compile(value, &location, &pointer, available, &mut findings);
        notes.errors.append(&mut findings.problems);
        notes.warnings.append(&mut findings.warnings);
        self.uses.append(&mut findings.uses);
        Some(template)
    }

    /// A whole number of seconds in the range, or an expression for one.
    pub(super) fn seconds(
        &mut self,
        field: &str,
        least: u64,
        available: Available,
        notes: &mut Notes,
    ) -> Option<Template> {
        let template = self.template(field, available, notes)?;
        if let Some(value) = literal(&template)
            && !value
                .as_u64()
                .is_some_and(|seconds| (least..=MAX_SECONDS).contains(&seconds))
        {
            let expected =
                format!("{field} must be a whole number from {least} to {MAX_SECONDS}, or JSONata");
            notes.error(self.at(field), expected);
        }
        Some(template)
    }

    /// A string, or an expression for one.
    pub(super) fn string(
        &mut self,
        field: &str,
        available: Available,
        notes: &mut Notes,
    ) -> Option<Template> {
        let template = self.template(field, available, notes)?;
        if !matches!(
            template,
            Template::Expression(_) | Template::Literal(Value::String(_))
        ) {
            notes.error(
                self.at(field),
                format!("{field} must be a string or JSONata"),
            );
        }
        Some(template)
    }

    /// `Assign` and `Output`.
    pub(super) fn exit(&mut self, available: Available, notes: &mut Notes) -> Exit {
        Exit {
            assign: self.assign(available, notes),
            output: self.template("Output", available, notes),
        }
    }

    fn assign(&mut self, available: Available, notes: &mut Notes) -> Assignments {
        let pointer = self.at("Assign");
        match self.members.get("Assign") {
            None => return Vec::new(),
            Some(Value::Object(variables)) => {
                for name in variables.keys() {
                    if let Some(wrong) = wrong_variable(name) {
                        notes.error(join(&pointer, name), wrong);
                    } else if is_function(name) {
                        let warning = format!(
                            "${name} is a function of JSONata, too, which this variable hides"
                        );
                        notes.warn(join(&pointer, name), warning);
                    }
                }
            }
            Some(_) => {
                notes.error(pointer, "Assign must be an object of variables");
                return Vec::new();
            }
        }
        match self.template("Assign", available, notes) {
            Some(Template::Object(variables)) => variables
                .into_iter()
                .map(|(name, value)| (name.into(), value))
                .collect(),
            Some(Template::Literal(Value::Object(variables))) => variables
                .into_iter()
                .map(|(name, value)| (name.into(), Template::Literal(value)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Refuses every field but these; `hints` say more of some.
    pub(super) fn only(&self, known: &[&str], whose: &str, notes: &mut Notes) {
        for field in self.members.keys() {
            if !known.contains(&field.as_str()) {
                let message = hint(field).map_or_else(
                    || {
                        format!(
                            "{whose} has no field {field}{}; expected one of {}",
                            nearest::hint(field, known.iter().copied()),
                            known.join(", ")
                        )
                    },
                    |hint| format!("field {field}: {hint}"),
                );
                notes.error(self.at(field), message);
            }
        }
    }
}

/// "The first character of a variable name must be a Unicode ID_Start character … The maximum length of a variable name
/// is 80" (<https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html>).
fn wrong_variable(name: &str) -> Option<String> {
    let mut letters = name.chars();
    let starts = letters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_');
    if name == "states" {
        Some("$states is reserved; choose another name".to_owned())
    } else if !starts || !letters.all(|c| c.is_alphanumeric() || c == '_') {
        Some(format!(
            "'{name}' is no variable's name; expected letters, digits and _, a letter first"
        ))
    } else if name.chars().count() > 80 {
        Some(format!("'{name}' is longer than 80 characters"))
    } else {
        None
    }
}

fn hint(field: &str) -> Option<&'static str> {
    Some(match field {
        "InputPath" | "Parameters" => "JSONPath only; with JSONata write Arguments",
        "OutputPath" | "ResultPath" | "ResultSelector" | "Result" => {
            "JSONPath only; with JSONata write Output"
        }
        "ItemsPath" => "JSONPath only; with JSONata write Items",
        "TimeoutSecondsPath"
        | "HeartbeatSecondsPath"
        | "SecondsPath"
        | "TimestampPath"
        | "ErrorPath"
        | "CausePath"
        | "MaxConcurrencyPath" => "JSONPath only; with JSONata write the field without Path",
        "Variable" | "And" | "Or" | "Not" => "JSONPath only; with JSONata write Condition",
        "Iterator" => "replaced by ItemProcessor",
        "Credentials" | "ItemReader" | "ItemBatcher" | "ResultWriter" | "Label" => "not simulated",
        _ => return None,
    })
}
