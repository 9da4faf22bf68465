//! The workers, one file each.

pub mod await_instance;
pub mod claim_job;
pub mod cordon_instance;
pub mod fail_job;
pub mod instance_events;
pub mod look_for_lost_stops;
pub mod notify_failed_execution;
pub mod notify_operators;
pub mod quarantine_instance;
pub mod record_completion;
pub mod record_user_stop;
pub mod relaunch_job;
pub mod stop_siblings;
pub mod uncordon_instance;

mod find;
mod partial_launch;
mod reboot_wait;
mod take_back;

use crate::Worker;

/// Every worker of the system.
pub fn all() -> Vec<Worker> {
    vec![
        Worker::of::<record_completion::RecordCompletion>(),
        Worker::of::<record_user_stop::RecordUserStop>(),
        Worker::of::<claim_job::ClaimJob>(),
        Worker::of::<stop_siblings::StopSiblings>(),
        Worker::of::<cordon_instance::CordonInstance>(),
        Worker::of::<await_instance::AwaitInstance>(),
        Worker::of::<uncordon_instance::UncordonInstance>(),
        Worker::of::<quarantine_instance::QuarantineInstance>(),
        Worker::of::<relaunch_job::RelaunchJob>(),
        Worker::of::<fail_job::FailJob>(),
        Worker::of::<notify_operators::NotifyOperators>(),
        Worker::of::<instance_events::InstanceEvents>(),
        Worker::of::<notify_failed_execution::NotifyFailedExecution>(),
        Worker::of::<look_for_lost_stops::LookForLostStops>(),
    ]
}
