//! Times as AWS writes and reads them.

use chrono::{DateTime, SecondsFormat, Utc};
use std::time::{SystemTime, UNIX_EPOCH};

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
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// RFC 3339, UTC, whole seconds, as EventBridge writes the `time` of an event.
pub fn rfc3339_seconds(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A timestamp as the Wait state takes it: RFC 3339 with an offset.
pub fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(SystemTime::from)
}
