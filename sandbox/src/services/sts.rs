//! STS: who asks.

use serde_json::{Value, json};
use simulator::ACCOUNT;

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>; everybody is the operator.
pub fn caller_identity() -> Value {
    json!({
        "Arn": format!("arn:aws:iam::{ACCOUNT}:user/operator"),
        "UserId": "AIDASANDBOXOPERATOR00",
        "Account": ACCOUNT,
    })
}
