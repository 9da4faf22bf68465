//! What passes between the states, and that everything that belongs together carries the same name.

mod definition;
mod format;
mod paths;
mod schemas;
