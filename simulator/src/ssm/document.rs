//! The documents of the stack: what SSM refuses before anything is sent, and what runs on the node.

use crate::{
    node::{Node, Said},
    wire::ApiError,
};
use serde_json::Value;
use std::time::Duration;

/// The template's names with its default prefix.
pub const PROBE: &str = "gpu-recovery-probe";
pub const REBOOT: &str = "gpu-recovery-reboot";

/// The step's `timeoutSeconds` in the template; the same for both.
pub(super) const EXECUTION: Duration = Duration::from_secs(60);

/// A command's document with its parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Script {
    Probe { since: u64 },
    Reboot { boot_id: String, until: u64 },
}

impl Script {
    /// # Errors
    /// `InvalidDocument`, and `InvalidParameters` for what the document's `allowedPattern` does not let through (Systems
    /// Manager user guide, "Data elements and parameters").
    pub fn read(document: &str, parameters: &Value) -> Result<Self, ApiError> {
        match document {
            PROBE => {
                let since = text(parameters, "AttemptSeconds", 1)?;
                let since = digits(since, 8).ok_or_else(|| refused("AttemptSeconds"))?;
                Ok(Self::Probe { since })
            }
            REBOOT => {
                let boot_id = text(parameters, "BootId", 2)?;
                let until = text(parameters, "UntilUptime", 2)?;
                let until = digits(until, 9).ok_or_else(|| refused("UntilUptime"))?;
                if !is_boot_id(boot_id) {
                    return Err(refused("BootId"));
                }
                let boot_id = boot_id.to_owned();
                Ok(Self::Reboot { boot_id, until })
            }
            _ => Err(ApiError::new(
                "InvalidDocument",
                format!("Document with name {document} does not exist."),
            )),
        }
    }

    pub fn document(&self) -> &'static str {
        match self {
            Self::Probe { .. } => PROBE,
            Self::Reboot { .. } => REBOOT,
        }
    }

    pub fn run(&self, node: &Node) -> Said {
        match self {
            Self::Probe { since } => node.probe(*since),
            Self::Reboot { boot_id, until } => node.reboot(boot_id, *until),
        }
    }
}

/// One of so many parameters of a document; of type String, it is given as a list of one text.
fn text<'a>(parameters: &'a Value, name: &str, of: usize) -> Result<&'a str, ApiError> {
    let names = parameters.as_object().into_iter().flatten();
    let list = parameters[name].as_array().map(Vec::as_slice);
    match list {
        Some([text]) if names.count() == of => text.as_str().ok_or_else(|| refused(name)),
        _ => Err(refused(name)),
    }
}

fn digits(text: &str, most: usize) -> Option<u64> {
    let digits = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn refused(name: &str) -> ApiError {
    ApiError::new(
        "InvalidParameters",
        format!("Parameter {name} is missing, or does not match the document's allowedPattern."),
    )
}

fn is_boot_id(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| hex(part))
}
