//! What a node's probe says: the one line of `infra/nodes/probe.sh` (docs/node-scripts.md).

use crate::{aws::launch_names::digest, ids::InstanceId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the evidence asks for, from weak to strong. The last three are hardware words: a reset is treated as a reboot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    None,
    RestartApp,
    Inspect,
    Reset,
    Reboot,
    NoRebootHelps,
}

impl Word {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RestartApp => "restart-app",
            Self::Inspect => "inspect",
            Self::Reset => "reset",
            Self::Reboot => "reboot",
            Self::NoRebootHelps => "no-reboot-helps",
        }
    }

    fn read(word: &str) -> Option<Self> {
        let all = [
            Self::None,
            Self::RestartApp,
            Self::Inspect,
            Self::Reset,
            Self::Reboot,
            Self::NoRebootHelps,
        ];
        all.into_iter().find(|known| known.as_str() == word)
    }

    /// True when the GPU itself is accused: a reboot can help, or nothing can.
    pub fn is_hardware(self) -> bool {
        self >= Self::Reset
    }
}

/// One node's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Everything else is true of this boot only.
    pub boot_id: String,
    /// Seconds since the boot.
    pub uptime: u64,
    /// Number and digest of the GPUs' UUIDs.
    pub gpus: String,
    pub word: Word,
    /// What the word was taken from: `xid79`, `act2`, ...
    pub cause: String,
    /// Seconds since the line that it was taken from, by the node's own clock.
    pub age: Option<u64>,
    /// The kernel's log reaches back to the attempt's start and was read to its end.
    pub log_is_whole: bool,
    /// Who has a GPU open: `none`, `task`, `orphan`, `login`, `?`.
    pub held: String,
}

impl Answer {
    /// Reads the line; `None` for anything else than a probe's answer.
    pub fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        let ["probe1", boot_id, uptime, gpus, word, cause, age, log, held] = words[..] else {
            return None;
        };
        if !is_boot_id(boot_id) {
            return None;
        }
        Some(Self {
            boot_id: boot_id.to_owned(),
            uptime: uptime.parse().ok()?,
            gpus: gpus.to_owned(),
            word: Word::read(word)?,
            cause: cause.to_owned(),
            age: match age {
                "-" => None,
                age => Some(age.parse().ok()?),
            },
            log_is_whole: log == "full",
            held: held.to_owned(),
        })
    }
}

/// As the kernel writes it: a UUID in lower case.
pub fn is_boot_id(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| hex(part))
}

/// A set of GPUs as the probe tells it: number, and the first 12 digits of the SHA-256 of the sorted UUIDs, one a line.
pub fn gpu_set<'a>(uuids: impl IntoIterator<Item = &'a str>) -> String {
    let mut sorted: Vec<&str> = uuids.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let lines: String = sorted.iter().map(|uuid| format!("{uuid}\n")).collect();
    format!("{}:{}", sorted.len(), digest(&lines, 6))
}

/// The nodes to check for what they say of themselves: a hardware word, or `inspect`, which is a lead. A line of a link is an
/// echo when another node has an older or a stronger word: the GPU at the other end of the link tells it too.
pub fn suspects<'a>(said: &BTreeMap<&'a InstanceId, &Answer>) -> BTreeSet<&'a InstanceId> {
    let leads = said
        .iter()
        .filter(|(_, answer)| answer.word >= Word::Inspect);
    leads
        .clone()
        .filter(|(id, answer)| {
            let mut others = leads.clone().filter(|(other, _)| other != id);
            !(answer.is_of_a_link() && others.any(|(_, other)| other.comes_before(answer)))
        })
        .map(|(id, _)| *id)
        .collect()
}

impl Answer {
    /// 74, 137 and 144 to 150: told of NVLink and NVSwitch, by both ends (NVIDIA's Xid catalog).
    fn is_of_a_link(&self) -> bool {
        let xid = self.cause.strip_prefix("xid").and_then(|n| n.parse().ok());
        xid.is_some_and(|xid: u32| matches!(xid, 74 | 137 | 144..=150))
    }

    /// Stronger, or older by the nodes' own clocks; what has no age is no older than anything.
    fn comes_before(&self, other: &Self) -> bool {
        self.word > other.word || (self.age.is_some() && self.age > other.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "probe1 4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09 90000 8:96a1860f094d reboot xid79 12 full none";

    #[test]
    fn the_line_is_read_word_by_word() {
        let answer = Answer::read(LINE).unwrap();
        assert_eq!(answer.boot_id, "4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09");
        assert_eq!(
            (answer.uptime, answer.gpus.as_str()),
            (90_000, "8:96a1860f094d")
        );
        assert_eq!(
            (answer.word, answer.cause.as_str()),
            (Word::Reboot, "xid79")
        );
        assert_eq!((answer.age, answer.log_is_whole), (Some(12), true));
        assert_eq!(answer.held, "none");
    }

    #[test]
    fn whatever_else_a_node_says_is_no_answer() {
        for line in [
            "",
            "bad parameter: AttemptSeconds takes 1 to 8 digits",
            &LINE.replace("probe1", "probe2"),
            &LINE.replace("4f3c", "4F3C"),
            &LINE.replace("reboot", "explode"),
            &LINE.replace(" 12 ", " soon "),
            &format!("{LINE} more"),
        ] {
            assert_eq!(Answer::read(line), None, "{line}");
        }
    }

    /// As docs/node-scripts.md gives it for the two GPUs of the probe's tests.
    #[test]
    fn a_set_of_gpus_is_told_as_the_probe_tells_it() {
        let uuids = [
            "GPU-22222222-2222-2222-2222-222222222222",
            "GPU-11111111-1111-1111-1111-111111111111",
        ];
        assert_eq!(gpu_set(uuids), "2:96a1860f094d");
    }

    #[test]
    fn hardware_words_are_the_last_three() {
        assert!(!Word::Inspect.is_hardware() && Word::Reset.is_hardware());
        assert!(Word::NoRebootHelps.is_hardware());
    }
}
