//! Plays a definition with an input of its own, beside no account: mocks answer for its tasks.

use super::words;
use super::{
    Arguments, inputs,
    live::{Audience, Live},
};
use crate::{
    Failure,
    files::name,
    output::{self, BAD, GOOD, HEADING, Output, paint, span},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use simulator::{
    clock::Clock,
    integrations::TestCase,
    scenario::Observer,
    stepfunctions::{
        ApiError, Definition, ExecutionStatus, ExecutionView, Host, IntegrationFailure,
        StepFunctions, TaskRunner,
    },
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What `drill --input --json` writes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cases {
    passed: bool,
    test_cases: Vec<Played>,
}

/// How a test case ended.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Played {
    state_machine: String,
    test_case: String,
    status: &'static str,
    /// Seconds of virtual time.
    took: f64,
    #[serde(skip_serializing_if = "Value::is_null")]
    output: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip)]
    history: Vec<Value>,
}

/// Plays the definition with an input: once for each test case of the mocks; without mocks once, and a task that is
/// reached fails. True when every execution SUCCEEDED.
pub fn run(arguments: &Arguments, input: &Path) -> Result<bool, Failure> {
    let Some(file) = &arguments.definition else {
        return Err(Failure::BadInput("--input needs --definition".to_owned()));
    };
    let text = inputs::read(file)?;
    let mocked = arguments.mocks.is_some();
    let definition = inputs::definition(file, &text, &BTreeMap::new(), mocked)?;
    let value = inputs::json(input)?;
    let runs = runs(arguments, input, &definition)?;
    if arguments.history.is_some() && runs.len() > 1 {
        return Err(Failure::BadInput(
            "--history takes one execution; choose it with --test-case".to_owned(),
        ));
    }
    inputs::writable(arguments.history.as_deref())?;
    let output = Output::new();
    let mut all = Vec::new();
    for run in runs {
        let live = (!arguments.for_programs()).then(|| {
            if !all.is_empty() {
                output.line("");
            }
            if mocked {
                output.text(&paint(HEADING, "Test case "), &paint(HEADING, &run.name));
            }
            Live::new(output.clone(), definition.text(), Audience::Mocks)
        });
        let observer = live.as_ref().map(Live::observer);
        let played = play(&definition, &value, run, arguments.seed, observer)?;
        if let Some(live) = live {
            live.finish();
            result(&output, &played);
        }
        all.push(played);
    }
    output.still();
    let passed = all
        .iter()
        .all(|played| played.status == ExecutionStatus::Succeeded.as_str());
    if let (Some(file), [played]) = (&arguments.history, all.as_slice()) {
        inputs::write(file, &json!({ "events": played.history }))?;
    }
    if arguments.json {
        output::raw(&inputs::pretty(&Cases {
            passed,
            test_cases: all,
        })?);
    } else if !arguments.history_to_stdout() {
        overview(&output, &all, mocked);
    }
    Ok(passed)
}

/// One execution to play.
struct Run {
    machine: String,
    name: String,
    tasks: TaskRunner,
}

/// An execution for each test case, or one in which nothing answers a task.
fn runs(arguments: &Arguments, input: &Path, definition: &Definition) -> Result<Vec<Run>, Failure> {
    let Some(file) = &arguments.mocks else {
        return Ok(vec![Run {
            machine: "definition".to_owned(),
            name: name(input),
            tasks: unanswered(),
        }]);
    };
    let cases = test_cases(file, arguments.test_case.as_deref())?.into_iter();
    cases
        .map(|case| {
            Ok(Run {
                tasks: answered(&case, file, definition)?,
                machine: case.machine,
                name: case.name,
            })
        })
        .collect()
}

/// What a test case of this file answers to the definition's tasks.
pub fn answered(
    case: &TestCase,
    file: &Path,
    definition: &Definition,
) -> Result<TaskRunner, Failure> {
    case.runner(unanswered(), definition)
        .map_err(|error| inputs::several(file, "does not fit the definition", &error))
}

/// Nobody does a task.
fn unanswered() -> TaskRunner {
    Arc::new(|request| {
        let cause = format!(
            "nothing answers the state '{}': give it a mock",
            request.state
        );
        let error = "States.Runtime".to_owned();
        Box::pin(async move { Err(IntegrationFailure { error, cause }) })
    })
}

/// The test cases to play: the one that is named `CASE` or `MACHINE#CASE`, or all of the only state machine.
pub fn test_cases(file: &Path, named: Option<&str>) -> Result<Vec<TestCase>, Failure> {
    let mocks = inputs::mocks(file)?;
    let cases = mocks
        .test_cases()
        .into_iter()
        .map(|(machine, name)| TestCase {
            mocks: mocks.clone(),
            machine,
            name,
        })
        .collect();
    choose(cases, named).map_err(|why| Failure::BadInput(format!("{}: {why}", name(file))))
}

fn choose(cases: Vec<TestCase>, named: Option<&str>) -> Result<Vec<TestCase>, String> {
    if cases.is_empty() {
        return Err(
            "it has no test case; expected one under /StateMachines/NAME/TestCases".to_owned(),
        );
    }
    let several = cases.iter().any(|case| case.machine != cases[0].machine);
    let Some(named) = named else {
        return if several {
            let known = names(&cases, true);
            Err(format!(
                "it mocks several state machines; choose with --test-case one of {known}"
            ))
        } else {
            Ok(cases)
        };
    };
    let fits =
        |case: &&TestCase| case.name == named || format!("{}#{}", case.machine, case.name) == named;
    let fitting: Vec<TestCase> = cases.iter().filter(fits).cloned().collect();
    match fitting.len() {
        0 => Err(format!(
            "no test case '{named}'; expected one of {}",
            names(&cases, several)
        )),
        1 => Ok(fitting),
        _ => Err(format!(
            "several state machines have it; choose one of {}",
            names(&fitting, true)
        )),
    }
}

pub fn names(cases: &[TestCase], with_machine: bool) -> String {
    let name = |case: &TestCase| match with_machine {
        true => format!("{}#{}", case.machine, case.name),
        false => case.name.clone(),
    };
    cases.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn play(
    definition: &Definition,
    input: &Value,
    run: Run,
    seed: u64,
    observer: Option<Observer>,
) -> Result<Played, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Failure::Broken(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let clock = Clock::default();
        let host = Host::new(run.tasks).seed(seed).clock(move || clock.now());
        let service = StepFunctions::new(host);
        let machine = service.create_state_machine(&run.machine, definition.clone());
        if let Some(observer) = observer {
            service.on_event(move |execution, event| observer(clock.elapsed(), execution, event));
        }
        let refused = |error: ApiError| {
            Failure::BadInput(format!("the execution was not started: {}", error.message))
        };
        let arn = service
            .start(&machine, None, input.clone())
            .map_err(refused)?;
        let ended = service.finished(&arn).await;
        let view = ended.ok_or_else(|| Failure::Broken("the execution is gone".to_owned()))?;
        let history = service.history(&arn);
        Ok(Played::new(run.machine, run.name, view, history))
    })
}

impl Played {
    fn new(machine: String, case: String, view: ExecutionView, history: Vec<Value>) -> Self {
        let took = view
            .stopped
            .and_then(|end| end.duration_since(view.started).ok());
        Self {
            state_machine: machine,
            test_case: case,
            status: view.status.as_str(),
            took: took.unwrap_or_default().as_secs_f64(),
            output: view.output.map_or(Value::Null, |output| (*output).clone()),
            error: view.error,
            cause: view.cause,
            history,
        }
    }

    /// The status with its sign.
    fn verdict(&self) -> String {
        if self.status == ExecutionStatus::Succeeded.as_str() {
            paint(GOOD, format!("✓ {}", self.status))
        } else {
            paint(BAD, format!("✗ {}", self.status))
        }
    }

    fn why(&self) -> String {
        let error = self.error.as_deref().unwrap_or_default();
        words::named(error, self.cause.as_deref().unwrap_or_default())
    }
}

fn result(output: &Output, played: &Played) {
    output.line("");
    if played.error.is_some() {
        output.text("error: ", &played.why());
    } else if let Ok(text) = inputs::pretty(&played.output) {
        output.line("output:");
        output.lines(text.lines().map(|line| format!("  {line}")));
    }
}

fn overview(output: &Output, all: &[Played], mocked: bool) {
    output.heading(if mocked { "Test cases" } else { "Execution" });
    let widest = all
        .iter()
        .map(|played| played.status.len())
        .max()
        .unwrap_or_default();
    for played in all {
        let gap = " ".repeat(widest - played.status.len() + 2);
        let (name, took) = (&played.test_case, span(played.took));
        let why = if played.error.is_some() {
            format!(": {}", played.why())
        } else {
            String::new()
        };
        output.text(
            &format!("{}{gap}", played.verdict()),
            &format!("{name}, {took}{why}"),
        );
    }
}
