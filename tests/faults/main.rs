//! The promises under every fault: schedules by seed, every failure of every call, bugs of other systems, bad input.

mod determinism;
mod exhaustive;
mod field;
mod input;
mod regressions;
mod schedules;
mod sensitive;
