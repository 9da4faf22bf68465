//! The recovery's domain and one small worker per step of the flow.
//!
//! A worker is a [`Step`]: one input type, one outcome type, one handler that knows nothing of Lambda.
//! [`all`] lists them; `lambda` wires the one that the function's handler names to the Lambda runtime, the simulator calls
//! them directly.

#[cfg(feature = "aws")]
pub mod aws;
pub mod console;
pub mod context;
pub mod contract;
pub mod diagnosis;
pub mod dynamo;
pub mod error;
pub mod events;
pub mod executions;
pub mod exit;
pub mod fleet;
pub mod ids;
pub mod instances;
pub mod jobs;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod launch;
pub mod launch_names;
pub mod message;
pub mod metrics;
pub mod pace;
pub mod records;
pub mod settings;
pub mod steps;
pub mod stop_event;
mod stopping;
pub mod submit;
pub mod topic;

pub use context::Context;
pub use contract::{Step, Worker};
pub use error::WorkerError;
pub use settings::Settings;
pub use steps::all;
