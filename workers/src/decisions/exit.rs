//! How a task ended: the same rules that ClassifyExit applies to the event, for tasks read from ECS.

use crate::Settings;

/// The stoppedReason of every StopTask of ours begins with this; the rule and ClassifyExit filter on it.
pub const OUR_STOP: &str = "gpu-recovery:";

/// The stop code of a task that ECS has forgotten, in events of our own (`stop_event`); none of ECS's.
pub const GONE: &str = "Gone";

/// Codes that a container leaves when ECS stops it because another one ended: SIGKILL and SIGTERM.
const STOPPED_SIDECAR: [i32; 2] = [137, 143];

/// What is known of a stopped task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskEnd {
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    /// Name and exit code of each container; a killed or never started one has no code.
    pub containers: Vec<(String, Option<i32>)>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    StoppedByUs,
    StoppedByUser,
    /// A recoverable exit code, or the task never started.
    Failed,
    Completed,
    /// Any other code, or none.
    Other,
}

impl TaskEnd {
    /// Sorts the end by stop code first, then by the exit codes that count.
    pub fn classify(&self, settings: &Settings) -> Exit {
        let ours = self
            .stopped_reason
            .as_deref()
            .is_some_and(|r| r.starts_with(OUR_STOP));
        let codes = self.counting_codes(settings);
        match self.stop_code.as_deref() {
            _ if ours => Exit::StoppedByUs,
            Some("UserInitiated") => Exit::StoppedByUser,
            Some("TaskFailedToStart" | GONE) => Exit::Failed,
            _ if codes
                .iter()
                .any(|c| settings.recoverable_exit_codes.contains(c)) =>
            {
                Exit::Failed
            }
            _ if codes.contains(&0)
                && codes.iter().all(|c| *c == 0 || STOPPED_SIDECAR.contains(c)) =>
            {
                Exit::Completed
            }
            _ => Exit::Other,
        }
    }

    /// The exit code to show for the task: the first that is a failure, else the first there is.
    pub fn exit_code(&self, settings: &Settings) -> Option<i32> {
        let codes = self.counting_codes(settings);
        codes
            .iter()
            .find(|c| settings.recoverable_exit_codes.contains(c))
            .or_else(|| {
                codes
                    .iter()
                    .find(|c| **c != 0 && !STOPPED_SIDECAR.contains(c))
            })
            .or_else(|| codes.iter().find(|c| **c == 0))
            .or_else(|| codes.first())
            .copied()
    }

    fn counting_codes(&self, settings: &Settings) -> Vec<i32> {
        let name = settings.training_container_name.as_deref();
        self.containers
            .iter()
            .filter(|(container, _)| name.is_none_or(|n| n == container))
            .filter_map(|(_, code)| *code)
            .collect()
    }
}

impl Exit {
    /// True when the rank ended by itself in a way that makes its instance a suspect.
    pub fn is_suspect(self) -> bool {
        matches!(self, Self::Failed | Self::Other)
    }
}
