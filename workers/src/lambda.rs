//! The program of the Lambda functions.

pub mod metrics;
#[cfg(feature = "lambda")]
mod serve;

#[cfg(feature = "lambda")]
pub use serve::serve;
