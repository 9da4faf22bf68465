//! A sandbox that is kept: what it was made of, and everything that was done to it, each with its virtual time.
//!
//! One seed gives one course of things, so that doing the same again at the same times leads to the same account. A line
//! also says how much had happened until then; when that is another number now, the program or its definition has changed,
//! and the sandbox is refused instead of being taken for the old one.

use crate::{Furniture, deed::Deed};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{
    fs::{self, File, OpenOptions},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What the directory holds.
const JOURNAL: &str = "journal.jsonl";
const NOW: &str = "now";
const NEW_NOW: &str = "now.new";

/// Why a sandbox cannot be kept or taken up.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{0} cannot be used to keep the sandbox: {1}")]
    Unusable(PathBuf, io::Error),
    #[error("{0} is used by another sandbox that runs")]
    InUse(PathBuf),
    #[error(
        "{0}: line {1} is not what a sandbox writes: {2}; remove the directory, or name another"
    )]
    Broken(PathBuf, usize, String),
    #[error(
        "{0} was kept by another version of gpu-recovery or of its state machine, and would not go on the same way; remove \
         the directory, or name another"
    )]
    OtherVersion(PathBuf),
    #[error(
        "{0} holds a sandbox already, with other nodes, spares, free nodes, seed or scenario; leave those out to take it up, or name \
         another directory"
    )]
    OtherFurniture(PathBuf),
    #[error(
        "{0} does not play the same any more from line {1} on: another version of gpu-recovery has kept it; remove the \
         directory, or name another"
    )]
    Differs(PathBuf, usize),
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    version: String,
    /// Milliseconds since the Unix epoch that its clock showed at first.
    start: u64,
    furniture: Furniture,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Nanoseconds since the account was made.
    pub at: u64,
    /// How many events there had been.
    pub seen: u64,
    pub what: Done,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Done {
    Call {
        service: String,
        action: String,
        body: Value,
    },
    Deed(Deed),
}

/// Where a kept sandbox is to be taken up.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub entries: Vec<Entry>,
    pub until: Duration,
}

/// The file that is written; the lock on it goes with the process.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
}

/// What a sandbox that plays the same has: the program's version, and the definition's text.
fn version() -> String {
    let mut hash = DefaultHasher::new();
    simulator::cloud::RECOVERY.hash(&mut hash);
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hash.finish())
}

impl Journal {
    /// Opens a directory. A new one is furnished with `wanted`; one that holds a sandbox already must hold that one, or
    /// `wanted` is `None`. The answer also says what the clock showed at first, and what was done until now.
    ///
    /// # Errors
    /// When the directory cannot be used, or what is in it cannot be taken up.
    pub fn open(
        directory: &Path,
        wanted: Option<&Furniture>,
        otherwise: &Furniture,
        now: SystemTime,
    ) -> Result<(Self, Furniture, SystemTime, Past), JournalError> {
        let unusable = |error| JournalError::Unusable(directory.to_owned(), error);
        fs::create_dir_all(directory).map_err(unusable)?;
        let path = directory.join(JOURNAL);
        let mut options = OpenOptions::new();
        let file = options.create(true).read(true).append(true).open(&path);
        let file = file.map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(JournalError::InUse(directory.to_owned()));
            }
            Err(fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let mut journal = Self {
            directory: directory.to_owned(),
            file,
        };
        let text = fs::read_to_string(&path).map_err(unusable)?;
        // What a process wrote last when it was killed may be half a line: nobody was told that it was done.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        if whole.len() < text.len() {
            let length = whole.len() as u64;
            journal.file.set_len(length).map_err(unusable)?;
        }
        let mut lines = whole.lines().enumerate();
        let Some((_, first)) = lines.next() else {
            let furniture = wanted.unwrap_or(otherwise).clone();
            let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
            let header = Header {
                version: version(),
                start: since.as_millis() as u64,
                furniture: furniture.clone(),
            };
            journal.write(&header)?;
            let start = UNIX_EPOCH + Duration::from_millis(header.start);
            let past = Past {
                entries: Vec::new(),
                until: Duration::ZERO,
            };
            return Ok((journal, furniture, start, past));
        };
        let header: Header = journal.read(1, first)?;
        if header.version != version() {
            return Err(JournalError::OtherVersion(directory.to_owned()));
        }
        if wanted.is_some_and(|wanted| *wanted != header.furniture) {
            return Err(JournalError::OtherFurniture(directory.to_owned()));
        }
        let entries = lines
            .map(|(index, line)| journal.read(index + 1, line))
            .collect::<Result<Vec<Entry>, _>>()?;
        let last = entries.last().map_or(0, |entry| entry.at);
        let now = fs::read_to_string(directory.join(NOW)).unwrap_or_default();
        let until = now.trim().parse().unwrap_or(0).max(last);
        let past = Past {
            entries,
            until: Duration::from_nanos(until),
        };
        let start = UNIX_EPOCH + Duration::from_millis(header.start);
        Ok((journal, header.furniture, start, past))
    }

    fn read<T: DeserializeOwned>(&self, line: usize, text: &str) -> Result<T, JournalError> {
        serde_json::from_str(text).map_err(|error| {
            JournalError::Broken(self.directory.join(JOURNAL), line, error.to_string())
        })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let written = serde_json::to_string(line)
            .map_err(io::Error::from)
            .and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()));
        written.map_err(|error| JournalError::Unusable(self.directory.clone(), error))
    }

    /// Notes how far virtual time has come.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_now(&self, now: Duration) -> Result<(), JournalError> {
        let new = self.directory.join(NEW_NOW);
        let written = fs::write(&new, format!("{}\n", now.as_nanos()))
            .and_then(|()| fs::rename(&new, self.directory.join(NOW)));
        written.map_err(|error| JournalError::Unusable(self.directory.clone(), error))
    }

    /// The account has come to another point than it had then.
    pub fn differs(&self, entry: usize) -> JournalError {
        JournalError::Differs(self.directory.join(JOURNAL), entry + 2)
    }
}
