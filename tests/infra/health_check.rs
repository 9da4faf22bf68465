//! The health check's task: what it takes of an instance, and how it ends.

use crate::template::{Template, text};
use serde_json::json;
use simulator::cloud::HEALTH_CHECK;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

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

/// How DCGM's programs behave on a node.
#[derive(Clone, Copy)]
struct Node {
    /// What `nv-hostengine` ends with; 0 also when the engine fails after it has forked.
    engine: i32,
    /// How many questions the engine does not answer.
    deaf: u32,
    /// What `dcgmi discovery` ends with then.
    discovery: i32,
    /// What `dcgmi diag` ends with.
    diagnosis: i32,
}

const WELL: Node = Node {
    engine: 0,
    deaf: 0,
    discovery: 0,
    diagnosis: 0,
};

/// What the check ended with, what it wrote, and which programs it called.
struct Ended {
    code: Option<i32>,
    log: String,
    called: Vec<String>,
}

/// The task's own command, with stand-ins for DCGM's programs and for `sleep`.
fn ends(name: &str, node: Node) -> Ended {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("health-check-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let calls = folder.join("calls");
    let note = format!("echo \"${{0##*/}} $*\" >> {}", calls.display());
    let Node {
        engine,
        deaf,
        discovery,
        diagnosis,
    } = node;
    let dcgmi = format!(
        "case $1 in\n\
         discovery) [ \"$(/usr/bin/grep -c discovery {})\" -gt {deaf} ] || exit 235; exit {discovery};;\n\
         diag) echo report; exit {diagnosis};;\n\
         esac",
        calls.display()
    );
    for (program, does) in [
        ("nv-hostengine", format!("exit {engine}")),
        ("dcgmi", dcgmi),
        ("sleep", String::new()),
    ] {
        let path = folder.join(program);
        fs::write(&path, format!("#!/bin/sh\n{note}\n{does}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let container = container();
    let words: Vec<String> = ["EntryPoint", "Command"]
        .iter()
        .flat_map(|part| container[part].as_array().unwrap())
        .filter_map(text)
        .collect();
    let done = Command::new(&words[0])
        .args(&words[1..])
        .env_clear()
        .env("PATH", &folder)
        .output()
        .unwrap();
    let called = fs::read_to_string(&calls).unwrap_or_default();
    Ended {
        code: done.status.code(),
        log: String::from_utf8_lossy(&done.stdout).into_owned(),
        called: called.lines().map(|line| line.trim().to_owned()).collect(),
    }
}

#[test]
fn a_check_whose_engine_answers_ends_with_dcgms_own_code() {
    for code in [0, 1, 226, 205, 203] {
        let node = Node {
            diagnosis: code,
            ..WELL
        };
        let ended = ends(&format!("answers-{code}"), node);
        assert_eq!(ended.code, Some(code));
        assert_eq!(ended.log, "report\n");
        let calls = ["nv-hostengine", "dcgmi discovery -l", "dcgmi diag -r 2"];
        assert_eq!(ended.called, calls);
    }
}

#[test]
fn an_engine_that_is_slow_to_answer_is_waited_for() {
    let ended = ends("slow", Node { deaf: 5, ..WELL });
    assert_eq!((ended.code, ended.log.as_str()), (Some(0), "report\n"));
    let waits = ended.called.iter().filter(|call| *call == "sleep 1");
    assert_eq!(waits.count(), 5);
}

/// Code 4 says that there was no answer. It is neither a faulty GPU's nor one to be isolated, so nothing is rebooted.
#[test]
fn an_engine_that_gives_no_answer_is_no_gpu_fault() {
    let gone = Node {
        diagnosis: 235,
        ..WELL
    };
    for (name, node, why, diagnosed) in [
        (
            "no-start",
            Node { engine: 1, ..WELL },
            "did not start",
            false,
        ),
        ("deaf", Node { deaf: 1000, ..WELL }, "did not answer", false),
        ("gone", gone, "went away", true),
    ] {
        let ended = ends(name, node);
        assert_eq!(ended.code, Some(4), "{name}");
        assert!(ended.log.contains(why), "{name}: {}", ended.log);
        let asked = ended.called.iter().any(|call| call.contains("diag"));
        assert_eq!(asked, diagnosed, "{name}");
    }
    let parameters = Template::new().body["Parameters"].clone();
    for codes in ["FaultyExitCodes", "IsolateExitCodes"] {
        let codes = text(&parameters[codes]["Default"]).unwrap();
        assert!(codes.split(',').all(|code| code != "4"), "{codes}");
    }
}

/// What the engine says of a GPU in another way is the diagnosis' to judge.
#[test]
fn a_question_that_fails_otherwise_is_followed_by_the_diagnosis() {
    let node = Node {
        discovery: 245,
        diagnosis: 226,
        ..WELL
    };
    assert_eq!(ends("fails-otherwise", node).code, Some(226));
}
