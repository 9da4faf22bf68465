//! What a recovery costs and how fast it is: counted and timed in the simulated account, and checked against
//! docs/benchmarks.md.

pub mod cold;
pub mod cost;
pub mod first_build;
pub mod flame;
pub mod overhead;
pub mod page;
pub mod site;
pub mod spares;
pub mod speed;
pub mod storm;
mod unrelated;
pub mod usage;
