//! What the deployed system is set to: the functions' environment, and what `${Name}` stands for in the definition.

use super::{ALIAS, HEALTH_CHECK, STATE_MACHINE};
use crate::{
    ACCOUNT, REGION,
    ecs::EcsSettings,
    lambda::Lambda,
    ssm,
    stepfunctions::{Definition, nearest},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use workers::{Settings, settings::SettingsError};

/// What `${Name}` stands for in a definition that is deployed with these settings, given by their environment names,
/// over the defaults.
///
/// # Errors
/// When a setting is refused.
pub fn substitutions(
    settings: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, SettingsError> {
    let cluster = EcsSettings::default().cluster;
    let topic = format!("arn:aws:sns:{REGION}:{ACCOUNT}:gpu-recovery");
    settings_over_defaults(settings, &cluster, &topic).map(|settings| substituted(&settings))
}

/// Lets something stand for each `${Name}` of a definition that no deployment gives a value: the ARN of a function that
/// does not exist, so that a state that calls it needs a mock. The answer is their names.
pub fn stand_ins(definition: &str, substitutions: &mut BTreeMap<String, String>) -> Vec<String> {
    let names = Definition::placeholders(definition).into_iter();
    let unknown: Vec<String> = names
        .filter(|name| !substitutions.contains_key(*name))
        .map(str::to_owned)
        .collect();
    for name in &unknown {
        substitutions.insert(name.clone(), Lambda::arn(name));
    }
    unknown
}

/// What the template gives the definition.
pub(super) fn substituted(settings: &Settings) -> BTreeMap<String, String> {
    let mut substitutions = settings.substitutions();
    substitutions.extend(Lambda::substitutions());
    for (name, value) in [
        ("AWSPartition", "aws"),
        ("ProbeDocument", ssm::PROBE),
        ("RebootDocument", ssm::REBOOT),
    ] {
        substitutions.insert(name.to_owned(), value.to_owned());
    }
    substitutions
}

/// Settings by their environment names; a name that nobody reads is an error, with the nearest one that is read.
pub(super) fn settings_over_defaults(
    settings: &BTreeMap<String, String>,
    cluster: &str,
    topic: &str,
) -> Result<Settings, SettingsError> {
    let names: RefCell<BTreeSet<String>> = RefCell::default();
    let read = Settings::read(|name| {
        names.borrow_mut().insert(name.to_owned());
        let given = settings.get(name).cloned();
        given.or_else(|| default_setting(name, cluster, topic))
    });
    let names = names.into_inner();
    let unknown: Vec<String> = settings
        .keys()
        .filter(|name| !names.contains(*name))
        .map(|name| {
            let hint = nearest::hint(name, names.iter().map(String::as_str));
            format!("no setting is called {name}{hint}")
        })
        .collect();
    match (read, unknown.is_empty()) {
        (read, true) => read,
        (Ok(_), false) => Err(SettingsError(unknown)),
        (Err(SettingsError(mut problems)), false) => {
            problems.extend(unknown);
            Err(SettingsError(problems))
        }
    }
}

fn default_setting(name: &str, cluster: &str, topic: &str) -> Option<String> {
    let value = match name {
        "TRAINING_JOB_TABLE_NAME" => "hybrid-gpu-training-job",
        "CONTAINER_INSTANCE_TABLE_NAME" => "ecs_container_instance",
        "ECS_CLUSTER_NAME" => cluster,
        "DCGM_HEALTH_CHECK_TASK" => HEALTH_CHECK,
        "DCGM_LOG_GROUP" => "/ecs/gpu-recovery-dcgm",
        "SNS_TOPIC_ARN" => topic,
        "STATE_MACHINE_ARN" => {
            return Some(format!(
                "arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STATE_MACHINE}:{ALIAS}"
            ));
        }
        _ => return None,
    };
    Some(value.to_owned())
}
