//! The definition, read into states and the transitions between them.

use std::collections::HashSet;

use serde_json::Value;

use super::GraphError;

/// The states of one level: the whole machine, or what runs for each item of a Map.
pub(super) struct Scope {
    /// Where the level begins: one state, or one for each branch of a Parallel.
    pub starts: Vec<String>,
    pub states: Vec<State>,
}

pub(super) struct State {
    pub name: String,
    pub kind: Kind,
    /// The kind in a few words, for example `ECS run task, waits`.
    pub note: String,
    pub comment: String,
    pub transitions: Vec<Transition>,
    pub ends: bool,
    pub inner: Option<Scope>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Lambda,
    Ecs,
    Ec2,
    Ssm,
    OtherTask,
    Choice,
    Wait,
    Pass,
    Succeed,
    Fail,
    Map,
    Parallel,
}

pub(super) struct Transition {
    pub to: String,
    /// What the edge says; empty for a plain `Next`.
    pub label: String,
    pub caught: bool,
}

/// All transitions of one kind between two states, and what each of them says if it says anything.
pub(super) struct Bundle<'a> {
    pub to: &'a str,
    pub caught: bool,
    pub says: Vec<&'a str>,
}

impl State {
    /// The transitions, with those to the same state together, unless one is an error caught and the other is not.
    pub fn bundles(&self) -> Vec<Bundle<'_>> {
        let mut bundles: Vec<Bundle> = vec![];
        for Transition { to, label, caught } in &self.transitions {
            let says = (!label.is_empty()).then_some(label.as_str());
            match bundles
                .iter_mut()
                .find(|other| other.to == to && other.caught == *caught)
            {
                Some(bundle) => bundle.says.extend(says),
                None => bundles.push(Bundle {
                    to,
                    caught: *caught,
                    says: says.into_iter().collect(),
                }),
            }
        }
        bundles
    }
}

impl Scope {
    /// Every state of this level and of the levels inside it, outer before inner.
    pub fn all(&self) -> Vec<&State> {
        self.states
            .iter()
            .flat_map(|state| {
                let inner = state.inner.iter().flat_map(Scope::all);
                std::iter::once(state).chain(inner)
            })
            .collect()
    }
}

/// Reads a definition.
///
/// # Errors
/// When a field that a drawing needs is missing, a target is no state of its level, or a name is used twice
/// (names are unique in the whole machine:
/// <https://docs.aws.amazon.com/step-functions/latest/dg/statemachine-structure.html>).
pub(super) fn read(definition: &Value) -> Result<Scope, GraphError> {
    let scope = read_scope(definition, "the definition")?;
    let mut seen = HashSet::new();
    for state in scope.all() {
        if !seen.insert(&state.name) {
            return Err(GraphError::NameUsedTwice {
                state: state.name.clone(),
            });
        }
    }
    Ok(scope)
}

fn read_scope(level: &Value, place: &str) -> Result<Scope, GraphError> {
    let start = text(level, "StartAt", place)?;
    let states = level["States"]
        .as_object()
        .ok_or_else(|| GraphError::FieldMissing {
            place: place.to_owned(),
            field: "States",
        })?;
    let known = |from: &str, to: &str| {
        if states.contains_key(to) {
            Ok(())
        } else {
            Err(GraphError::TargetMissing {
                from: from.to_owned(),
                to: to.to_owned(),
            })
        }
    };
    known(place, start)?;
    let states = states
        .iter()
        .map(|(name, state)| {
            let state = read_state(name, state)?;
            for transition in &state.transitions {
                known(name, &transition.to)?;
            }
            Ok(state)
        })
        .collect::<Result<_, _>>()?;
    Ok(Scope {
        starts: vec![start.to_owned()],
        states,
    })
}

fn read_state(name: &str, state: &Value) -> Result<State, GraphError> {
    let (kind, note) = kind_of(name, state)?;
    let inner = match kind {
        Kind::Map => Some(read_scope(&state["ItemProcessor"], name)?),
        Kind::Parallel => Some(read_branches(name, state)?),
        _ => None,
    };
    Ok(State {
        name: name.to_owned(),
        kind,
        note,
        comment: state["Comment"].as_str().unwrap_or_default().to_owned(),
        transitions: transitions_of(name, state)?,
        ends: state["End"] == true || matches!(kind, Kind::Succeed | Kind::Fail),
        inner,
    })
}

fn read_branches(name: &str, state: &Value) -> Result<Scope, GraphError> {
    let mut all = Scope {
        starts: vec![],
        states: vec![],
    };
    for branch in elements(state, "Branches") {
        let branch = read_scope(branch, name)?;
        all.starts.extend(branch.starts);
        all.states.extend(branch.states);
    }
    Ok(all)
}

fn transitions_of(name: &str, state: &Value) -> Result<Vec<Transition>, GraphError> {
    let mut transitions = vec![];
    if let Some(next) = state["Next"].as_str() {
        transitions.push(Transition {
            to: next.to_owned(),
            label: String::new(),
            caught: false,
        });
    }
    for rule in elements(state, "Choices") {
        transitions.push(Transition {
            to: text(rule, "Next", name)?.to_owned(),
            label: rule["Comment"].as_str().unwrap_or("condition").to_owned(),
            caught: false,
        });
    }
    if let Some(default) = state["Default"].as_str() {
        transitions.push(Transition {
            to: default.to_owned(),
            label: "default".to_owned(),
            caught: false,
        });
    }
    for catcher in elements(state, "Catch") {
        transitions.push(Transition {
            to: text(catcher, "Next", name)?.to_owned(),
            label: catcher["Comment"]
                .as_str()
                .map_or_else(|| errors_of(catcher), str::to_owned),
            caught: true,
        });
    }
    Ok(transitions)
}

fn errors_of(catcher: &Value) -> String {
    let errors: Vec<_> = elements(catcher, "ErrorEquals")
        .filter_map(Value::as_str)
        .map(|error| error.strip_prefix("States.").unwrap_or(error))
        .collect();
    errors.join(", ")
}

fn kind_of(name: &str, state: &Value) -> Result<(Kind, String), GraphError> {
    let kind = text(state, "Type", name)?;
    Ok(match kind {
        "Task" => task_kind(text(state, "Resource", name)?),
        "Choice" => (Kind::Choice, "Choice".to_owned()),
        "Wait" => (Kind::Wait, wait_note(state)),
        "Pass" => (Kind::Pass, "Pass".to_owned()),
        "Succeed" => (Kind::Succeed, "Succeed".to_owned()),
        "Fail" => (Kind::Fail, "Fail".to_owned()),
        "Map" => (Kind::Map, map_note(state)),
        "Parallel" => (Kind::Parallel, "Parallel: every branch at once".to_owned()),
        other => {
            return Err(GraphError::TypeUnknown {
                state: name.to_owned(),
                kind: other.to_owned(),
            });
        }
    })
}

fn wait_note(state: &Value) -> String {
    match state["Seconds"].as_u64() {
        Some(seconds) => format!("Wait {seconds} s"),
        None => "Wait".to_owned(),
    }
}

fn map_note(state: &Value) -> String {
    match state["MaxConcurrency"].as_u64() {
        Some(most) if most > 0 => format!("Map: once for each item, up to {most} at a time"),
        _ => "Map: once for each item, all at once".to_owned(),
    }
}

/// The kind of a Task by its Resource, whose forms are
/// <https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html>.
fn task_kind(resource: &str) -> (Kind, String) {
    let call = resource
        .split_once(":states:::")
        .map_or(resource, |(_, call)| call);
    let (call, waits) = if let Some(call) = call.strip_suffix(".waitForTaskToken") {
        (call, ", waits for token")
    } else if let Some((call, _)) = call.split_once(".sync") {
        (call, ", waits")
    } else {
        (call, "")
    };
    let (kind, what) = match call
        .strip_prefix("aws-sdk:")
        .unwrap_or(call)
        .split_once(':')
    {
        Some(("lambda", "invoke")) => (Kind::Lambda, "Lambda".to_owned()),
        Some(("ecs", "runTask")) => (Kind::Ecs, "ECS run task".to_owned()),
        Some(("ecs", action)) => (Kind::Ecs, format!("ECS {}", capitalised(action))),
        Some(("ec2", action)) => (Kind::Ec2, format!("EC2 {}", capitalised(action))),
        Some(("ssm", action)) => (Kind::Ssm, format!("SSM {}", capitalised(action))),
        Some((service, action)) => (
            Kind::OtherTask,
            format!("{service} {}", capitalised(action)),
        ),
        None => (Kind::OtherTask, call.to_owned()),
    };
    (kind, what + waits)
}

fn capitalised(action: &str) -> String {
    let mut letters = action.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

fn text<'a>(value: &'a Value, field: &'static str, place: &str) -> Result<&'a str, GraphError> {
    value[field]
        .as_str()
        .ok_or_else(|| GraphError::FieldMissing {
            place: place.to_owned(),
            field,
        })
}

fn elements<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value[field].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::{Kind, task_kind};

    #[test]
    fn a_task_is_named_by_what_it_calls_and_how_it_waits() {
        let cases = [
            ("arn:aws:states:::lambda:invoke", Kind::Lambda, "Lambda"),
            (
                "arn:${AWSPartition}:states:::lambda:invoke.waitForTaskToken",
                Kind::Lambda,
                "Lambda, waits for token",
            ),
            (
                "arn:aws:states:::ecs:runTask.sync",
                Kind::Ecs,
                "ECS run task, waits",
            ),
            (
                "arn:aws:states:::aws-sdk:ssm:sendCommand",
                Kind::Ssm,
                "SSM SendCommand",
            ),
            (
                "arn:aws:states:::aws-sdk:ec2:rebootInstances",
                Kind::Ec2,
                "EC2 RebootInstances",
            ),
            (
                "arn:aws:states:::sns:publish",
                Kind::OtherTask,
                "sns Publish",
            ),
        ];
        for (resource, kind, note) in cases {
            assert_eq!(task_kind(resource), (kind, note.to_owned()), "{resource}");
        }
    }
}
