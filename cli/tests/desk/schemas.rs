//! `schemas/cli/`: what each command writes with `--json`.

use super::*;
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas/cli")
}

/// `UPDATE_SCHEMAS=1` writes the files instead.
#[test]
fn the_schema_files_of_the_commands_are_those_of_the_types() {
    let generated: BTreeMap<String, String> = gpu_recovery::schemas()
        .into_iter()
        .map(|(name, schema)| {
            let text = serde_json::to_string_pretty(&schema).expect("JSON");
            (format!("{name}.json"), text + "\n")
        })
        .collect();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(folder()).expect("a folder");
        for (name, text) in &generated {
            fs::write(folder().join(name), text).expect("it is written");
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(folder())
        .expect("the folder is there")
        .map(|entry| entry.expect("a file").path())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into();
            (name, fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    let differing: Vec<&String> = generated
        .keys()
        .chain(found.keys())
        .filter(|name| generated.get(*name) != found.get(*name))
        .collect();
    assert!(
        differing.is_empty(),
        "{differing:?} differ from the types; run: UPDATE_SCHEMAS=1 cargo test --workspace --test desk schemas"
    );
}

/// Every key of every object in it.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                found.push(name.clone());
                keys(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| keys(item, found)),
        _ => {}
    }
}

pub(super) fn fits(name: &str, written: &Value) {
    let schemas = gpu_recovery::schemas();
    let (_, schema) = schemas
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no schema {name}"));
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let wrong: Vec<String> = validator
        .iter_errors(written)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(wrong.is_empty(), "{name}: {wrong:?}: {written}");
    let mut found = Vec::new();
    keys(written, &mut found);
    let snake: Vec<&String> = found.iter().filter(|key| key.contains('_')).collect();
    assert!(snake.is_empty(), "{name} is not in camelCase: {snake:?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_command_writes_fits_its_schema_in_camel_case() {
    let (world, execution) = World::aborted().await;
    let read = async |code: u8, line: &[&str]| -> Value {
        let line = [line, &["--json"]].concat();
        let (got, written) = world.run(&line).await;
        assert_eq!(got, code, "{line:?}: {written}");
        serde_json::from_str(&written).unwrap_or_else(|error| panic!("{error}: {written}"))
    };
    for (name, code, line) in [
        ("status", 0, &["status"][..]),
        ("status-job", 0, &["status", JOB]),
        ("status-instance", 0, &["status", BAD]),
        ("explain", 0, &["explain", &execution]),
        ("replay", 0, &["replay", JOB, "--dry-run"]),
        ("replay", 0, &["replay", JOB]),
    ] {
        fits(name, &read(code, line).await);
    }
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(120).await;
    let topic = &world.desk.context.settings.topic_arn;
    world
        .gives(0, &["quarantine", BAD, "--reason", "fan", "--by", "ada"])
        .await;
    for (name, line) in [
        ("status-instance", &["status", BAD][..]),
        ("recoveries", &["recoveries"]),
        ("history", &["history", BAD]),
        ("history", &["history", JOB]),
        ("logs", &["logs", BAD]),
        ("logs", &["logs", JOB, "1"]),
        ("doctor", &["doctor", "--topic", topic]),
    ] {
        fits(name, &read(0, line).await);
    }
    world.gives(0, &["release", BAD, "--force"]).await;
    world.gives(0, &["stop", JOB]).await;
    let again = ["submit", "--again", JOB, "llama-8"];
    let planned = read(0, &[&again[..], &["--dry-run"]].concat()).await;
    fits("submit-dry-run", &planned);
    fits("submit", &read(0, &again).await);
    fits("status", &read(0, &["status", "--all"]).await);
}

/// The drills write to standard output.
#[test]
fn what_a_drill_writes_fits_its_schema_in_camel_case() {
    let drill = |arguments: &[&str]| -> Value {
        let drill = std::process::Command::new(env!("CARGO_BIN_EXE_gpu-recovery"))
            .arg("drill")
            .args(arguments)
            .arg("--json")
            .output()
            .expect("it runs");
        serde_json::from_slice(&drill.stdout).expect("JSON and nothing else")
    };
    let mut report = drill(&["--nodes", "2"]);
    // Keys that are AWS's or the messages' own names.
    for message in report["notifications"].as_array_mut().expect("a list") {
        message["attributes"] = json!({});
    }
    fits("drill", &report);
    fits("drill-chaos", &drill(&["--chaos", "--seed", "3"]));
}
