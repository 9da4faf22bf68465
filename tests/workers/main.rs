//! Each worker by itself, against the simulated account: its outcomes, its errors, and what it leaves behind when it is
//! called twice, at once, late, or killed half way.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod await_instance;
mod bad_input;
mod claim_instance;
mod claim_job;
mod cordon_instance;
mod corrupt_records;
mod end_check;
mod exit;
mod fail_job;
mod history;
mod hold_spares;
mod instance_events;
mod look_for_lost_stops;
mod name_suspects;
mod notify_failed_execution;
mod notify_operators;
mod quarantine_instance;
mod reboot;
mod record_completion;
mod record_user_stop;
mod relaunch_job;
mod release_suspects;
mod settings;
mod stop_siblings;
mod submit;
mod uncordon_instance;
mod zombie;
