//! The state machine's aliases: the rules start one, and it runs the version that it stands for, not the machine as it is.

use super::{Finding, check};
use crate::{
    Failure,
    account::{Desk, refused},
};
use aws_sdk_sfn::types::RoutingConfigurationListItem;

/// As the template calls it.
const LIVE: &str = "live";

/// Each alias against this program's definition.
pub async fn aliases(desk: &Desk, machine: &str) -> Vec<Finding> {
    let arns = match list(desk, machine).await {
        Ok(arns) => arns,
        Err(error) => {
            let mend = "your role needs states:ListStateMachineAliases";
            return vec![Finding::look(error.to_string(), mend)];
        }
    };
    let mut found = Vec::new();
    if !arns.iter().any(|arn| name(arn) == LIVE) {
        found.push(Finding::look(
            format!("the state machine has no alias {LIVE}, which the template's rules start"),
            "deploy infra/; with rules of your own that start the machine itself, all is well",
        ));
    }
    for arn in &arns {
        found.extend(alias(desk, arn).await);
    }
    found
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

async fn alias(desk: &Desk, arn: &str) -> Vec<Finding> {
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
            let mend = "your role needs states:DescribeStateMachineAlias";
            return vec![Finding::look(error.to_string(), mend)];
        }
    };
    let mut found = Vec::new();
    for route in routes {
        found.push(version(desk, arn, route, routes.len() > 1).await);
    }
    found
}

/// A version that an alias stands for; `shared` when it does for another one as well.
async fn version(
    desk: &Desk,
    alias: &str,
    route: &RoutingConfigurationListItem,
    shared: bool,
) -> Finding {
    let arn = route.state_machine_version_arn();
    let part = match shared {
        true => format!(" in {} % of its executions", route.weight()),
        false => String::new(),
    };
    let is = format!("the alias {} is version {}{part}", name(alias), name(arn));
    match check::definition(desk, arn).await {
        Ok((_, None)) => Finding::well(format!("{is}, which is this version's")),
        Ok((_, Some(place))) => Finding::look(
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
