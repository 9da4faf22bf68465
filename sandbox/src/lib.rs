//! The simulated account behind an endpoint on this machine: AWS's own protocols over HTTP, in virtual time that runs.
//!
//! Two threads. One listens, reads HTTP and knows nothing of the account ([`http`], [`protocol`]). The other holds the
//! account and its clock ([`drive`]): it takes the requests one by one, and lets virtual time run between them.

mod account;
pub mod client;
mod control;
pub mod deed;
mod drive;
mod guard;
mod http;
mod journal;
mod logs;
pub mod operations;
mod pace;
mod page;
pub mod patch;
mod protocol;
mod services;
#[cfg(test)]
mod tests;

pub use account::AccountError;
pub use control::{PASS, SPEEDS, Turn};
pub use drive::{Observer, Ready, Sandbox, SandboxError};
pub use journal::JournalError;
pub use page::Page;

use serde::{Deserialize, Serialize};
use simulator::scenario::Scenario;

/// What a new sandbox holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Furniture {
    /// Cluster, job, and what happens to them.
    pub scenario: Scenario,
    /// Free nodes, beside the job's and the spares.
    pub free: u32,
    /// What chance does.
    pub seed: u64,
}
