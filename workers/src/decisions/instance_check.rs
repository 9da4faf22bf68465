//! What a check of one instance comes to, that an operator asked for.

use super::diagnosis::{Check, Recovery, Verdict};
use crate::ids::InstanceId;

/// What is true of the instance now, or why it is out of service. What is healthy begins so:
/// [`last_check_passed`](crate::records::InstanceRecord::last_check_passed) reads it.
pub fn word(
    instance: &InstanceId,
    checks: &[Check],
    recoveries: &[Recovery],
) -> Result<String, String> {
    if let Some(repair) = recoveries.iter().find(|r| r.instance == *instance) {
        return match repair.recovered {
            true => Ok(format!("healthy now: {}", repair.detail)),
            false => Err(repair.detail.clone()),
        };
    }
    match checks.iter().find(|c| c.instance == *instance) {
        Some(check) if check.verdict == Verdict::Healthy => Ok(check.verdict.to_string()),
        Some(check) if check.verdict == Verdict::Misconfigured => {
            Ok(format!("{} ({})", check.verdict, check.detail))
        }
        Some(check) => Err(format!("{}: {}", check.verdict, check.detail)),
        None => Err("it was not checked".to_owned()),
    }
}
