//! Plays a definition with mocked task results.

use super::words;
use super::{
    Arguments, inputs,
    live::{Audience, Live},
};
use crate::{
    Failure,
    output::{self, BAD, GOOD, HEADING, Output, paint, span},
};
use serde::Serialize;
use serde_json::{Value, json};
use simulator::{
    clock::Clock,
    scenario::Observer,
    stepfunctions::{
        ApiError, Definition, ExecutionStatus, ExecutionView, Host, Mocks, StepFunctions,
    },
};
use std::{collections::BTreeMap, path::Path};

/// A state machine's test case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    machine: String,
    name: String,
}

/// How a test case ended.
#[derive(Debug, Serialize)]
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

/// Plays the test cases; true when every execution SUCCEEDED.
pub fn run(arguments: &Arguments, file: &Path) -> Result<bool, Failure> {
    let (Some(definition_file), Some(input)) = (&arguments.definition, &arguments.input) else {
        return Err(Failure::BadInput(
            "--mocks needs --definition and --input".to_owned(),
        ));
    };
    let text = inputs::read(definition_file)?;
    let definition = inputs::definition(definition_file, &text, &BTreeMap::new())?;
    let input = inputs::json(input)?;
    let mocks = inputs::mocks(file)?;
    let cases = choose(&mocks, arguments.test_case.as_deref())
        .map_err(|why| Failure::BadInput(format!("{}: {why}", file.display())))?;
    if arguments.history.is_some() && cases.len() > 1 {
        return Err(Failure::BadInput(
            "--history takes one execution; choose it with --test-case".to_owned(),
        ));
    }
    inputs::writable(arguments.history.as_deref())?;
    let output = Output::new();
    let mut all = Vec::new();
    for case in &cases {
        let live = (!arguments.for_programs()).then(|| {
            if !all.is_empty() {
                output.line("");
            }
            output.text(&paint(HEADING, "Test case "), &paint(HEADING, &case.name));
            Live::new(output.clone(), definition.text(), Audience::Mocks)
        });
        let observer = live.as_ref().map(Live::observer);
        let played = play(&definition, &input, &mocks, case, arguments.seed, observer)?;
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
        output::raw(&inputs::pretty(
            &json!({ "passed": passed, "testCases": all }),
        )?);
    } else if !arguments.history_to_stdout() {
        overview(&output, &all);
    }
    Ok(passed)
}

/// The test cases to play: the one that is named `CASE` or `MACHINE#CASE`, or all of the only state machine.
fn choose(mocks: &Mocks, named: Option<&str>) -> Result<Vec<Case>, String> {
    let cases: Vec<Case> = mocks
        .test_cases()
        .into_iter()
        .map(|(machine, name)| Case { machine, name })
        .collect();
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
        |case: &&Case| case.name == named || format!("{}#{}", case.machine, case.name) == named;
    let fitting: Vec<Case> = cases.iter().filter(fits).cloned().collect();
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

fn names(cases: &[Case], with_machine: bool) -> String {
    let name = |case: &Case| match with_machine {
        true => format!("{}#{}", case.machine, case.name),
        false => case.name.clone(),
    };
    cases.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn play(
    definition: &Definition,
    input: &Value,
    mocks: &Mocks,
    case: &Case,
    seed: u64,
    observer: Option<Observer>,
) -> Result<Played, Failure> {
    let runner = mocks
        .runner(&case.machine, &case.name, definition)
        .map_err(|error| Failure::BadInput(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Failure::Broken(format!("no runtime: {error}")))?;
    runtime.block_on(async {
        let clock = Clock::default();
        let host = Host::new(runner).seed(seed).clock(move || clock.now());
        let service = StepFunctions::new(host);
        let machine = service.create_state_machine(&case.machine, definition.clone());
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
        Ok(Played::new(case, view, service.history(&arn)))
    })
}

impl Played {
    fn new(case: &Case, view: ExecutionView, history: Vec<Value>) -> Self {
        let took = view
            .stopped
            .and_then(|end| end.duration_since(view.started).ok());
        Self {
            state_machine: case.machine.clone(),
            test_case: case.name.clone(),
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

fn overview(output: &Output, all: &[Played]) {
    output.heading("Test cases");
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
