//! A small cloud around the engine.

use crate::{
    Answer, Definition, DefinitionErrors, ExecutionView, Host, IntegrationFailure, StatusChange,
    StepFunctions, TaskRequest, TaskRunner,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::{Instant, sleep};

/// 2026-01-05T03:00:00Z.
const START: Duration = Duration::from_secs(1_767_582_000);

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
    /// What the engine told of its executions' status.
    pub(super) told: Arc<Mutex<Vec<StatusChange>>>,
    pub(super) sfn: StepFunctions,
}

pub(super) fn cloud(tasks: TaskRunner) -> Cloud {
    seeded_cloud(tasks, 7)
}

pub(super) fn seeded_cloud(tasks: TaskRunner, seed: u64) -> Cloud {
    let told: Arc<Mutex<Vec<StatusChange>>> = Arc::default();
    let changes = told.clone();
    let origin = Instant::now();
    let host = Host::new(tasks)
        .seed(seed)
        .clock(move || UNIX_EPOCH + START + origin.elapsed())
        .events(move |change| changes.lock().unwrap().push(change));
    let sfn = StepFunctions::new(host);
    Cloud { told, sfn }
}

impl Cloud {
    pub(super) fn now(&self) -> SystemTime {
        self.sfn.0.host.now()
    }

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
