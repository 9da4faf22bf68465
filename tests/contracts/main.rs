//! What passes between the states, and that everything that belongs together carries the same name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod classify;
mod contributing;
mod definition;
mod design;
mod format;
mod pages;
mod paths;
mod schemas;
