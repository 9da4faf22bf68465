//! The scripts of `infra/nodes/`, run by the shells that run them on a node, with stand-ins for what a node has.

mod generated;
mod holders;
mod kernel_lines;
mod kernel_log;
mod node;
mod probe;
mod reboot;
mod said;
mod tables;
mod wedged;
