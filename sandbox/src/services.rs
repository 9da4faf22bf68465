//! What answers for each service: the simulated one where there is one, else what the deployed stack is known to have.

mod cloudformation;
mod ecs;
mod events;
mod lambda;
mod logs;
mod page;
mod sns;
mod ssm;
mod sts;

use crate::account::Account;
use serde_json::Value;
use simulator::wire::ApiError;

/// As the template names everything.
const PREFIX: &str = "gpu-recovery";

/// Answers an operation.
///
/// # Errors
/// The service's own.
pub async fn answer(
    account: &Account,
    service: &str,
    action: &str,
    body: Value,
) -> Result<Value, ApiError> {
    match (service, action) {
        ("cloudformation", _) => cloudformation::answer(account, &body),
        ("ecs", "ListAttributes") => ecs::list_attributes(account, &body),
        ("events", _) => events::answer(account, action, &body),
        ("lambda", _) => lambda::answer(account, action, &body),
        ("logs", _) => logs::answer(account, action, &body),
        ("sns", "Subscribe") => sns::subscribe(account, &body),
        ("ssm", "DescribeInstanceInformation") => {
            ssm::describe_instance_information(account, &body)
        }
        ("ssm", _) => simulated(account, service, action, body)
            .await
            .map(ssm::on_the_wire),
        ("sts", _) => Ok(sts::caller_identity()),
        _ => simulated(account, service, action, body).await,
    }
}

async fn simulated(
    account: &Account,
    service: &str,
    action: &str,
    body: Value,
) -> Result<Value, ApiError> {
    let answer = account.cloud.wire.answer_at_once(service, action, body);
    answer.await.unwrap_or_else(|| {
        let says = format!("The simulated cloud has no service {service}.");
        Err(ApiError::new("InternalFailure", says).with_status(500))
    })
}

/// A member that is a text.
fn text<'a>(body: &'a Value, member: &str) -> Option<&'a str> {
    body.get(member).and_then(Value::as_str)
}

/// What services say of a member that is missing.
fn missing(member: &str) -> ApiError {
    ApiError::new(
        "ValidationException",
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ),
    )
}
