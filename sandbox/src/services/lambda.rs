//! Lambda: the stack's functions, as it lists and describes them.

use super::{
    PREFIX,
    page::{answered, page, size},
    text,
};
use crate::account::Account;
use serde_json::{Map, Value, json};
use simulator::{ACCOUNT, clock::rfc3339, cloud::ALIAS, lambda::Lambda, wire::ApiError};
use std::time::Duration;

/// <https://docs.aws.amazon.com/lambda/latest/api/API_ListFunctions.html>, `API_GetFunction.html`,
/// `API_GetFunctionConfiguration.html`
pub fn answer(account: &Account, action: &str, body: &Value) -> Result<Value, ApiError> {
    if action == "ListFunctions" {
        let all = Lambda::functions().map(|(name, timeout)| configuration(account, name, timeout));
        let refused =
            || ApiError::new("InvalidParameterValueException", "The marker is not valid.");
        let found = page(
            all.collect(),
            text(body, "Marker"),
            size(&body["MaxItems"], 50),
            refused,
        )?;
        return Ok(answered("Functions", "NextMarker", found));
    }
    let asked = text(body, "FunctionName").unwrap_or_default();
    let (name, timeout) = function(asked, text(body, "Qualifier"))?;
    let configuration = configuration(account, name, timeout);
    Ok(match action {
        "GetFunction" => json!({ "Configuration": configuration }),
        _ => configuration,
    })
}

/// A function by its name, its ARN or a part of that, with a qualifier that is there.
fn function(asked: &str, qualifier: Option<&str>) -> Result<(&'static str, Duration), ApiError> {
    let after = asked
        .rsplit_once("function:")
        .map_or(asked, |(_, name)| name);
    let (name, inner) = match after.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (after, None),
    };
    let qualifier = inner.or(qualifier).unwrap_or("$LATEST");
    let known = Lambda::functions().find(|(known, _)| name == format!("{PREFIX}-{known}"));
    match known.filter(|_| ["$LATEST", "1", ALIAS].contains(&qualifier)) {
        Some(function) => Ok(function),
        None => {
            let arn = format!(
                "arn:aws:lambda:{}:{ACCOUNT}:function:{name}:{qualifier}",
                simulator::REGION
            );
            Err(ApiError::new(
                "ResourceNotFoundException",
                format!("Function not found: {arn}"),
            )
            .with_status(404))
        }
    }
}

/// What of a function's configuration is known here; its code is this program.
fn configuration(account: &Account, name: &str, timeout: Duration) -> Value {
    let settings = &account.cloud.settings;
    let mut variables: Map<String, Value> = Map::new();
    for (variable, value) in [
        (
            "TRAINING_JOB_TABLE_NAME",
            settings.training_job_table.as_str(),
        ),
        (
            "CONTAINER_INSTANCE_TABLE_NAME",
            settings.container_instance_table.as_str(),
        ),
        ("ECS_CLUSTER_NAME", settings.cluster.as_str()),
        ("SNS_TOPIC_ARN", settings.topic_arn.as_str()),
    ] {
        variables.insert(variable.to_owned(), value.into());
    }
    for (variable, value) in &account.scenario().settings {
        variables.insert(variable.clone(), value.as_str().into());
    }
    let made = account.cloud.clock.now() - account.now();
    json!({
        "FunctionName": format!("{PREFIX}-{name}"),
        "FunctionArn": Lambda::arn(name),
        "Runtime": "provided.al2023",
        "Role": format!("arn:aws:iam::{ACCOUNT}:role/{PREFIX}-{name}"),
        "Handler": name,
        "CodeSize": 0,
        "Description": "",
        "Timeout": timeout.as_secs(),
        "MemorySize": 128,
        "LastModified": rfc3339(made).replace('Z', "+0000"),
        "CodeSha256": "",
        "Version": "$LATEST",
        "Environment": { "Variables": variables },
        "TracingConfig": { "Mode": "PassThrough" },
        "RevisionId": "00000000-0000-4000-8000-000000000001",
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": ["arm64"],
        "EphemeralStorage": { "Size": 512 },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": super::logs::group(name) },
    })
}
