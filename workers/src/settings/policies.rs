//! What follows from an end, for every job of the stack or for one.

use super::Settings;
use crate::ids::Pool;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// What an abnormal end of a rank leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitPolicy {
    /// The job is recovered.
    Recover,
    /// The job is FAILED: its trainer asked for no recovery by this code.
    Fail,
    /// The operators are told, and nothing else is done.
    Tell,
    /// Nothing is done and nobody is told.
    Ignore,
}

/// What follows when a rank failed and every GPU that was checked is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HealthyPolicy {
    /// The job is FAILED.
    Fail,
    /// It is relaunched in place, within its budget.
    Relaunch,
}

/// What becomes of the other ranks when an operator stops one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonStop {
    /// They are stopped too.
    Gang,
    /// They run on.
    Leave,
}

/// Whether bad nodes are replaced by spares before they are repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpareUse {
    /// Where there are enough of them.
    First,
    Off,
}

/// A job's own policies, over the stack's: kept on its item.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPolicies {
    /// By exit code, or `other`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub on_exit: BTreeMap<String, ExitPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthy: Option<HealthyPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person_stop: Option<PersonStop>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spares: Option<SpareUse>,
    /// Whose spares it may have; the pool `default` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
}

/// The key of [`JobPolicies::on_exit`] for every code that has no own one, and for no code.
pub const OTHER: &str = "other";

impl JobPolicies {
    /// True when the stack's policies are the job's.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in `CODE=POLICY` as `submit --on-exit` has it.
    ///
    /// # Errors
    /// What is wrong with it, and what to give.
    pub fn add_on_exit(&mut self, text: &str) -> Result<(), String> {
        let (code, policy) = text
            .split_once('=')
            .ok_or_else(|| format!("'{text}' has no '='; give CODE=POLICY, like 42=tell"))?;
        let policy: ExitPolicy = policy.parse()?;
        let known = code == OTHER || code.parse::<u8>().is_ok_and(|code| code != 0);
        if !known {
            return Err(format!(
                "'{code}' is no exit code of a failure; give a number from 1 to 255, or {OTHER}"
            ));
        }
        if code == OTHER && policy == ExitPolicy::Fail {
            return Err(format!(
                "'{text}': give recover, tell or ignore for {OTHER}; fail needs a code, by which the trainer asks for it"
            ));
        }
        self.on_exit.insert(code.to_owned(), policy);
        Ok(())
    }
}

impl Settings {
    /// The settings as they are for a job.
    pub fn of_job(&self, policies: &JobPolicies) -> Self {
        let mut own = self.clone();
        for (code, policy) in &policies.on_exit {
            match code.parse() {
                Ok(code) => {
                    own.recoverable_exit_codes.retain(|c| *c != code);
                    own.no_recovery_exit_codes.retain(|c| *c != code);
                    own.exit_policies.insert(code, *policy);
                }
                Err(_) => own.other_exit_policy = *policy,
            }
        }
        own.healthy_policy = policies.healthy.unwrap_or(own.healthy_policy);
        own.person_stop = policies.person_stop.unwrap_or(own.person_stop);
        own.spares = policies.spares.unwrap_or(own.spares);
        own
    }

    /// What this code leads to, when a setting names it.
    pub fn policy_of(&self, code: i32) -> Option<ExitPolicy> {
        if self.no_recovery_exit_codes.contains(&code) {
            Some(ExitPolicy::Fail)
        } else if self.recoverable_exit_codes.contains(&code) {
            Some(ExitPolicy::Recover)
        } else {
            self.exit_policies.get(&code).copied()
        }
    }
}

impl ExitPolicy {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Fail => "fail",
            Self::Tell => "tell",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for ExitPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ExitPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Recover, Self::Fail, Self::Tell, Self::Ignore]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| format!("'{text}' is no policy; give recover, fail, tell or ignore"))
    }
}

impl FromStr for HealthyPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fail" => Ok(Self::Fail),
            "relaunch" => Ok(Self::Relaunch),
            _ => Err(format!("'{text}' is no policy; give fail or relaunch")),
        }
    }
}

impl FromStr for SpareUse {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "first" => Ok(Self::First),
            "off" => Ok(Self::Off),
            _ => Err(format!("'{text}' is no use of spares; give first or off")),
        }
    }
}

impl FromStr for PersonStop {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "gang" => Ok(Self::Gang),
            "leave" => Ok(Self::Leave),
            _ => Err(format!("'{text}' is no policy; give gang or leave")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_of_a_code_is_taken_or_refused_with_what_to_give() {
        let mut policies = JobPolicies::default();
        for good in ["42=tell", "1=ignore", "93=recover", "7=fail", "other=tell"] {
            policies.add_on_exit(good).unwrap();
        }
        assert_eq!(policies.on_exit.len(), 5);
        for (bad, what) in [
            ("42", "give CODE=POLICY"),
            ("0=tell", "from 1 to 255"),
            ("256=tell", "from 1 to 255"),
            ("x=tell", "from 1 to 255"),
            ("42=reboot", "give recover, fail, tell or ignore"),
            ("other=fail", "fail needs a code"),
        ] {
            let error = policies.add_on_exit(bad).unwrap_err();
            assert!(error.contains(what), "{bad}: {error}");
        }
    }
}
