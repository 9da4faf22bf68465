//! The workers, one file each.

pub mod await_instance;
pub mod claim_instance;
pub mod claim_job;
pub mod cordon_instance;
pub mod end_check;
pub mod fail_job;
pub mod hold_spares;
pub mod instance_events;
pub mod look_for_lost_stops;
pub mod name_suspects;
pub mod notify_failed_execution;
pub mod notify_operators;
pub mod quarantine_instance;
pub mod record_completion;
pub mod record_user_stop;
pub mod relaunch_job;
pub mod release_suspects;
pub mod stop_siblings;
pub mod uncordon_instance;

mod check_message;
mod find;
mod hung_check;
mod in_use;
mod launch_plan;
mod partial_launch;
mod prepare_checks;
mod reboot_wait;
mod relaunch_history;
mod release;
mod spares;
mod start_ranks;
mod starting;
mod take_back;
mod take_places;
mod user_stop;

use crate::{Step, Worker};

/// What makes a worker. A function makes its own alone: a schema takes milliseconds of the cold start.
type Make = fn() -> Worker;

/// Every worker by its name.
const STEPS: [(&str, Make); 19] = [
    step::<record_completion::RecordCompletion>(),
    step::<record_user_stop::RecordUserStop>(),
    step::<claim_job::ClaimJob>(),
    step::<claim_instance::ClaimInstance>(),
    step::<stop_siblings::StopSiblings>(),
    step::<name_suspects::NameSuspects>(),
    step::<hold_spares::HoldSpares>(),
    step::<cordon_instance::CordonInstance>(),
    step::<await_instance::AwaitInstance>(),
    step::<uncordon_instance::UncordonInstance>(),
    step::<quarantine_instance::QuarantineInstance>(),
    step::<relaunch_job::RelaunchJob>(),
    step::<release_suspects::ReleaseSuspects>(),
    step::<fail_job::FailJob>(),
    step::<end_check::EndCheck>(),
    step::<notify_operators::NotifyOperators>(),
    step::<instance_events::InstanceEvents>(),
    step::<notify_failed_execution::NotifyFailedExecution>(),
    step::<look_for_lost_stops::LookForLostStops>(),
];

const fn step<S: Step>() -> (&'static str, Make) {
    (S::NAME, Worker::of::<S>)
}

/// Every worker of the system.
pub fn all() -> Vec<Worker> {
    STEPS.iter().map(|(_, make)| make()).collect()
}

/// The worker of that name.
pub fn named(name: &str) -> Option<Worker> {
    let (_, make) = STEPS.iter().find(|(known, _)| *known == name)?;
    Some(make())
}

/// The names of all.
pub fn names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|(name, _)| *name)
}
