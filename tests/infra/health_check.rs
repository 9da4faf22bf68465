//! The health check's task: what it takes of an instance, and how it ends.

use crate::template::{Template, text};
use serde_json::json;
use simulator::cloud::HEALTH_CHECK;
use std::process::Command;

fn container() -> serde_json::Value {
    let task = Template::new().resource("HealthCheckTask");
    let containers = task["ContainerDefinitions"].as_array().unwrap();
    assert_eq!(
        containers.len(),
        1,
        "the definition reads the first container's exit code"
    );
    containers[0].clone()
}

#[test]
fn the_health_check_takes_all_gpus_and_runs_on_every_kind_of_instance() {
    let task = Template::new().resource("HealthCheckTask");
    assert_eq!(task["Family"], HEALTH_CHECK);
    assert_eq!(task["RequiresCompatibilities"], json!(["EC2", "EXTERNAL"]));
    let gpus = &container()["ResourceRequirements"][0];
    assert_eq!(
        (&gpus["Type"], text(&gpus["Value"])),
        (&"GPU".into(), Some("8".into()))
    );
    let own = Template::with("aws", &[("CreateDcgmHealthCheckTask", "false")]);
    assert!(own.resources("AWS::ECS::TaskDefinition").is_empty());
}

/// Every word of the command as ECS hands it to the container.
fn words() -> Vec<String> {
    let container = container();
    ["EntryPoint", "Command"]
        .iter()
        .flat_map(|part| container[part].as_array().unwrap())
        .map(|word| text(word).unwrap())
        .collect()
}

#[test]
fn the_health_check_is_the_script_with_its_level_and_its_bound() {
    let words = words();
    let script = include_str!("../../infra/nodes/health-check.sh");
    assert_eq!(words[..2], ["/bin/sh", "-c"]);
    assert_eq!(words[2], script);
    assert_eq!(words[3..], ["health-check", "2", "1800"]);
}

/// The script's own tests are in tests/nodes; here, that its words arrive. Without dcgmi there is no answer, and that is no
/// fault of a GPU.
#[test]
fn a_check_that_cannot_do_its_work_ends_with_no_answer() {
    let folder = env!("CARGO_TARGET_TMPDIR");
    let run = |level: &str| {
        let words = words();
        let done = Command::new(&words[0])
            .args(&words[1..4])
            .args([level, &words[5]])
            .env("TMPDIR", folder)
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.code(), log)
    };
    let (code, log) = run("9");
    assert_eq!(code, Some(4));
    assert!(log.contains("the level must be 1 to 4"), "{log}");
    let (code, log) = run("2");
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("\"verdict\":\"no-answer\""), "{log}");
}

/// The definition gives the script as long as ECS gives the task, so that it ends itself first.
#[test]
fn the_script_takes_the_least_bound_that_a_deployment_can_give() {
    let parameters = Template::new().body["Parameters"].clone();
    assert_eq!(parameters["DcgmTimeoutSeconds"]["MinValue"], 300);
}
