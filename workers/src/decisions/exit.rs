//! How a task ended: the same rules that Classify applies to the event, for tasks read from ECS; and what follows from an
//! abnormal end by the settings.

use crate::{
    Settings,
    settings::{ExitPolicy, JobPolicies, OTHER},
};

/// The stoppedReason of every StopTask of ours begins with this; the rule and Classify filter on it.
pub const OUR_STOP: &str = "gpu-recovery:";

/// A stop reason of an operator that begins so leaves the other ranks alone, whatever PERSON_STOP says.
pub const KEEP_OTHERS: &str = "keep-others";

/// The stop code of a task that ECS has forgotten, in events of our own (`stop_event`); none of ECS's.
pub const GONE: &str = "Gone";

/// The one stop code with which exit 0 is a completion. With any other the task was interrupted: by a Spot interruption, a
/// scheduler, its host (API_Task, stopCode).
const ENDED_BY_ITSELF: &str = "EssentialContainerExited";

/// Codes that a container leaves when ECS stops it because another one ended: SIGKILL and SIGTERM.
const STOPPED_SIDECAR: [i32; 2] = [137, 143];

/// What the agent writes as a container's reason when the kernel killed it, also beside exit code 0 (ecs-agent#2467).
const OUT_OF_MEMORY: &str = "OutOfMemoryError";

/// What is known of a stopped task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskEnd {
    pub stop_code: Option<String>,
    pub stopped_reason: Option<String>,
    pub containers: Vec<ContainerEnd>,
}

/// What is known of one of its containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerEnd {
    pub name: String,
    /// None when it was killed or never started.
    pub exit_code: Option<i32>,
    pub reason: Option<String>,
    /// It has GPUs of its own (`gpuIds`).
    pub has_gpus: bool,
}

/// How it ended, by the event alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    StoppedByUs,
    StoppedByUser,
    Completed,
    /// Anything else: a failing code, none, killed, interrupted, never started, gone.
    Abnormal,
}

impl TaskEnd {
    /// Sorts the end by who stopped the task first, then by stop code, reasons and the exit codes that count.
    pub fn classify(&self, settings: &Settings) -> Exit {
        let ours = self.reason_begins(OUR_STOP);
        match self.stop_code.as_deref() {
            _ if ours => Exit::StoppedByUs,
            Some("UserInitiated") => Exit::StoppedByUser,
            None | Some(ENDED_BY_ITSELF) if self.is_complete(settings) => Exit::Completed,
            _ => Exit::Abnormal,
        }
    }

    /// A container that counts ended with 0, and every other one that counts with 0 or as ECS stops a sidecar; none was
    /// killed for want of memory.
    fn is_complete(&self, settings: &Settings) -> bool {
        let counting = self.counting(settings);
        let killed = |reason: &Option<String>| {
            reason
                .as_deref()
                .is_some_and(|reason| reason.contains(OUT_OF_MEMORY))
        };
        counting.iter().any(|c| c.exit_code == Some(0))
            && counting.iter().all(|c| {
                c.exit_code
                    .is_some_and(|code| code == 0 || STOPPED_SIDECAR.contains(&code))
            })
            && !killed(&self.stopped_reason)
            && !counting.iter().any(|c| killed(&c.reason))
    }

    /// What an abnormal end leads to: the strongest policy that names one of its codes, a trainer's wish first; else that
    /// of every other end.
    pub fn policy(&self, settings: &Settings) -> ExitPolicy {
        let named: Vec<ExitPolicy> = self
            .counting(settings)
            .iter()
            .filter_map(|c| settings.policy_of(c.exit_code?))
            .collect();
        [
            ExitPolicy::Fail,
            ExitPolicy::Recover,
            ExitPolicy::Tell,
            ExitPolicy::Ignore,
        ]
        .into_iter()
        .find(|policy| named.contains(policy))
        .unwrap_or(settings.other_exit_policy)
    }

    /// Which setting makes [`Self::policy`] what it is, in words; `settings` are the job's, `own` those that came with it.
    pub fn decided_by(&self, settings: &Settings, own: &JobPolicies) -> String {
        let policy = self.policy(settings);
        let mut codes = self
            .counting(settings)
            .into_iter()
            .filter_map(|c| c.exit_code);
        let code = codes.find(|code| settings.policy_of(*code) == Some(policy));
        let by_job = |key: &str| {
            let asked = own.on_exit.get(key)?;
            Some(format!(
                "the job was submitted with --on-exit {key}={asked}"
            ))
        };
        match code {
            Some(code) => by_job(&code.to_string()).unwrap_or_else(|| {
                let setting = match policy {
                    ExitPolicy::Fail => "NO_RECOVERY_EXIT_CODES",
                    _ => "RECOVERABLE_EXIT_CODES",
                };
                format!("exit code {code} is in {setting}")
            }),
            None => by_job(OTHER).unwrap_or_else(|| format!("OTHER_EXIT_POLICY is {policy}")),
        }
    }

    /// The exit code to show for the task: that which decides its policy, else the first that is a failure, else none
    /// where a container has none, else the first there is.
    pub fn exit_code(&self, settings: &Settings) -> Option<i32> {
        let counting = self.counting(settings);
        let codes: Vec<i32> = counting.iter().filter_map(|c| c.exit_code).collect();
        let all_told = codes.len() == counting.len();
        let policy = self.policy(settings);
        codes
            .iter()
            .find(|c| settings.policy_of(**c) == Some(policy))
            .or_else(|| {
                codes
                    .iter()
                    .find(|c| **c != 0 && !STOPPED_SIDECAR.contains(c))
            })
            .or_else(|| codes.iter().find(|c| **c == 0).filter(|_| all_told))
            .or_else(|| codes.first().filter(|_| all_told))
            .copied()
    }

    /// True when an operator asked for the other ranks to be left alone.
    pub fn keeps_others(&self) -> bool {
        self.reason_begins(KEEP_OTHERS)
    }

    /// All that ECS says of why: the task's reason, and those of the containers that count.
    pub fn words(&self, settings: &Settings) -> Option<String> {
        let of_containers = self
            .counting(settings)
            .into_iter()
            .filter_map(|c| Some((c.name.as_str(), c.reason.as_deref()?)));
        let mut words = self.stopped_reason.clone().unwrap_or_default();
        for (name, reason) in of_containers {
            if words.contains(reason) {
                continue;
            }
            if !words.is_empty() {
                words.push_str("; ");
            }
            words.push_str(&format!("{name}: {reason}"));
        }
        (!words.is_empty()).then_some(words)
    }

    fn reason_begins(&self, with: &str) -> bool {
        self.stopped_reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with(with))
    }

    /// The containers that count: the named training container, else those with GPUs, else all.
    fn counting(&self, settings: &Settings) -> Vec<&ContainerEnd> {
        let name = settings.training_container_name.as_deref();
        let named: Vec<_> = self
            .containers
            .iter()
            .filter(|c| name == Some(c.name.as_str()))
            .collect();
        if !named.is_empty() {
            return named;
        }
        let with_gpus: Vec<_> = self.containers.iter().filter(|c| c.has_gpus).collect();
        if with_gpus.is_empty() {
            self.containers.iter().collect()
        } else {
            with_gpus
        }
    }
}

impl Exit {
    /// True when the rank ended by itself in a way that makes its instance a suspect.
    pub fn is_suspect(self) -> bool {
        self == Self::Abnormal
    }
}
