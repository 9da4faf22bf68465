//! The recovery's domain and one small worker per step of the flow.
//!
//! A worker is a [`Step`]: one input type, one outcome type, one handler that knows nothing of Lambda.
//! [`all`] lists them; [`lambda`] wires the one that the function's handler names to the Lambda runtime, the simulator
//! calls them directly.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`ids`], [`settings`], [`context`], [`error`], [`contract`] | what every other module uses |
//! | [`records`] | the items of the two tables |
//! | [`aws`] | every call of AWS, in the recovery's words |
//! | [`decisions`] | what follows from what is known: pure, without a call |
//! | [`steps`] | the workers, one file each |
//! | [`lambda`] | the program of the Lambda functions |
//! | [`desk`] | what operators do; no function in Lambda runs it |

pub mod aws;
pub mod context;
pub mod contract;
pub mod decisions;
pub mod desk;
pub mod error;
pub mod ids;
pub mod lambda;
pub mod records;
pub mod settings;
pub mod steps;

pub use context::Context;
pub use contract::{Step, Worker};
pub use error::WorkerError;
pub use settings::Settings;
pub use steps::all;
