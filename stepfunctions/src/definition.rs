//! A state machine's definition in the Amazon States Language, JSONata: read, checked, compiled.
//!
//! What AWS would refuse, and what this engine does not know, is refused by name
//! (<https://states-language.net/>, <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-amazon-states-language.html>).

mod analysis;
mod check;
mod error;
mod fields;
mod handling;
mod locate;
pub(super) mod model;
mod read;
mod substitute;
mod syntax;
pub(super) mod template;

pub(super) use analysis::{HostFunction, Reads, is_function};
pub(super) use error::join;
pub use error::{DefinitionError, DefinitionErrors};
pub(super) use locate::Places;
pub(super) use syntax::tokens;

use fields::{Fields, MAX_SECONDS, Notes};
use model::Machine;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// A definition that can be played. Clones share it.
#[derive(Debug, Clone)]
pub struct Definition {
    text: Arc<str>,
    warnings: Arc<[DefinitionError]>,
    pub(super) machine: Arc<Machine>,
}

impl Definition {
    /// Reads a definition after replacing `${Name}` as CloudFormation does.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(
        text: &str,
        substitutions: &BTreeMap<String, String>,
    ) -> Result<Self, DefinitionErrors> {
        let (text, unknown) = substitute::substitute(text, substitutions);
        if !unknown.is_empty() {
            return Err(DefinitionErrors(unknown));
        }
        let value: Value = serde_json::from_str(&text).map_err(|error| {
            DefinitionErrors(vec![DefinitionError {
                pointer: String::new(),
                line: error.line(),
                message: format!("no JSON: {error}"),
            }])
        })?;
        let places = locate::Places::of(&text);
        let mut notes = Notes::default();
        let machine = machine(&value, &mut notes);
        let placed = |notes: Vec<(String, String)>| -> Vec<DefinitionError> {
            let notes = notes.into_iter().map(|(pointer, message)| DefinitionError {
                line: places.line(&pointer),
                pointer,
                message,
            });
            notes.collect()
        };
        let (mut errors, mut warnings) = (placed(notes.errors), placed(notes.warnings));
        errors.extend(
            places
                .duplicates
                .iter()
                .map(|(pointer, line)| DefinitionError {
                    pointer: pointer.clone(),
                    line: *line,
                    message: "this member stands twice in its object".to_owned(),
                }),
        );
        errors.sort_by_key(|error| error.line);
        warnings.sort_by_key(|warning| warning.line);
        match machine {
            Some(machine) if errors.is_empty() => Ok(Self {
                text: text.into(),
                warnings: warnings.into(),
                machine: Arc::new(machine),
            }),
            _ => Err(DefinitionErrors(errors)),
        }
    }

    /// The names in a text's `${Name}`, each once: what [`parse`](Self::parse) needs substitutions for.
    pub fn placeholders(text: &str) -> BTreeSet<&str> {
        substitute::placeholders(text)
            .map(|(_, name)| name)
            .collect()
    }

    /// What AWS accepts in it, but may not be meant: a variable that no path assigns, a function that does not exist.
    pub fn warnings(&self) -> &[DefinitionError] {
        &self.warnings
    }

    /// Every state's name, with its type: `Task`.
    pub(crate) fn kinds(&self) -> BTreeMap<&str, &'static str> {
        let mut kinds = BTreeMap::new();
        self.machine.flow.each(&mut |state| {
            kinds.insert(&*state.name, state.kind.name());
        });
        kinds
    }

    /// The text after substitution.
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn machine(value: &Value, notes: &mut Notes) -> Option<Machine> {
    let Some(members) = value.as_object() else {
        notes.error("", "a definition must be a JSON object");
        return None;
    };
    let fields = Fields::new(members, "", "");
    fields.only(
        &[
            "Comment",
            "QueryLanguage",
            "StartAt",
            "States",
            "TimeoutSeconds",
            "Version",
        ],
        "a state machine",
        notes,
    );
    match members.get("QueryLanguage") {
        Some(Value::String(language)) if language == "JSONata" => {}
        Some(other) => notes.error(
            "/QueryLanguage",
            format!("QueryLanguage must be JSONata, not {other}"),
        ),
        None => notes.error(
            "",
            "QueryLanguage is required: without it AWS takes JSONPath; expected \"JSONata\"",
        ),
    }
    if let Some(version) = members.get("Version")
        && version != "1.0"
    {
        notes.error("/Version", "Version must be \"1.0\"");
    }
    let timeout = members.get("TimeoutSeconds").map(|value| {
        value
            .as_u64()
            .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
            .map(Duration::from_secs)
    });
    if timeout == Some(None) {
        notes.error(
            "/TimeoutSeconds",
            format!("TimeoutSeconds must be a whole number from 1 to {MAX_SECONDS}"),
        );
    }
    let (flow, facts) = read::flow(members, "", false, notes);
    check::check(&facts, &BTreeSet::new(), &BTreeSet::new(), notes);
    Some(Machine {
        timeout: timeout.flatten(),
        flow: flow?,
    })
}
