//! The template in `infra/` against the code, the definition and the simulator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod architecture;
mod events;
mod health_check;
mod iam;
mod parameters;
mod permissions;
mod rare_paths;
mod template;
mod wiring;
