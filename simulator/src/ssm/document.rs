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
    Reboot { boot_id: String },
}

impl Script {
    /// # Errors
    /// `InvalidDocument`, and `InvalidParameters` for what the document's `allowedPattern` does not let through (Systems
    /// Manager user guide, "Data elements and parameters").
    pub fn read(document: &str, parameters: &Value) -> Result<Self, ApiError> {
        match document {
            PROBE => {
                let since = one(parameters, "AttemptSeconds")?;
                let digits =
                    (1..=8).contains(&since.len()) && since.bytes().all(|b| b.is_ascii_digit());
                let since = since.parse().ok().filter(|_| digits);
                since
                    .map(|since| Self::Probe { since })
                    .ok_or_else(|| refused("AttemptSeconds"))
            }
            REBOOT => {
                let boot_id = one(parameters, "BootId")?;
                if is_boot_id(boot_id) {
                    Ok(Self::Reboot {
                        boot_id: boot_id.to_owned(),
                    })
                } else {
                    Err(refused("BootId"))
                }
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
            Self::Reboot { boot_id } => node.reboot(boot_id),
        }
    }
}

/// A document's parameter of type String is given as a list of one text.
fn one<'a>(parameters: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    let names = parameters.as_object().into_iter().flatten();
    let list = parameters[name].as_array().map(Vec::as_slice);
    match list {
        Some([text]) if names.count() == 1 => text.as_str().ok_or_else(|| refused(name)),
        _ => Err(refused(name)),
    }
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
