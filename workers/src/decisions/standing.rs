//! What a recovery was doing in a state in which it was cut off, and what that means for the job and its instances.

/// A state in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Goes on after "while it was"; `{}` stands for the instance.
    doing: &'static str,
    pub means: &'static str,
}

const UNTOUCHED: &str = "Nothing was stopped, rebooted or relaunched.";
const STOPPED: &str = "Ranks of the job may still run; nothing was rebooted.";
const CHECKING: &str = "Every rank of the job is stopped; nothing was rebooted.";
const CORDONED: &str =
    "The instance is closed to new tasks (DRAINING) and this execution's; it was not rebooted.";
const REBOOTING: &str = "The instance is closed to new tasks (DRAINING) and this execution's; a reboot that was ordered comes whether or not this goes on.";
const VERIFYING: &str = "The instance has rebooted and is ACTIVE again, still this execution's; that it is healthy is not proven.";

/// The states that order the reboot of an instance.
pub fn orders_reboot(state: &str) -> bool {
    matches!(state, "RebootInstance" | "RebootByEc2")
}

/// The state of the definition in words; none of a state that only passes on. `ordered`: the instance's reboot was ordered
/// before; it is asked for its boot id in the same states before and after.
pub fn of(state: &str, ordered: bool) -> Option<Standing> {
    let state = match state {
        "AskNode" | "WaitForAnswer" | "ReadAnswer" if ordered => "WaitForInstanceActive",
        state => state,
    };
    let (doing, means) = match state {
        "RecordCompletion" => ("recording that a rank is done", UNTOUCHED),
        "RecordUserStop" => ("recording an operator's stop", UNTOUCHED),
        "ClaimJob" => ("taking the job", UNTOUCHED),
        "ClaimInstance" => ("taking an instance for a check by hand", UNTOUCHED),
        "EndCheck" => (
            "ending the check by hand",
            "The instance is out of service until this goes on.",
        ),
        "ProbeNodes" | "OrderProbe" | "OrderSmaller" | "OrderSome" => {
            ("asking the nodes what happened", STOPPED)
        }
        "StopSiblings" | "WaitForStop" => ("stopping the job's other ranks", STOPPED),
        "WaitForNodes" | "HearNodes" | "ListAnswers" => ("hearing the nodes", CHECKING),
        "NameSuspects" => ("naming the instances to check", CHECKING),
        "HoldSpares" => ("holding spares", CHECKING),
        "ReleaseSuspects" => (
            "freeing the instances that spares have replaced",
            "The job runs; those instances are still this execution's.",
        ),
        "CheckGpus" | "CheckGroup" | "WaitTurn" => ("checking GPUs", CHECKING),
        "RunDcgm" => ("checking the GPUs of {}", CHECKING),
        "WaitToCheckAgain" => ("waiting to check again", CHECKING),
        "RecoverInstances" => ("repairing instances", CORDONED),
        "CordonInstance" => ("taking {} out of service", CHECKING),
        "AskNode" | "WaitForAnswer" | "ReadAnswer" => ("asking {} for its boot id", CORDONED),
        "RebootInstance" => ("ordering the reboot of {}", CORDONED),
        "ReadOrder" => ("reading what became of the reboot order of {}", REBOOTING),
        "RebootByEc2" => ("rebooting {} by EC2", REBOOTING),
        "WaitForInstanceActive" => ("waiting for {} to come back from its reboot", REBOOTING),
        "UncordonInstance" => ("setting {} ACTIVE again", REBOOTING),
        "VerifyGpus" | "WaitToVerifyAgain" => ("checking {} after its reboot", VERIFYING),
        "QuarantineInstance" => (
            "quarantining {}",
            "The instance is not to be trusted, and may not be closed to new tasks yet.",
        ),
        "RelaunchJob" => (
            "starting the job again",
            "Ranks of the next attempt may run: a replay goes on with them, or stops them first.",
        ),
        "FailJob" => (
            "declaring the job FAILED",
            "The job is given up and not recorded so yet; its instances are not released.",
        ),
        "NotifyOperators" => (
            "telling the operators",
            "The recovery is decided and done; only its message was not sent.",
        ),
        _ => return None,
    };
    Some(Standing { doing, means })
}

impl Standing {
    pub fn doing(&self, instance: Option<&str>) -> String {
        self.doing.replace("{}", instance.unwrap_or("an instance"))
    }
}
