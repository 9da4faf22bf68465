//! The JSON Schema of what each command writes with `--json`: `schemas/cli/`.

use crate::{
    commands::{doctor, explain, history, logs, recoveries, replay, spare, status::read, submit},
    drill::mocked,
};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;
use simulator::{chaos::ChaosReport, scenario::Report};

/// Each with its name: the command, and what it is of where that makes a difference.
pub fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("adopt", of::<submit::Submitted>()),
        ("doctor", of::<Vec<doctor::Finding>>()),
        ("drill", of::<Report>()),
        ("drill-chaos", of::<ChaosReport>()),
        ("drill-input", of::<mocked::Cases>()),
        ("explain", of::<explain::Report>()),
        ("history", of::<history::Events>()),
        ("logs", of::<logs::Logs>()),
        ("recoveries", of::<recoveries::Recoveries>()),
        ("replay", of::<Vec<replay::Outcome>>()),
        ("spare-list", of::<spare::Spares>()),
        ("status", of::<read::Everything>()),
        ("status-instance", of::<read::InstanceClosely>()),
        ("status-job", of::<read::JobClosely>()),
        ("submit", of::<submit::Submitted>()),
        ("submit-dry-run", of::<submit::Planned>()),
    ]
}

/// As it is written: a member that is left out when empty may be missing, every other is there.
fn of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}
