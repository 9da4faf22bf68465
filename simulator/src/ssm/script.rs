//! The scripts of the recovery, recognized by the contract in their comments; no shell is interpreted.

use crate::ecs::InstanceView;
use std::time::UNIX_EPOCH;

/// What the reboot script exits with when processes use the GPUs.
const GPUS_BUSY: i32 = 75;
/// What it exits with when it comes too late.
const TOO_OLD: i32 = 76;

/// A script that the simulator knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Script {
    /// `# gpu-recovery: reboot once, token=TOKEN`
    RebootOnce {
        token: String,
        /// It asks `nvidia-smi` first and refuses while the GPUs are in use.
        spares_busy_gpus: bool,
        /// `# gpu-recovery: not after=EPOCH_SECONDS`: it refuses from then on.
        not_after: Option<u64>,
    },
    /// `# gpu-recovery: prove boot after=EPOCH_SECONDS`
    ProveBoot { after: u64 },
}

/// How one run of a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Run {
    /// Exit 194, "reboot the node and run me again"
    /// (<https://docs.aws.amazon.com/systems-manager/latest/userguide/send-commands-reboot.html>); the boot id is recorded
    /// under the token, which is here, now.
    Reboot(String),
    Exit {
        code: i32,
        output: String,
    },
}

impl Script {
    /// # Errors
    /// What the simulator knows, when it does not know the script.
    pub fn read(lines: &[String]) -> Result<Self, String> {
        let contract = lines
            .iter()
            .flat_map(|line| line.lines())
            .find_map(|line| line.trim().strip_prefix("# gpu-recovery: "));
        if let Some(token) = contract.and_then(|c| c.strip_prefix("reboot once, token=")) {
            return Ok(Self::RebootOnce {
                token: token.trim().to_owned(),
                not_after: lines
                    .iter()
                    .flat_map(|line| line.lines())
                    .find_map(|l| l.trim().strip_prefix("# gpu-recovery: not after="))
                    .and_then(|at| at.trim().parse::<f64>().ok())
                    .map(|at| at as u64),
                spares_busy_gpus: lines.iter().any(|l| l.contains("--query-compute-apps")),
            });
        }
        let after = contract
            .and_then(|c| c.strip_prefix("prove boot after="))
            .and_then(|after| after.trim().parse::<f64>().ok());
        match after {
            Some(after) => Ok(Self::ProveBoot {
                after: after as u64,
            }),
            None => Err(format!(
                "the simulated node knows scripts with a line '# gpu-recovery: reboot once, token=TOKEN' or \
                 '# gpu-recovery: prove boot after=EPOCH_SECONDS'; this one has {}",
                contract.unwrap_or("neither")
            )),
        }
    }

    /// Runs on a node whose boot id is `recorded` under the token, if it is; `now` in seconds since the Unix epoch.
    pub fn run(&self, node: &InstanceView, recorded: Option<&str>, now: u64) -> Run {
        let exit = |code, output: String| Run::Exit { code, output };
        match self {
            Self::RebootOnce {
                token,
                spares_busy_gpus,
                not_after,
            } => match recorded {
                Some(boot) if boot != node.boot_id => {
                    exit(0, format!("rebooted: boot id {}", node.boot_id))
                }
                _ if not_after.is_some_and(|at| now > at) => {
                    exit(TOO_OLD, "refused: the order is too old".to_owned())
                }
                _ if *spares_busy_gpus && node.gpus_in_use > 0 => exit(
                    GPUS_BUSY,
                    format!("refused: {} processes use the GPUs", node.gpus_in_use),
                ),
                _ => Run::Reboot(token.clone()),
            },
            Self::ProveBoot { after } => {
                let booted = node.booted_at.duration_since(UNIX_EPOCH);
                let booted = booted.map_or(0, |since| since.as_secs());
                exit(i32::from(booted < *after), format!("booted at {booted}"))
            }
        }
    }
}
