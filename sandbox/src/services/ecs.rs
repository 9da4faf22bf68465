//! ECS's ListAttributes, over what DescribeContainerInstances shows.

use super::{
    page::{answered, page, size},
    text,
};
use crate::account::Account;
use serde_json::{Value, json};
use simulator::wire::ApiError;

/// Instances that DescribeContainerInstances takes at once.
const CHUNK: usize = 100;

/// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListAttributes.html>
pub fn list_attributes(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let invalid = |message: &str| ApiError::new("InvalidParameterException", message);
    if text(body, "targetType") != Some("container-instance") {
        return Err(invalid("targetType should be container-instance"));
    }
    let fleet = &account.cloud.fleet;
    let cluster = text(body, "cluster").unwrap_or("default");
    let instances = fleet.instances();
    let live = instances
        .iter()
        .filter(|instance| instance.status != "INACTIVE");
    let arns: Vec<&str> = live.map(|instance| instance.arn.as_str()).collect();
    let mut attributes = Vec::new();
    for arns in arns.chunks(CHUNK) {
        let asked = json!({ "cluster": cluster, "containerInstances": arns });
        let described = fleet.api("DescribeContainerInstances", &asked)?;
        for instance in described["containerInstances"]
            .as_array()
            .into_iter()
            .flatten()
        {
            for attribute in instance["attributes"].as_array().into_iter().flatten() {
                let fits = |member: &str, asked: &str| match text(body, asked) {
                    Some(asked) => attribute[member].as_str() == Some(asked),
                    None => true,
                };
                if fits("name", "attributeName") && fits("value", "attributeValue") {
                    let mut attribute = attribute.clone();
                    attribute["targetId"] = instance["containerInstanceArn"].clone();
                    attributes.push(attribute);
                }
            }
        }
    }
    let refused = || invalid("Invalid token");
    let found = page(
        attributes,
        text(body, "nextToken"),
        size(&body["maxResults"], 100),
        refused,
    )?;
    Ok(answered("attributes", "nextToken", found))
}
