//! What tasks, GPUs and hosts do, in words.

use super::behaviour::{GpuHealth, RebootOutcome, Run, SsmAgent};
use humantime::format_duration;
use std::fmt;

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("runs until it is stopped"),
            Self::Exits { after, code } => {
                write!(f, "exits with {code} after {}", format_duration(*after))
            }
            Self::AbortsWithGang { after, code } => {
                let after = format_duration(*after);
                write!(f, "exits with {code}, {after} after another one")
            }
            Self::EndsWithoutCode { after } => {
                write!(f, "ends without a code after {}", format_duration(*after))
            }
            Self::Interrupted { after, code } => {
                let after = format_duration(*after);
                write!(f, "is interrupted after {after} and exits with {code}")
            }
            Self::OutOfMemory { after } => {
                write!(f, "is out of memory after {}", format_duration(*after))
            }
            Self::NotStarted { reason } => write!(f, "does not start ({reason})"),
        }
    }
}

impl fmt::Display for GpuHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::FaultUntilReboot => "faulty until a reboot",
            Self::FaultForever => "faulty for good",
            Self::Isolate => "faulty, no reboot helps",
            Self::Misconfigured => "healthy, with wrong settings",
            Self::CheckCrashes => "unknown: the check is lost",
            Self::CheckCrashesOnce => "unknown: the check is lost once",
            Self::ImageUnavailable => "unknown: the check's image cannot be pulled",
            Self::DcgmCrashes(code) => return write!(f, "unknown: DCGM exits with {code}"),
            Self::DcgmHangs => "unknown: DCGM hangs",
            Self::NoExitCode => "off: no container that asks for one starts",
            Self::CannotPlace => "gone for ECS",
        })
    }
}

impl fmt::Display for RebootOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Returns => "returns",
            Self::ReturnsAfter(after) => {
                return write!(f, "returns after {}", format_duration(*after));
            }
            Self::NeverReturns => "never returns",
            Self::HangsInShutdown => "hangs in its shutdown",
            Self::EcsAgentStaysAway => "returns without its ECS agent",
            Self::SsmAgentStaysAway => "returns without its SSM agent",
        })
    }
}

impl fmt::Display for SsmAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Unregistered => "not registered",
        })
    }
}
