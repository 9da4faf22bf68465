//! A small cloud around the engine.

use crate::{
    clock::Clock,
    eventbridge::Bus,
    stepfunctions::{
        Answer, Definition, DefinitionErrors, ExecutionView, StepFunctions, TaskRequest, TaskRunner,
    },
    wire::IntegrationFailure,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::sleep;

pub(super) fn parse(definition: &Value) -> Result<Definition, DefinitionErrors> {
    let text = serde_json::to_string_pretty(definition).unwrap();
    Definition::parse(&text, &BTreeMap::new())
}

/// A machine of these states that starts at the first.
pub(super) fn machine(states: Value) -> Value {
    let start = states.as_object().unwrap().keys().next().unwrap().clone();
    json!({ "QueryLanguage": "JSONata", "StartAt": start, "States": states })
}

/// A Task that calls Lambda, with further fields.
pub(super) fn task(fields: Value) -> Value {
    let mut state = json!({ "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke" });
    for (name, value) in fields.as_object().unwrap() {
        state[name] = value.clone();
    }
    if state.get("Next").is_none() {
        state["End"] = true.into();
    }
    state
}

pub(super) fn failure(error: &str) -> IntegrationFailure {
    IntegrationFailure {
        error: error.to_owned(),
        cause: format!("because of {error}"),
    }
}

/// Answers after a second what `reply` says to the request.
pub(super) fn runner(
    reply: impl Fn(&TaskRequest) -> Result<Answer, IntegrationFailure> + Send + Sync + 'static,
) -> TaskRunner {
    Arc::new(move |request| {
        let answer = reply(&request);
        Box::pin(async move {
            sleep(Duration::from_secs(1)).await;
            answer
        })
    })
}

/// Gives each argument back.
pub(super) fn echo() -> TaskRunner {
    runner(|request| Ok(Answer::Result(request.arguments.clone())))
}

/// Answers in turn, and counts its calls.
pub(super) fn script(
    answers: Vec<Result<Value, IntegrationFailure>>,
) -> (TaskRunner, Arc<Mutex<Vec<TaskRequest>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let runner = runner(move |request| {
        let mut seen = seen.lock().unwrap();
        seen.push(request.clone());
        let answer = answers.get(seen.len() - 1).or(answers.last()).unwrap();
        answer.clone().map(Answer::Result)
    });
    (runner, calls)
}

pub(super) struct Cloud {
    pub(super) clock: Clock,
    pub(super) bus: Bus,
    pub(super) sfn: StepFunctions,
}

pub(super) fn cloud(tasks: TaskRunner) -> Cloud {
    seeded_cloud(tasks, 7)
}

pub(super) fn seeded_cloud(tasks: TaskRunner, seed: u64) -> Cloud {
    let clock = Clock::default();
    let bus = Bus::new(clock, seed);
    let sfn = StepFunctions::new(clock, seed, bus.clone(), tasks);
    Cloud { clock, bus, sfn }
}

impl Cloud {
    /// Starts an execution named `e`.
    pub(super) fn start(&self, states: Value, input: Value) -> String {
        self.start_machine(&machine(states), input)
    }

    pub(super) fn start_machine(&self, definition: &Value, input: Value) -> String {
        let definition = parse(definition).unwrap_or_else(|errors| panic!("{errors}"));
        let arn = self.sfn.create_state_machine("m", definition);
        self.sfn.start(&arn, Some("e"), input).unwrap()
    }

    pub(super) async fn run(&self, states: Value, input: Value) -> ExecutionView {
        let arn = self.start(states, input);
        self.sfn.finished(&arn).await.unwrap()
    }

    /// Types of the events.
    pub(super) fn types(&self, arn: &str) -> Vec<String> {
        let events = self.sfn.history(arn);
        events
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Plays the states with a runner.
pub(super) async fn play(tasks: TaskRunner, states: Value, input: Value) -> ExecutionView {
    cloud(tasks).run(states, input).await
}

/// The output of states that succeed.
pub(super) async fn output(states: Value, input: Value) -> Value {
    let view = play(echo(), states, input).await;
    assert_eq!((&view.error, &view.cause), (&None, &None));
    (*view.output.unwrap()).clone()
}
