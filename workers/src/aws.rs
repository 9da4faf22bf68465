//! Every call of AWS, one module per service or table, in the recovery's words; and what AWS sends us.

pub mod address;
#[cfg(feature = "aws")]
pub mod clients;
pub mod dynamo;
pub mod events;
pub mod executions;
pub mod fleet;
pub mod history;
pub mod instances;
pub mod jobs;
pub mod launch_names;
pub mod marks;
pub mod pace;
pub mod spares;
pub mod stop_event;
pub(crate) mod stopping;
pub mod topic;
mod update;
