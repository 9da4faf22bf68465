//! The parts together: see also tests over HTTP in cli/tests/sandbox.rs.
