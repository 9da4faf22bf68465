//! The template in `infra/` against the code, the definition and the simulator.

mod events;
mod health_check;
mod iam;
mod parameters;
mod permissions;
mod rare_paths;
mod template;
mod wiring;
