//! What the tests share: a simulated account with the system in it, and a hand on its clock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod chaos;
pub mod ends;
pub mod faults;
pub mod fixtures;
pub mod items;
pub mod planted;

mod world;

/// With glibc's, schedules take a tenth longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub use world::{Doing, JOB, Recovery, World, instance_id, launch, settings, start_job};
