//! The files that a drill reads and writes. Every error names the file and says what is wrong with it.

use crate::{Failure, output};
use serde::Serialize;
use serde_json::Value;
use simulator::{
    cloud,
    scenario::Scenario,
    stepfunctions::{Definition, Mocks},
};
use std::{collections::BTreeMap, fmt::Display, fs, io::Read, path::Path};

/// `-`, standard input or output.
pub fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn name(file: &Path) -> String {
    if is_standard(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// Reads a text.
pub fn read(file: &Path) -> Result<String, Failure> {
    let text = if is_standard(file) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| Failure::BadInput(format!("{}: {}", name(file), plain(&error))))
}

/// Without the operating system's error number.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Reads a scenario.
pub fn scenario(file: &Path) -> Result<Scenario, Failure> {
    let text = read(file)?;
    Scenario::parse(&name(file), &text).map_err(|error| Failure::BadInput(error.to_string()))
}

/// Reads a definition as it would be deployed with these settings.
pub fn definition(
    file: &Path,
    text: &str,
    settings: &BTreeMap<String, String>,
) -> Result<Definition, Failure> {
    let substitutions =
        cloud::substitutions(settings).map_err(|error| Failure::BadInput(error.to_string()))?;
    Definition::parse(text, &substitutions)
        .map_err(|errors| several(file, "is no definition that can be played", &errors))
}

/// Reads mocks.
pub fn mocks(file: &Path) -> Result<Mocks, Failure> {
    let text = read(file)?;
    Mocks::parse(&text).map_err(|errors| several(file, "is no mock configuration", &errors))
}

/// Reads JSON.
pub fn json(file: &Path) -> Result<Value, Failure> {
    let text = read(file)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::BadInput(format!("{}: no JSON: {error}", name(file))))
}

/// One error of several lines.
fn several(file: &Path, what: &str, errors: &dyn Display) -> Failure {
    let errors = errors.to_string();
    let lines: Vec<&str> = errors.lines().collect();
    match lines.as_slice() {
        [one] => Failure::BadInput(format!("{}: {one}", name(file))),
        lines => {
            let lines: String = lines.iter().map(|line| format!("\n  {line}")).collect();
            Failure::BadInput(format!("{} {what}:{lines}", name(file)))
        }
    }
}

/// Checks a scenario's settings.
pub fn settings(file: Option<&Path>, scenario: &Scenario) -> Result<(), Failure> {
    let place = file.map_or_else(|| scenario.name.clone(), name);
    cloud::substitutions(&scenario.settings)
        .map(drop)
        .map_err(|error| Failure::BadInput(format!("{place}: {error}")))
}

/// Refuses early a file that cannot be written.
pub fn writable(file: Option<&Path>) -> Result<(), Failure> {
    match file.filter(|file| !is_standard(file)) {
        Some(file) => fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(file)
            .map(drop)
            .map_err(|error| not_written(file, &error)),
        None => Ok(()),
    }
}

/// Writes JSON to a file or standard output.
pub fn write(file: &Path, value: &Value) -> Result<(), Failure> {
    let text = pretty(value)?;
    if is_standard(file) {
        output::raw(&text);
        return Ok(());
    }
    fs::write(file, text + "\n").map_err(|error| not_written(file, &error))
}

fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    Failure::BadInput(format!(
        "{} cannot be written: {}",
        file.display(),
        plain(error)
    ))
}

/// JSON for people and programs.
pub fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::Broken(error.to_string()))
}
