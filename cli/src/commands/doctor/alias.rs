//! The state machine's aliases: the rules start one, and it runs the version that it stands for, not the machine as it is.

use super::{
    Finding,
    check::{self, Deployed},
};
use crate::{
    Failure,
    account::{Desk, refused},
};
use aws_sdk_sfn::types::RoutingConfigurationListItem;
use std::collections::BTreeMap;

/// As the template calls it.
const LIVE: &str = "live";

/// What was found, and the alias that the rules start.
#[derive(Default)]
pub struct Aliases {
    pub found: Vec<Finding>,
    pub live: Option<Live>,
}

/// The alias that the rules start.
pub struct Live {
    pub arn: String,
    /// What was put in for the placeholders of its version's definition.
    pub values: BTreeMap<String, String>,
}

/// Each alias against this program's definition.
pub async fn aliases(desk: &Desk, machine: &str) -> Aliases {
    let arns = match list(desk, machine).await {
        Ok(arns) => arns,
        Err(error) => {
            let fix = "your role needs states:ListStateMachineAliases";
            return Aliases {
                found: vec![Finding::look(error.to_string(), fix)],
                live: None,
            };
        }
    };
    let mut found = Vec::new();
    let mut live = None;
    if !arns.iter().any(|arn| name(arn) == LIVE) {
        found.push(Finding::look(
            format!("the state machine has no alias {LIVE}, which the template's rules start"),
            "deploy infra/; with rules of your own that start the machine itself, all is well",
        ));
    }
    for arn in arns {
        let (findings, values) = alias(desk, &arn).await;
        found.extend(findings);
        if name(&arn) == LIVE {
            live = Some(Live { arn, values });
        }
    }
    Aliases { found, live }
}

fn name(arn: &str) -> &str {
    arn.rsplit(':').next().unwrap_or(arn)
}

async fn list(desk: &Desk, machine: &str) -> Result<Vec<String>, Failure> {
    let mut arns = Vec::new();
    let mut token = None;
    loop {
        let page = desk
            .sfn
            .list_state_machine_aliases()
            .state_machine_arn(machine)
            .set_next_token(token)
            .send()
            .await
            .map_err(refused("states:ListStateMachineAliases", machine))?;
        let listed = page.state_machine_aliases.iter();
        arns.extend(listed.map(|alias| alias.state_machine_alias_arn().to_owned()));
        token = page.next_token;
        if token.is_none() {
            return Ok(arns);
        }
    }
}

/// What was found, and what was put into the definition of the version that it stands for first.
async fn alias(desk: &Desk, arn: &str) -> (Vec<Finding>, BTreeMap<String, String>) {
    let described = desk
        .sfn
        .describe_state_machine_alias()
        .state_machine_alias_arn(arn)
        .send()
        .await
        .map_err(refused("states:DescribeStateMachineAlias", arn));
    let routes = match &described {
        Ok(described) => described.routing_configuration(),
        Err(error) => {
            let fix = "your role needs states:DescribeStateMachineAlias";
            return (vec![Finding::look(error.to_string(), fix)], BTreeMap::new());
        }
    };
    let mut found = Vec::new();
    let mut first = None;
    for route in routes {
        let deployed = check::deployed(desk, route.state_machine_version_arn()).await;
        found.push(version(arn, route, routes.len() > 1, &deployed));
        first = first.or(deployed.ok());
    }
    (found, first.map(|first| first.values).unwrap_or_default())
}

/// A version that an alias stands for; `shared` when it does for another one as well.
fn version(
    alias: &str,
    route: &RoutingConfigurationListItem,
    shared: bool,
    deployed: &Result<Deployed, Failure>,
) -> Finding {
    let arn = route.state_machine_version_arn();
    let part = match shared {
        true => format!(" in {} % of its executions", route.weight()),
        false => String::new(),
    };
    let is = format!("the alias {} is version {}{part}", name(alias), name(arn));
    let difference = deployed
        .as_ref()
        .map(|deployed| deployed.difference.as_deref());
    match difference {
        Ok(None) => Finding::well(format!("{is}, which is this version's")),
        Ok(Some(place)) => Finding::look(
            format!("{is}, which is not this version's: they differ at {place}"),
            format!(
                "deploy this version; when the machine itself is this version's, publish it and point the alias at \
                 it: aws stepfunctions update-state-machine-alias --state-machine-alias-arn {alias} \
                 --routing-configuration stateMachineVersionArn=VERSION,weight=100"
            ),
        ),
        Err(error) => Finding::bad(
            format!("{is}, which is not there: {error}"),
            "deploy infra/: what the rules start must be there",
        ),
    }
}
