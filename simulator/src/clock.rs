//! Virtual wall-clock time.

use aws_smithy_async::time::TimeSource;
use aws_smithy_types::{DateTime, date_time::Format};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// 2026-01-05T03:00:00Z, a Monday night: nobody is awake to help.
const DEFAULT_START_EPOCH_SECONDS: u64 = 1_767_582_000;

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

/// Starts at 2026-01-05T03:00:00Z.
impl Default for Clock {
    fn default() -> Self {
        Self::new(UNIX_EPOCH + Duration::from_secs(DEFAULT_START_EPOCH_SECONDS))
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

/// Seconds since the Unix epoch with milliseconds, as awsJson writes times.
pub fn epoch_seconds(time: SystemTime) -> f64 {
    epoch_millis(time) as f64 / 1000.0
}

/// Milliseconds since the Unix epoch.
pub fn epoch_millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

/// RFC 3339, UTC, always three digits of milliseconds, as AWS writes times into events.
pub fn rfc3339(time: SystemTime) -> String {
    let millis = epoch_millis(time);
    format!(
        "{}.{:03}Z",
        whole_seconds(millis / 1000).trim_end_matches('Z'),
        millis % 1000
    )
}

/// RFC 3339, UTC, whole seconds, as EventBridge writes the `time` of an event.
pub fn rfc3339_seconds(time: SystemTime) -> String {
    whole_seconds(epoch_millis(time) / 1000)
}

fn whole_seconds(seconds: u64) -> String {
    DateTime::from_secs(seconds.cast_signed())
        .fmt(Format::DateTime)
        .unwrap_or_default()
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
