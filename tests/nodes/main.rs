//! The scripts of `infra/nodes/`, run by the shells that run them on a node, with stand-ins for what a node has.

mod node;
mod said;
mod tables;
