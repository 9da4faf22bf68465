//! The scripts of `infra/nodes/`, run by the shells that run them on a node, with stand-ins for what a node has.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod documents;
mod generated;
mod health_check;
mod holders;
mod kernel_lines;
mod kernel_log;
mod node;
mod probe;
mod reboot;
mod recorded;
mod report;
mod said;
mod simulated;
mod tables;
mod template;
mod verdict;
mod wedged;
