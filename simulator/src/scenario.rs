//! Scenarios: what happens to a job, and how it must end. The format of the files in `scenarios/` and of
//! `drill --scenario FILE`.

mod builtin;
mod check;
mod expectations;
mod figures;
mod hosts;
mod looking;
mod plan;
mod play;
mod reached;
mod read;
mod report;
mod spec;
#[cfg(test)]
mod tests;

pub use crate::player::PlayError;
pub use builtin::{builtin, builtins, names};
pub use figures::{Billed, Cost, Phases};
pub use looking::Onlooker;
pub use plan::{JOB, instance_id};
pub use play::{Observer, PlayOptions, play};
pub use report::{ExecutionReport, InstanceReport, NotificationReport, Report};
pub use spec::{
    Action, Delivery, Disconnect, Exit, Expect, InstanceSpec, RankSpec, Scenario, ScenarioError,
    StopTask, Throttle,
};
