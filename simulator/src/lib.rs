//! AWS on one machine, in virtual time: for drills and tests.

/// The simulated account.
pub const ACCOUNT: &str = "123456789012";
/// The simulated region.
pub const REGION: &str = "us-east-1";

pub mod calm;
pub mod chaos;
pub mod clock;
pub mod cloud;
pub mod deeds;
mod duration;
pub mod dynamodb;
pub mod ec2;
pub mod ecs;
pub mod eventbridge;
pub mod faults;
pub mod glance;
pub mod integrations;
mod kernel;
pub mod lambda;
pub mod launcher;
pub mod node;
mod object;
mod operator;
pub mod plan;
pub mod player;
mod promises;
pub mod rules;
pub mod scenario;
pub mod sns;
pub mod ssm;
pub mod stand_by;
pub mod states;
pub mod tap;
pub mod throttle;
pub mod wire;

pub use ::stepfunctions;
pub use ::stepfunctions::dice;

/// True in the profile `sim`, whose folder the binary lies in: tests play all there is then, else a sample.
pub fn optimized() -> bool {
    std::env::current_exe().is_ok_and(|path| path.iter().any(|part| part == "sim"))
}
