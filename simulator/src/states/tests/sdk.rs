//! The operations, through the real SDK where its shapes matter.

use super::support::{cloud, definition};
use crate::{
    clock::Clock,
    states,
    stepfunctions::{Answer, IntegrationFailure, StepFunctions, TaskRunner},
    wire::Wire,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::sleep;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:m";

fn client(sfn: &StepFunctions) -> aws_sdk_sfn::Client {
    let wire = Wire::new(Clock::default(), 1);
    wire.register("states", states::handler(sfn));
    wire.sfn("test")
}

/// A machine that waits a minute.
fn waiting() -> StepFunctions {
    let (sfn, _) = cloud(Arc::new(|request| {
        Box::pin(async { Ok(Answer::Result(request.arguments)) })
    }));
    let states = json!({ "A": { "Type": "Wait", "Seconds": 60, "End": true } });
    sfn.create_state_machine("m", definition(states));
    sfn
}

/// Fails once, then answers.
fn fails_once() -> TaskRunner {
    let failed = AtomicBool::default();
    Arc::new(move |_| {
        let first = !failed.swap(true, Ordering::Relaxed);
        Box::pin(async move {
            if first {
                return Err(IntegrationFailure {
                    error: "Own".to_owned(),
                    cause: "because of Own".to_owned(),
                });
            }
            Ok(Answer::Result(json!({ "n": 1 })))
        })
    })
}

#[tokio::test(start_paused = true)]
async fn the_sdk_reads_every_answer() {
    let (service, _) = cloud(fails_once());
    let states = json!({ "A": {
        "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true,
        "Assign": { "v": "{% $states.result.n %}" } } });
    service.create_state_machine("m", definition(states));
    let sfn = client(&service);
    let started = sfn
        .start_execution()
        .state_machine_arn(format!("{MACHINE}:3"))
        .name("x")
        .input("{}")
        .send()
        .await
        .unwrap();
    let arn = started.execution_arn();
    service.finished(arn).await;
    let described = sfn
        .describe_execution()
        .execution_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(described.status().as_str(), "FAILED");
    assert_eq!(
        (
            described.error(),
            described.redrive_status().unwrap().as_str()
        ),
        (Some("Own"), "REDRIVABLE")
    );
    assert_eq!(
        described.state_machine_version_arn(),
        Some(format!("{MACHINE}:3").as_str())
    );
    sfn.redrive_execution()
        .execution_arn(arn)
        .send()
        .await
        .unwrap();
    service.finished(arn).await;
    let refused = sfn
        .redrive_execution()
        .execution_arn(arn)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(refused.is_execution_not_redrivable());
    let described = sfn
        .describe_execution()
        .execution_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (described.output(), described.redrive_count()),
        (Some("{\"n\":1}"), Some(1))
    );
    let history = sfn
        .get_execution_history()
        .execution_arn(arn)
        .reverse_order(true)
        .send()
        .await
        .unwrap();
    let last = &history.events()[0];
    assert_eq!(last.r#type().as_str(), "ExecutionSucceeded");
    assert_eq!(
        last.execution_succeeded_event_details().unwrap().output(),
        Some("{\"n\":1}")
    );
    let exited = history.events()[1].state_exited_event_details().unwrap();
    assert_eq!(exited.assigned_variables().unwrap()["v"], "1");
    let machine = sfn
        .describe_state_machine()
        .state_machine_arn(MACHINE)
        .send()
        .await
        .unwrap();
    assert!(machine.definition().contains("JSONata"));
    let missing = sfn
        .send_task_success()
        .task_token("x")
        .output("1")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(missing.is_invalid_token());
    let unknown = sfn
        .describe_execution()
        .execution_arn(format!("{arn}y"))
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(unknown.is_execution_does_not_exist());
}

#[tokio::test(start_paused = true)]
async fn lists_and_histories_come_in_pages() {
    let service = waiting();
    for n in 0..5 {
        service
            .start(MACHINE, Some(&format!("x{n}")), json!({}))
            .unwrap();
        sleep(Duration::from_secs(15)).await;
    }
    let sfn = client(&service);
    let pages = sfn
        .list_executions()
        .state_machine_arn(MACHINE)
        .max_results(2);
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let page = pages.clone().set_next_token(token).send().await.unwrap();
        names.extend(page.executions().iter().map(|e| e.name().to_owned()));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["x4", "x3", "x2", "x1", "x0"]);
    let running = sfn
        .list_executions()
        .state_machine_arn(MACHINE)
        .status_filter("RUNNING".into())
        .send()
        .await
        .unwrap();
    assert_eq!(running.executions().len(), 3);
    let arn = service.executions()[0].arn.clone();
    let page = sfn
        .get_execution_history()
        .execution_arn(&arn)
        .max_results(3)
        .include_execution_data(false)
        .send()
        .await
        .unwrap();
    assert_eq!(page.events().len(), 3);
    assert_eq!(
        page.events()[1]
            .state_entered_event_details()
            .unwrap()
            .input(),
        None
    );
    let rest = sfn
        .get_execution_history()
        .execution_arn(&arn)
        .set_next_token(page.next_token().map(str::to_owned))
        .send()
        .await
        .unwrap();
    assert_eq!(rest.events()[0].id(), 4);
    let bad = sfn
        .get_execution_history()
        .execution_arn(&arn)
        .next_token("x")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    assert!(bad.is_invalid_token());
}

#[tokio::test(start_paused = true)]
async fn an_alias_stands_for_the_version_that_was_published_last() {
    let service = waiting();
    let sfn = client(&service);
    let aliases = || sfn.list_state_machine_aliases().state_machine_arn(MACHINE);
    let none = aliases().send().await.unwrap();
    assert!(none.state_machine_aliases().is_empty());
    let live = service.publish(MACHINE, "live").unwrap();
    let states = json!({ "B": { "Type": "Wait", "Seconds": 1, "End": true } });
    service.create_state_machine("m", definition(states));

    let all = sfn.list_state_machines().send().await.unwrap();
    assert_eq!(all.state_machines()[0].state_machine_arn(), MACHINE);
    let listed = aliases().send().await.unwrap();
    let listed = listed.state_machine_aliases();
    assert_eq!(listed[0].state_machine_alias_arn(), live);
    let described = || {
        sfn.describe_state_machine_alias()
            .state_machine_alias_arn(&live)
    };
    let version = |number: u32| format!("{MACHINE}:{number}");
    let alias = described().send().await.unwrap();
    let route = &alias.routing_configuration()[0];
    assert_eq!(
        (route.state_machine_version_arn(), route.weight()),
        (version(1).as_str(), 100)
    );

    // What the alias runs is the version, and what the machine is has changed since.
    let arn = service.start(&live, Some("x"), json!({})).unwrap();
    let run = sfn.describe_state_machine_for_execution();
    let run = run.execution_arn(&arn).send().await.unwrap();
    assert!(run.definition().contains("\"A\""), "{}", run.definition());
    for (of, state) in [(version(1), "\"A\""), (MACHINE.to_owned(), "\"B\"")] {
        let machine = sfn.describe_state_machine().state_machine_arn(&of);
        let machine = machine.send().await.unwrap();
        assert_eq!(machine.state_machine_arn(), of);
        assert!(machine.definition().contains(state), "{of}");
    }
    service.publish(MACHINE, "live").unwrap();
    let alias = described().send().await.unwrap();
    let route = &alias.routing_configuration()[0];
    assert_eq!(route.state_machine_version_arn(), version(2));

    let unknown = sfn
        .describe_state_machine_alias()
        .state_machine_alias_arn(format!("{MACHINE}:none"))
        .send()
        .await
        .unwrap_err();
    assert!(unknown.into_service_error().is_resource_not_found());
    let unknown = service.start(&version(3), None, json!({})).unwrap_err();
    assert_eq!(unknown.code, "StateMachineDoesNotExist");
}
