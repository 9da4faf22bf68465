//! The files that a drill reads and writes. Every error names the file and says what is wrong with it.

pub use crate::files::{is_standard, json, pretty, read, writable, write, write_text};
use crate::{Failure, files::name, output};
use simulator::{
    cloud,
    scenario::Scenario,
    stepfunctions::{Definition, Mocks},
};
use std::{collections::BTreeMap, fmt::Display, path::Path};

/// Reads a scenario.
pub fn scenario(file: &Path) -> Result<Scenario, Failure> {
    let text = read(file)?;
    Scenario::parse(&name(file), &text).map_err(|error| Failure::BadInput(error.to_string()))
}

/// Reads a definition as it would be deployed with these settings. With mocks, `${Name}` may stand for what no deployment
/// has: the states that call it are to be mocked.
pub fn definition(
    file: &Path,
    text: &str,
    settings: &BTreeMap<String, String>,
    mocked: bool,
) -> Result<Definition, Failure> {
    let mut substitutions =
        cloud::substitutions(settings).map_err(|error| Failure::BadInput(error.to_string()))?;
    let place = name(file);
    if mocked {
        for name in cloud::stand_ins(text, &mut substitutions) {
            output::warning(&format!(
                "{place}: no deployment gives ${{{name}}} a value: a state that calls it needs a mock"
            ));
        }
    }
    let definition = Definition::parse(text, &substitutions).map_err(|errors| {
        let lacking = !cloud::stand_ins(text, &mut substitutions).is_empty();
        let hint = match lacking {
            true => "; a state that calls what is not deployed yet is played with --mocks",
            false => "",
        };
        let errors = format!("{errors}{hint}");
        several(file, "is no definition that can be played", &errors)
    })?;
    for warning in definition.warnings() {
        output::warning(&format!("{place}: {warning}"));
    }
    Ok(definition)
}

/// Reads mocks.
pub fn mocks(file: &Path) -> Result<Mocks, Failure> {
    let text = read(file)?;
    Mocks::parse(&text).map_err(|errors| several(file, "is no mock configuration", &errors))
}

/// One error of several lines.
pub fn several(file: &Path, what: &str, errors: &dyn Display) -> Failure {
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
