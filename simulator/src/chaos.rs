//! Chaos: from one seed a cluster, its jobs, a bad day for them, and the faults of every AWS call; played to the end in
//! virtual time, with the promises of docs/design.md checked all along.
//!
//! One seed gives one trace, byte for byte. What a schedule may hold is in [`draw`]; what is checked in `crate::promises`.

mod contest;
mod draw;
mod errors;
mod field;
mod large;
mod pace;
mod play;
mod report;
mod stops;
mod store;
mod storm;
mod trace;
mod words;

use crate::dice;
pub use crate::plan::{Again, Deed, Job, Later, Node, Plan, Storm, Strike};
pub use errors::FaultKind;
pub use play::{ChaosOptions, calls_of, play_chaos, play_plan};
pub use report::{ChaosReport, Counts};
pub use trace::{trace_chaos, trace_plan};
