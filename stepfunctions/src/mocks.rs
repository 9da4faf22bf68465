//! Mocked task results, in the format of Step Functions Local
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html>).

use super::{Answer, IntegrationFailure, TaskRequest, TaskRunner};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::Arc};

/// `MockConfigFile.json`, read and checked.
#[derive(Debug, Clone)]
pub struct Mocks {
    /// State machine, test case, state: what it answers.
    machines: BTreeMap<String, BTreeMap<String, Arc<TestCase>>>,
}

type TestCase = BTreeMap<String, Responses>;

/// What a state answers, by the number of the try.
#[derive(Debug, Clone)]
struct Responses {
    name: String,
    answers: Vec<(RangeInclusive<u32>, Result<Value, IntegrationFailure>)>,
}

/// What is wrong with a mock configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MockErrors(pub Vec<String>);

impl fmt::Display for MockErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for MockErrors {}

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
            places: super::definition::Places::of(text),
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

    /// State machine and test case, of all.
    pub fn test_cases(&self) -> Vec<(String, String)> {
        self.machines
            .iter()
            .flat_map(|(machine, cases)| cases.keys().map(|case| (machine.clone(), case.clone())))
            .collect()
    }

    /// What does the tasks of a test case. A response's number is that of the try: `"0"` answers each time the state is
    /// entered, `"1"` its first retry, as Step Functions Local counts. A state that is not mocked, or is tried more often
    /// than mocked, fails with `States.Runtime`.
    ///
    /// # Errors
    /// When there is no such state machine or test case.
    pub fn runner(&self, state_machine: &str, test_case: &str) -> Result<TaskRunner, MockErrors> {
        let unknown = |what: &str, name: &str, known: Vec<&String>| {
            let known: Vec<_> = known.into_iter().map(String::as_str).collect();
            MockErrors(vec![format!(
                "no {what} '{name}'; expected one of {}",
                known.join(", ")
            )])
        };
        let cases = self.machines.get(state_machine).ok_or_else(|| {
            unknown(
                "state machine",
                state_machine,
                self.machines.keys().collect(),
            )
        })?;
        let case = cases
            .get(test_case)
            .ok_or_else(|| unknown("test case", test_case, cases.keys().collect()))?
            .clone();
        Ok(Arc::new(move |request| {
            let answer = answer(&case, &request);
            Box::pin(async move { answer.map(Answer::Result) })
        }))
    }
}

fn answer(case: &TestCase, request: &TaskRequest) -> Result<Value, IntegrationFailure> {
    let unmocked = |cause: String| IntegrationFailure {
        error: "States.Runtime".to_owned(),
        cause,
    };
    let (state, nth) = (&request.state, request.retry_count);
    let responses = case.get(state).ok_or_else(|| {
        unmocked(format!(
            "the state '{state}' is not mocked in this test case"
        ))
    })?;
    let found = responses
        .answers
        .iter()
        .find(|(range, _)| range.contains(&nth));
    let (_, answer) = found.ok_or_else(|| {
        let name = &responses.name;
        unmocked(format!(
            "try {} of the state '{state}' is not mocked: '{name}' has no response \"{nth}\"",
            nth + 1
        ))
    })?;
    answer.clone()
}

struct Reader {
    places: super::definition::Places,
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
            let pointer = super::definition::join(POINTER, name);
            let mut answers = Vec::new();
            for (calls, value) in self.object(Some(value), &pointer).into_iter().flatten() {
                let pointer = super::definition::join(&pointer, calls);
                match range(calls) {
                    Some(range) => answers.extend(self.answer(value, &pointer).map(|a| (range, a))),
                    None => self.error(
                        &pointer,
                        "expected the number of a try, \"0\", or a range, \"1-2\"",
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
            let pointer = format!("{}/TestCases", super::definition::join(POINTER, name));
            let mut cases = BTreeMap::new();
            for (case, states) in self
                .object(value.get("TestCases"), &pointer)
                .into_iter()
                .flatten()
            {
                let pointer = super::definition::join(&pointer, case);
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
            let pointer = super::definition::join(pointer, state);
            match response.as_str().map(|name| (name, responses.get(name))) {
                Some((_, Some(responses))) => {
                    case.insert(state.clone(), responses.clone());
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
