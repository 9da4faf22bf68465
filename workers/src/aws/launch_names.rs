//! Names that ECS knows a launch by: the same in every version of this program, so that any call finds the others' tasks.

use crate::ids::JobId;
use sha2::{Digest, Sha256};

const PREFIX: &str = "gpu-recovery/";

/// True for the `startedBy` of a job's task.
pub fn is_launch(started_by: &str) -> bool {
    started_by.starts_with(PREFIX)
}

/// The `startedBy` of every task of an attempt, whatever the try: by it ECS finds them all, also those whose RunTask
/// was answered to a worker that died.
pub fn started_by(job: &JobId, attempt: u32) -> String {
    format!("{PREFIX}{}", digest(&format!("{job}/{attempt}"), 16))
}

/// The client token of one rank in one try.
pub fn client_token(job: &JobId, attempt: u32, launch_try: u32, rank: u32) -> String {
    digest(&format!("{job}/{attempt}/{launch_try}/{rank}"), 32)
}

/// The first `bytes` bytes of SHA-256, in hex: the same in every version of this program.
pub fn digest(text: &str, bytes: usize) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .take(bytes)
        .map(|b| format!("{b:02x}"))
        .collect()
}
