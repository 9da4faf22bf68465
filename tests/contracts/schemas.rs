//! `schemas/` holds what schemars generates from the workers' types.

use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

fn generated() -> BTreeMap<String, String> {
    let text = |schema: &Value| serde_json::to_string_pretty(schema).unwrap() + "\n";
    workers::all()
        .iter()
        .flat_map(|worker| {
            [
                (
                    format!("{}.input.json", worker.name),
                    text(&worker.input_schema),
                ),
                (
                    format!("{}.outcome.json", worker.name),
                    text(&worker.outcome_schema),
                ),
            ]
        })
        .collect()
}

/// `UPDATE_SCHEMAS=1` writes the files instead.
#[test]
fn the_schema_files_are_those_of_the_types() {
    let generated = generated();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, text) in &generated {
            fs::write(folder().join(name), text).unwrap();
        }
    }
    let found: BTreeMap<String, String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().extension().is_some_and(|e| e == "json"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    let differing: Vec<&String> = generated
        .keys()
        .chain(found.keys())
        .filter(|name| generated.get(*name) != found.get(*name))
        .collect();
    assert!(
        differing.is_empty(),
        "{differing:?} differ from the types; run: UPDATE_SCHEMAS=1 cargo test -p tests --test contracts schema"
    );
}
