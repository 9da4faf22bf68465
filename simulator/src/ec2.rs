//! EC2: RebootInstances, nothing else.

use crate::{
    ecs::Ecs,
    wire::{ApiError, Handler},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// EC2. Clones are the same.
#[derive(Clone)]
pub struct Ec2(Ecs);

impl Ec2 {
    pub fn new(fleet: Ecs) -> Self {
        Self(fleet)
    }

    /// The operation as Step Functions' `aws-sdk:ec2:…` passes it. All instances are rebooted, or none.
    ///
    /// # Errors
    /// `InvalidInstanceID.Malformed`, `InvalidInstanceID.NotFound`
    /// (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>).
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        if operation != "RebootInstances" {
            return Err(ApiError::new(
                "InvalidAction",
                format!("EC2 {operation} is not simulated"),
            ));
        }
        let given = body["InstanceIds"].as_array().into_iter().flatten();
        let ids: Vec<&str> = given.filter_map(Value::as_str).collect();
        if ids.is_empty() {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain the parameter InstanceId",
            ));
        }
        for id in &ids {
            let hexadecimal = |digits: &str| {
                matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit())
            };
            if !id.strip_prefix("i-").is_some_and(hexadecimal) {
                return Err(ApiError::new(
                    "InvalidInstanceID.Malformed",
                    format!("Invalid id: \"{id}\""),
                ));
            }
            if self.0.instance(id).is_none() {
                return Err(ApiError::new(
                    "InvalidInstanceID.NotFound",
                    format!("The instance ID '{id}' does not exist"),
                ));
            }
        }
        ids.iter().for_each(|id| self.0.ec2_reboot(id));
        Ok(json!({}))
    }

    /// For [`Wire::register`](crate::wire::Wire::register).
    pub fn handler(&self) -> Handler {
        let ec2 = self.clone();
        Arc::new(move |operation, body| {
            let answer = ec2.api(operation, &body);
            Box::pin(async move { answer })
        })
    }
}
