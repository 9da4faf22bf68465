//! What came of a recovery, in one line: the subject of its message, and how every command and picture words it.

use super::NotifyOperatorsInput;
use crate::{
    decisions::{
        diagnosis::{Check, Place, Reason, Recovery, Verdict},
        message::Severity,
        words::{about, counted, instances},
    },
    steps::claim_job::Failure,
};

/// What every subject begins with.
const PREFIX: &str = "[gpu-recovery] ";

/// Which message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Recovered,
    Failed,
    Stopped,
    Told,
    /// An instance that an operator had checked is in service.
    Checked,
    /// It is not, or one that a spare has replaced could not be brought back.
    Quarantined,
}

impl Kind {
    pub fn of(reason: Reason) -> Self {
        match reason {
            Reason::Recovered => Self::Recovered,
            Reason::EndedAndTold => Self::Told,
            Reason::Checked => Self::Checked,
            Reason::NotRepaired => Self::Quarantined,
            Reason::UserStopped | Reason::UserStoppedRank => Self::Stopped,
            Reason::NoGpuFault
            | Reason::AskedByTrainer
            | Reason::CheckInDoubt
            | Reason::NoRecoveryLeft
            | Reason::InstancesNotRecovered
            | Reason::TasksNotStopped
            | Reason::RelaunchNotPlaced
            | Reason::RelaunchDidNotStart => Self::Failed,
        }
    }

    /// The attribute `event`.
    pub fn event(self) -> &'static str {
        match self {
            Self::Recovered => "JobRecovered",
            Self::Failed => "JobFailed",
            Self::Stopped => "JobStopped",
            Self::Told => "Told",
            Self::Checked => "InstanceChecked",
            Self::Quarantined => "InstanceQuarantined",
        }
    }

    pub fn severity(self) -> Severity {
        match self {
            Self::Recovered | Self::Stopped | Self::Checked => Severity::Info,
            Self::Failed | Self::Told | Self::Quarantined => Severity::Error,
        }
    }

    pub(in crate::steps) fn word(self) -> &'static str {
        match self {
            Self::Recovered => "RECOVERED",
            Self::Failed => "FAILED",
            Self::Stopped => "STOPPED",
            Self::Told => "TOLD",
            Self::Checked => "CHECKED",
            Self::Quarantined => "QUARANTINED",
        }
    }
}

/// `[gpu-recovery] RECOVERED llama-7b in 13 min: rebooted i-… (rank 3)`; `took` is in seconds.
pub fn subject(input: &NotifyOperatorsInput, took: Option<i64>) -> String {
    let kind = Kind::of(input.reason);
    let took = match (kind, took) {
        (Kind::Recovered | Kind::Failed, Some(took)) => match kind {
            Kind::Recovered => format!(" in {}", about(took)),
            _ => format!(" after {}", about(took)),
        },
        _ => String::new(),
    };
    let (word, job, text) = (kind.word(), &input.job_id, text(input));
    format!("{PREFIX}{word} {job}{took}: {text}")
}

/// The line of a subject, and its word and text alone, for a table that has the job and the time in other columns.
pub fn of_subject(subject: &str) -> Option<(&str, String)> {
    let line = subject.strip_prefix(PREFIX)?;
    let (head, text) = line.split_once(": ")?;
    let word = head.split(' ').next()?;
    Some((line, format!("{word}: {text}")))
}

/// What was done or stands in the way.
fn text(input: &NotifyOperatorsInput) -> String {
    let failure = &input.failure;
    let (rank, others) = (failure.rank, input.nodes.saturating_sub(1));
    match input.reason {
        Reason::Recovered => match repaired(&input.recoveries).or_else(|| moved(&input.places)) {
            Some(done) => done,
            None => "relaunched in place, no GPU fault found".to_owned(),
        },
        Reason::NoGpuFault => format!("rank {rank} {}, no GPU fault found", ended(failure)),
        Reason::AskedByTrainer if input.not_placed.is_some() => {
            "a rank asked for no recovery during the relaunch".to_owned()
        }
        Reason::AskedByTrainer => {
            let code = failure.exit_code;
            let code = code.map_or(String::new(), |code| format!(" (exit code {code})"));
            format!("rank {rank} asked for no recovery{code}")
        }
        Reason::Checked => Reason::Checked.words().to_owned(),
        Reason::EndedAndTold => format!("rank {rank} {}, nothing was done", ended(failure)),
        Reason::UserStopped if others == 0 => format!("an operator stopped rank {rank}"),
        Reason::UserStopped => format!(
            "an operator stopped rank {rank}, {} stopped too",
            the_others(others, "was", "were")
        ),
        Reason::UserStoppedRank => match others {
            0 => format!("an operator stopped rank {rank}"),
            _ => format!(
                "an operator stopped rank {rank}, {} on",
                the_others(others, "runs", "run")
            ),
        },
        Reason::CheckInDoubt => {
            let bad = |c: &&Check| !matches!(c.verdict, Verdict::Healthy | Verdict::Misconfigured);
            let (bad, all) = (input.checks.iter().filter(bad).count(), input.checks.len());
            format!("{bad} of {all} GPU checks failed, the check is in doubt")
        }
        Reason::NoRecoveryLeft => match repaired(&input.recoveries) {
            Some(repaired) => format!("{repaired}, but no relaunch is left"),
            None => "no relaunch is left".to_owned(),
        },
        Reason::InstancesNotRecovered | Reason::NotRepaired => {
            let left = input.recoveries.iter().filter(|r| !r.recovered);
            let left = instances(left.map(|r| (&r.instance, r.rank)));
            format!("could not repair {left}")
        }
        Reason::TasksNotStopped => match input.stuck.as_slice() {
            [] => Reason::TasksNotStopped.words().to_owned(),
            [one] => format!(
                "rank {} does not stop{}",
                one.rank,
                on(one.instance.as_ref())
            ),
            many => format!("{} do not stop", counted(many.len(), "rank")),
        },
        reason @ (Reason::RelaunchNotPlaced | Reason::RelaunchDidNotStart) => {
            reason.words().to_owned()
        }
    }
}

fn moved(places: &[Place]) -> Option<String> {
    match places {
        [] => None,
        [one] => Some(format!("rank {} moved to spare {}", one.rank, one.instance)),
        many => Some(format!("{} moved to spares", counted(many.len(), "rank"))),
    }
}

fn repaired(recoveries: &[Recovery]) -> Option<String> {
    let repaired: Vec<_> = recoveries.iter().filter(|r| r.recovered).collect();
    if repaired.is_empty() {
        return None;
    }
    // One that another recovery has rebooted meanwhile was not rebooted by this one.
    let all = repaired.iter().all(|r| r.detail.starts_with("rebooted"));
    let word = if all { "rebooted" } else { "repaired" };
    let who = instances(repaired.iter().map(|r| (&r.instance, r.rank)));
    Some(format!("{word} {who}"))
}

/// `the other 7 ranks were`, `the other rank was`.
pub(super) fn the_others(number: u32, is: &str, are: &str) -> String {
    match number {
        1 => format!("the other rank {is}"),
        _ => format!("the other {number} ranks {are}"),
    }
}

pub(super) fn on(instance: Option<&crate::ids::InstanceId>) -> String {
    instance.map_or(String::new(), |i| format!(" on {i}"))
}

/// How a rank ended, with the rank as the subject of the sentence.
pub(super) fn ended(failure: &Failure) -> String {
    match (failure.exit_code, failure.stop_code.as_deref()) {
        (_, Some("UserInitiated")) => "was stopped by an operator".to_owned(),
        (Some(code), Some("SpotInterruption" | "TerminationNotice")) => {
            format!("was interrupted (exit code {code})")
        }
        (Some(code), _) => format!("exited with code {code}"),
        (None, Some("TaskFailedToStart")) => "did not start".to_owned(),
        (None, Some("SpotInterruption" | "TerminationNotice")) => "was interrupted".to_owned(),
        (None, _) => "ended without an exit code".to_owned(),
    }
}
