//! Promises of the engine.

mod accepted;
mod api;
mod definitions;
mod errors;
mod history;
mod maps;
mod mocks;
mod queries;
mod redrive;
mod states;
mod support;
mod tokens;
mod words;
