//! CloudFormation: the one stack, with the outputs that docs/deploy.md reads.

use super::{PREFIX, events::start_role, text};
use crate::account::Account;
use serde_json::{Value, json};
use simulator::{ACCOUNT, REGION, clock::rfc3339, cloud::ALIAS, wire::ApiError};

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>; the links into the
/// console are no outputs here. Nothing answers at the queue's address, but it is an address of this machine.
pub fn answer(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let id = format!(
        "arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{PREFIX}/00000000-0000-4000-8000-000000000001"
    );
    let asked = text(body, "StackName");
    if asked.is_some_and(|asked| asked != PREFIX && asked != id) {
        let name = asked.unwrap_or_default();
        return Err(ApiError::new(
            "ValidationError",
            format!("Stack with id {name} does not exist"),
        ));
    }
    let cloud = &account.cloud;
    let machine = &cloud.state_machine_arn;
    let alias = format!("{machine}:{ALIAS}");
    let queue = format!("{}/{ACCOUNT}/{PREFIX}-dead-letters", account.url);
    let starts = start_role();
    let tag = format!("gpu-recovery-cluster={}", cloud.settings.cluster);
    let outputs = [
        ("StateMachineArn", machine.as_str()),
        ("StateMachineAliasArn", alias.as_str()),
        ("StartRecoveryRoleArn", starts.as_str()),
        ("DeadLettersUrl", queue.as_str()),
        ("TopicArn", cloud.settings.topic_arn.as_str()),
        (
            "TrainingJobTableName",
            cloud.settings.training_job_table.as_str(),
        ),
        (
            "ContainerInstanceTableName",
            cloud.settings.container_instance_table.as_str(),
        ),
        ("InstanceTag", tag.as_str()),
    ]
    .map(|(key, value)| json!({ "OutputKey": key, "OutputValue": value }));
    Ok(json!({ "Stacks": [{
        "StackId": id,
        "StackName": PREFIX,
        "CreationTime": rfc3339(cloud.clock.now() - account.now()),
        "StackStatus": "CREATE_COMPLETE",
        "Outputs": outputs,
    }]}))
}
