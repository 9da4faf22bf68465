//! Virtual wall-clock time.

pub use stepfunctions::time::{epoch_millis, epoch_seconds, rfc3339, rfc3339_seconds};

use aws_smithy_async::time::TimeSource;
use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// 2026-01-05T03:00:00Z, a Monday night: nobody is awake to help.
const DEFAULT_START_EPOCH_SECONDS: u64 = 1_767_582_000;

/// Runs `work` in a runtime of its own, in virtual time.
///
/// # Errors
/// When there is no runtime, and `work`'s own.
pub fn in_virtual_time<T, E, F>(work: F) -> Result<T, E>
where
    E: From<io::Error>,
    F: Future<Output = Result<T, E>>,
{
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?
        .block_on(work)
}

/// Virtual wall time: a start plus what tokio's (paused) clock has advanced since. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: SystemTime,
    origin: Instant,
}

impl Clock {
    /// A clock that shows `start` now.
    pub fn new(start: SystemTime) -> Self {
        Self {
            start,
            origin: Instant::now(),
        }
    }

    /// The virtual time.
    pub fn now(&self) -> SystemTime {
        self.start + self.origin.elapsed()
    }

    /// Since when the clock runs.
    pub fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    /// Seconds since the Unix epoch, with fraction.
    pub fn epoch_seconds(&self) -> f64 {
        epoch_seconds(self.now())
    }

    /// Now as RFC 3339, UTC, with milliseconds: `2026-01-05T03:00:00.000Z`.
    pub fn rfc3339(&self) -> String {
        rfc3339(self.now())
    }
}

/// 2026-01-05T03:00:00Z.
pub fn default_start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(DEFAULT_START_EPOCH_SECONDS)
}

/// Starts at [`default_start`].
impl Default for Clock {
    fn default() -> Self {
        Self::new(default_start())
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        Clock::now(self)
    }
}

impl dynoxide::storage_backend::Clock for Clock {
    fn now_unix_secs(&self) -> u64 {
        self.epoch_seconds() as u64
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.epoch_seconds()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_virtual_hour_passes_without_waiting() {
        let clock = Clock::default();
        assert_eq!(clock.rfc3339(), "2026-01-05T03:00:00.000Z");
        tokio::time::sleep(Duration::from_millis(3_600_007)).await;
        assert_eq!(clock.rfc3339(), "2026-01-05T04:00:00.007Z");
        assert_eq!(rfc3339_seconds(clock.now()), "2026-01-05T04:00:00Z");
        assert_eq!(clock.epoch_seconds(), 1_767_585_600.007);
    }
}
