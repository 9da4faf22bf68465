//! What operators do from the command line. No function in Lambda runs it, and no function's role allows its calls.

pub mod hand;
pub mod quarantine_message;
pub mod scan;
pub mod stop;
pub mod stop_message;
pub mod submit;
