//! What follows from what is known, and how it is said: pure functions over data, without a call of AWS.

pub mod chat;
pub mod console;
pub mod diagnosis;
pub mod exit;
pub mod findings;
pub mod instance_check;
pub mod message;
pub mod probe;
pub mod relaunchable;
pub mod spares;
pub mod standing;
pub mod words;
