//! How Step Functions passes parameters to services, and names their errors.

pub use stepfunctions::IntegrationFailure;

use super::ApiError;
use serde_json::{Map, Value};

/// Keys in PascalCase, as Step Functions writes them
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/connect-parameters.html>).
pub fn to_pascal(value: Value) -> Value {
    rename(value, |first| first.to_ascii_uppercase())
}

/// Keys in camelCase, as the service takes them.
pub fn to_camel(value: Value) -> Value {
    rename(value, |first| first.to_ascii_lowercase())
}

fn rename(value: Value, first_letter: fn(char) -> char) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| {
                    let mut letters = key.chars();
                    let key: String = letters
                        .next()
                        .map(first_letter)
                        .into_iter()
                        .chain(letters)
                        .collect();
                    (key, rename(value, first_letter))
                })
                .collect::<Map<_, _>>(),
        ),
        Value::Array(list) => {
            Value::Array(list.into_iter().map(|v| rename(v, first_letter)).collect())
        }
        other => other,
    }
}

/// Errors that the service models of `RunTask`, `SendCommand` and `GetCommandInvocation` have; every other one arrives
/// under the service's general name.
const MODELED: [(&str, &[&str]); 2] = [
    (
        "ecs",
        &[
            "AccessDeniedException",
            "BlockedException",
            "ClientException",
            "ClusterNotFoundException",
            "ConflictException",
            "InvalidParameterException",
            "ServerException",
            "UnsupportedFeatureException",
        ],
    ),
    (
        "ssm",
        &[
            "DuplicateInstanceId",
            "InternalServerError",
            "InvalidCommandId",
            "InvalidDocument",
            "InvalidInstanceId",
            "InvalidParameters",
            "InvocationDoesNotExist",
        ],
    ),
];

fn is_modeled(service: &str, code: &str) -> bool {
    MODELED
        .iter()
        .any(|(name, codes)| *name == service && codes.contains(&code))
}

/// An `aws-sdk:SERVICE:ACTION` task's failure: `Ssm.InvalidInstanceIdException`, or `Ec2.Ec2Exception` for what the
/// service does not model (EC2 models no errors); the names are those of the AWS SDK for Java 2
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html>).
pub fn sdk_failure(service: &str, error: &ApiError) -> IntegrationFailure {
    let mut letters = service.chars();
    let name: String = letters
        .next()
        .map(|first| first.to_ascii_uppercase())
        .into_iter()
        .chain(letters)
        .collect();
    let exception = if error.code == "SdkClientException" {
        error.code.clone()
    } else if is_modeled(service, &error.code) {
        format!("{}Exception", error.code.trim_end_matches("Exception"))
    } else {
        format!("{name}Exception")
    };
    IntegrationFailure {
        error: format!("{name}.{exception}"),
        cause: format!(
            "{} (Service: {name}, Status Code: {}, Error Code: {})",
            error.message, error.status, error.code
        ),
    }
}

/// An `ecs:runTask` task's failure: the optimized integration's names are those of the AWS SDK for Java 1, so that
/// throttling arrives as `ECS.AmazonECSException`, with the code in the cause as the ECS guide shows it
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/request-throttling.html>).
pub(crate) fn optimized_ecs_failure(error: &ApiError) -> IntegrationFailure {
    let name = if error.code == "SdkClientException" || is_modeled("ecs", &error.code) {
        error.code.as_str()
    } else {
        "AmazonECSException"
    };
    IntegrationFailure {
        error: format!("ECS.{name}"),
        cause: format!(
            "{} (Service: AmazonECS; Status Code: {}; Error Code: {}; Proxy: null)",
            error.message, error.status, error.code
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn errors_are_named_as_step_functions_names_them() {
        let error = |code: &str| ApiError::new(code, "no");
        let names = [
            sdk_failure("ssm", &error("InvalidInstanceId")).error,
            sdk_failure("ssm", &error("ThrottlingException")).error,
            sdk_failure("ec2", &error("InvalidInstanceID.NotFound")).error,
            optimized_ecs_failure(&error("ThrottlingException")).error,
            optimized_ecs_failure(&error("ClusterNotFoundException")).error,
        ];
        assert_eq!(
            names,
            [
                "Ssm.InvalidInstanceIdException",
                "Ssm.SsmException",
                "Ec2.Ec2Exception",
                "ECS.AmazonECSException",
                "ECS.ClusterNotFoundException"
            ]
        );
    }

    #[test]
    fn keys_change_their_case_at_every_depth_and_values_do_not() {
        let pascal = json!({"Tasks": [{"ExitCode": 1, "Name": "aB"}]});
        let camel = json!({"tasks": [{"exitCode": 1, "name": "aB"}]});
        assert_eq!(to_camel(pascal.clone()), camel);
        assert_eq!(to_pascal(camel), pascal);
    }
}
