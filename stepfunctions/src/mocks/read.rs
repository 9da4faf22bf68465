//! Reading a configuration; everything that is wrong is told at once, each with its line.

use super::{Mock, MockErrors, Mocks, Responses, TestCase};
use crate::{
    IntegrationFailure,
    definition::{Places, join},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::Arc};

impl Mocks {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its line and field.
    pub fn parse(text: &str) -> Result<Self, MockErrors> {
        let config: Value = serde_json::from_str(text).map_err(|error| {
            MockErrors(vec![format!("line {}: no JSON: {error}", error.line())])
        })?;
        let mut reader = Reader {
            places: Places::of(text),
            errors: Vec::new(),
        };
        let responses = reader.responses(&config);
        let machines = reader.machines(&config, &responses);
        if reader.errors.is_empty() {
            Ok(Self { machines })
        } else {
            reader.errors.sort();
            let errors = reader.errors.into_iter();
            Err(MockErrors(
                errors
                    .map(|(line, error)| format!("line {line}: {error}"))
                    .collect(),
            ))
        }
    }
}

struct Reader {
    places: Places,
    errors: Vec<(usize, String)>,
}

impl Reader {
    fn error(&mut self, pointer: &str, message: impl fmt::Display) {
        let line = self.places.line(pointer);
        self.errors.push((line, format!("{pointer}: {message}")));
    }

    fn object<'a>(
        &mut self,
        value: Option<&'a Value>,
        pointer: &str,
    ) -> Option<&'a Map<String, Value>> {
        let object = value.and_then(Value::as_object);
        if object.is_none() {
            self.error(pointer, "expected an object");
        }
        object
    }

    fn responses(&mut self, config: &Value) -> BTreeMap<String, Responses> {
        const POINTER: &str = "/MockedResponses";
        let mut all = BTreeMap::new();
        let mocked = self.object(config.get("MockedResponses"), POINTER);
        for (name, value) in mocked.into_iter().flatten() {
            let pointer = join(POINTER, name);
            let mut answers = Vec::new();
            for (calls, value) in self.object(Some(value), &pointer).into_iter().flatten() {
                let pointer = join(&pointer, calls);
                match range(calls) {
                    Some(range) => answers.extend(self.answer(value, &pointer).map(|a| (range, a))),
                    None => self.error(
                        &pointer,
                        "expected the number of a call, \"0\", or a range, \"1-2\"",
                    ),
                }
            }
            let name = name.clone();
            all.insert(name.clone(), Responses { name, answers });
        }
        all
    }

    fn answer(
        &mut self,
        value: &Value,
        pointer: &str,
    ) -> Option<Result<Value, IntegrationFailure>> {
        match (value.get("Return"), value.get("Throw")) {
            (Some(result), None) => Some(Ok(result.clone())),
            (None, Some(throw)) => {
                let Some(error) = throw.get("Error").and_then(Value::as_str) else {
                    self.error(&format!("{pointer}/Throw"), "the string Error is required");
                    return None;
                };
                let cause = match throw.get("Cause") {
                    None => String::new(),
                    Some(Value::String(cause)) => cause.clone(),
                    Some(other) => other.to_string(),
                };
                let error = error.to_owned();
                Some(Err(IntegrationFailure { error, cause }))
            }
            _ => {
                self.error(pointer, "expected either Return or Throw");
                None
            }
        }
    }

    fn machines(
        &mut self,
        config: &Value,
        responses: &BTreeMap<String, Responses>,
    ) -> BTreeMap<String, BTreeMap<String, Arc<TestCase>>> {
        const POINTER: &str = "/StateMachines";
        let mut machines = BTreeMap::new();
        for (name, value) in self
            .object(config.get("StateMachines"), POINTER)
            .into_iter()
            .flatten()
        {
            let pointer = format!("{}/TestCases", join(POINTER, name));
            let mut cases = BTreeMap::new();
            for (case, states) in self
                .object(value.get("TestCases"), &pointer)
                .into_iter()
                .flatten()
            {
                let pointer = join(&pointer, case);
                let states = self.test_case(states, &pointer, responses);
                cases.insert(case.clone(), Arc::new(states));
            }
            machines.insert(name.clone(), cases);
        }
        machines
    }

    fn test_case(
        &mut self,
        states: &Value,
        pointer: &str,
        responses: &BTreeMap<String, Responses>,
    ) -> TestCase {
        let mut case = TestCase::new();
        for (state, response) in self.object(Some(states), pointer).into_iter().flatten() {
            let pointer = join(pointer, state);
            match response.as_str().map(|name| (name, responses.get(name))) {
                Some((_, Some(responses))) => {
                    let mock = Mock {
                        responses: responses.clone(),
                        line: self.places.line(&pointer),
                    };
                    case.insert(state.clone(), mock);
                }
                Some((name, None)) => {
                    self.error(&pointer, format!("MockedResponses has no '{name}'"))
                }
                None => self.error(&pointer, "expected the name of a mocked response"),
            }
        }
        case
    }
}

/// `"0"`, or `"1-2"`.
fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some(first..=last)
}
