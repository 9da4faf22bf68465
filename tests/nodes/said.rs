//! What a script said.

use crate::tables::REMEDIES;
use std::time::Duration;

/// What a script said, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub line: String,
    pub code: Option<i32>,
    pub took: Duration,
}

/// The fields of the probe's one line.
#[derive(Debug)]
pub struct Report {
    pub boot: String,
    pub uptime: u64,
    pub gpus: String,
    pub remedy: String,
    pub cause: String,
    pub age: String,
    pub log: String,
    pub held: String,
}

impl Said {
    /// # Panics
    /// When it is not one line of the probe's form and size.
    pub fn report(&self) -> Report {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.took < Duration::from_secs(10), "{self:?}");
        let line = self
            .line
            .strip_suffix('\n')
            .unwrap_or_else(|| panic!("{self:?}"));
        assert!(
            line.len() <= 120 && line.is_ascii() && !line.contains('\n'),
            "{self:?}"
        );
        let fields: Vec<&str> = line.split(' ').collect();
        let [tag, boot, uptime, gpus, remedy, cause, age, log, held] = fields[..] else {
            panic!("not nine fields: {line}");
        };
        assert_eq!(tag, "probe1");
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        assert!(REMEDIES.contains(&remedy), "{line}");
        assert_eq!(remedy == "none", cause == "-", "{line}");
        assert!(
            ["-", "hung", "act?"].contains(&cause)
                || ["xid", "sxid", "act", "smi"]
                    .iter()
                    .any(|kind| cause.strip_prefix(kind).is_some_and(number)),
            "{line}"
        );
        assert_eq!(
            number(age),
            cause.contains("xid"),
            "only a line has an age: {line}"
        );
        assert!(["full", "part", "none"].contains(&log), "{line}");
        assert!(
            ["none", "task", "orphan", "login", "?"].contains(&held),
            "{line}"
        );
        Report {
            boot: boot.into(),
            uptime: uptime.parse().unwrap(),
            gpus: gpus.into(),
            remedy: remedy.into(),
            cause: cause.into(),
            age: age.into(),
            log: log.into(),
            held: held.into(),
        }
    }
}

impl Report {
    pub fn verdict(&self) -> (&str, &str) {
        (&self.remedy, &self.cause)
    }
}
