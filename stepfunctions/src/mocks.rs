//! Mocked task results, in the format of Step Functions Local
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/sfn-local-mock-cfg-file.html>).

mod play;
mod read;

use super::{Definition, IntegrationFailure, TaskRunner, nearest};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, ops::RangeInclusive, sync::Arc};

/// `MockConfigFile.json`, read and checked.
#[derive(Debug, Clone)]
pub struct Mocks {
    /// State machine, test case.
    machines: BTreeMap<String, BTreeMap<String, Arc<TestCase>>>,
}

/// By the state's name.
type TestCase = BTreeMap<String, Mock>;

/// What answers for a state, and the line that says so.
#[derive(Debug, Clone)]
struct Mock {
    responses: Responses,
    line: usize,
}

/// Answers by the number of the call.
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
    /// State machine and test case, of all.
    pub fn test_cases(&self) -> Vec<(String, String)> {
        self.machines
            .iter()
            .flat_map(|(machine, cases)| cases.keys().map(|case| (machine.clone(), case.clone())))
            .collect()
    }

    /// What does the tasks of a test case, to be played with this definition.
    ///
    /// A response's number is that of the call: each execution has one counter for each state, which every call advances,
    /// retries, further iterations of a Map and further rounds of a loop included, as Step Functions Local counts. A state
    /// that is not mocked, or is called more often than mocked, fails with `States.Runtime`.
    ///
    /// # Errors
    /// When there is no such state machine or test case, or the test case mocks a state that is no Task of the definition.
    pub fn runner(
        &self,
        state_machine: &str,
        test_case: &str,
        definition: &Definition,
    ) -> Result<TaskRunner, MockErrors> {
        let case = self.case(state_machine, test_case, definition)?;
        Ok(play::runner(case, None))
    }

    /// The same beside other tasks: a state that is not mocked is done by `others`, as Step Functions Local calls the real
    /// service then.
    ///
    /// # Errors
    /// As [`runner`](Self::runner).
    pub fn runner_beside(
        &self,
        others: TaskRunner,
        state_machine: &str,
        test_case: &str,
        definition: &Definition,
    ) -> Result<TaskRunner, MockErrors> {
        let case = self.case(state_machine, test_case, definition)?;
        Ok(play::runner(case, Some(others)))
    }

    fn case(
        &self,
        state_machine: &str,
        test_case: &str,
        definition: &Definition,
    ) -> Result<Arc<TestCase>, MockErrors> {
        let cases = find(&self.machines, "state machine", state_machine)?;
        let case = find(cases, "test case", test_case)?;
        check(case, definition)?;
        Ok(case.clone())
    }
}

fn find<'a, T>(all: &'a BTreeMap<String, T>, what: &str, name: &str) -> Result<&'a T, MockErrors> {
    all.get(name).ok_or_else(|| {
        let known: Vec<_> = all.keys().map(String::as_str).collect();
        MockErrors(vec![format!(
            "no {what} '{name}'; expected one of {}",
            known.join(", ")
        )])
    })
}

fn check(case: &TestCase, definition: &Definition) -> Result<(), MockErrors> {
    let kinds = definition.kinds();
    let tasks = || {
        let tasks = kinds.iter().filter(|(_, kind)| **kind == "Task");
        tasks.map(|(name, _)| *name)
    };
    let errors: Vec<String> = case
        .iter()
        .filter_map(|(state, mock)| {
            let problem = match kinds.get(state.as_str()) {
                Some(&"Task") => return None,
                Some(kind) => {
                    format!("'{state}' is a {kind}; only a Task calls what can be mocked")
                }
                None => {
                    let hint = nearest::hint(state, tasks());
                    format!("the definition has no state '{state}'{hint}")
                }
            };
            Some(format!("line {}: {problem}", mock.line))
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(MockErrors(errors))
    }
}
