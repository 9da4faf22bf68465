//! Published versions of a state machine, and the aliases that stand for them
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-cd-aliasing-versioning.html>).

use super::{ApiError, StepFunctions, service::StateMachine, time::epoch_seconds};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

/// What is published of one machine.
#[derive(Default)]
pub(super) struct Published {
    /// By number, from 1: the machine as it was then.
    versions: BTreeMap<u64, Arc<StateMachine>>,
    aliases: BTreeMap<String, Alias>,
}

struct Alias {
    version: u64,
    created: SystemTime,
    updated: SystemTime,
}

impl Published {
    /// What a number or an alias stands for.
    pub(super) fn find(&self, qualifier: &str) -> Option<&Arc<StateMachine>> {
        let alias = self.aliases.get(qualifier).map(|alias| alias.version);
        self.versions.get(&alias.or(qualifier.parse().ok())?)
    }
}

impl StepFunctions {
    /// Publishes the machine as it is now, as its next version, and points the alias at it; the answer is the alias's
    /// ARN. From then on an execution that is started by the alias runs this version.
    ///
    /// # Errors
    /// `InvalidArn`, `StateMachineDoesNotExist`.
    pub fn publish(&self, machine_arn: &str, alias: &str) -> Result<String, ApiError> {
        let machine = self.machine(machine_arn)?;
        let now = self.0.host.now();
        let arn = format!("{}:{alias}", machine.arn);
        let mut state = self.0.state();
        let published = state.published.entry(machine.arn.clone()).or_default();
        let version = published.versions.len() as u64 + 1;
        published.versions.insert(version, machine);
        let alias = published.aliases.entry(alias.to_owned()).or_insert(Alias {
            version,
            created: now,
            updated: now,
        });
        (alias.version, alias.updated) = (version, now);
        Ok(arn)
    }

    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListStateMachineAliases.html>
    pub(super) fn aliases(&self, machine_arn: &str) -> Result<Vec<Value>, ApiError> {
        let machine = self.machine(machine_arn)?;
        let state = self.0.state();
        let published = state.published.get(&machine.arn);
        let aliases = published.into_iter().flat_map(|all| &all.aliases);
        Ok(aliases
            .map(|(name, alias)| {
                json!({
                    "stateMachineAliasArn": format!("{}:{name}", machine.arn),
                    "creationDate": epoch_seconds(alias.created),
                })
            })
            .collect())
    }

    /// <https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeStateMachineAlias.html>
    pub(super) fn describe_alias(&self, alias_arn: &str) -> Result<Value, ApiError> {
        let found = alias_arn.rsplit_once(':').and_then(|(machine, name)| {
            let state = self.0.state();
            let alias = state.published.get(machine)?.aliases.get(name)?;
            Some(json!({
                "stateMachineAliasArn": alias_arn,
                "name": name,
                "routingConfiguration": [
                    { "stateMachineVersionArn": format!("{machine}:{}", alias.version), "weight": 100 },
                ],
                "creationDate": epoch_seconds(alias.created),
                "updateDate": epoch_seconds(alias.updated),
            }))
        });
        found.ok_or_else(|| {
            let message =
                format!("Request references a resource that does not exist: '{alias_arn}'");
            ApiError::new("ResourceNotFound", message)
        })
    }
}
