//! Numbers, times and names as every message words them.

use crate::{
    context::{as_time, parse_time},
    ids::InstanceId,
};
use serde_json::Value;

/// How many ranks are listed before they are only counted.
const RANKS_LISTED: usize = 8;

/// `18 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The same for a subject: `18 min`.
pub fn about(seconds: i64) -> String {
    match seconds {
        60..3570 => format!("{} min", (seconds + 30) / 60),
        3570.. => {
            let minutes = (seconds + 30) / 60;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        _ => duration(seconds),
    }
}

/// `1 rank`, `8 ranks`.
pub fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// `03:10:07 UTC` of an RFC 3339 time; what is none stays as it is.
pub fn clock(time: &str) -> String {
    let Some(whole) = parse_time(time).and_then(as_time) else {
        return time.to_owned();
    };
    // 2026-01-05T03:10:07Z
    match whole.get(11..19) {
        Some(clock) => format!("{clock} UTC"),
        None => whole,
    }
}

/// `2026-01-05` of an RFC 3339 time.
pub fn date(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}

/// `i-… (rank 3)`, `2 instances (ranks 2, 5)`, `20 instances`.
pub fn instances<'a>(of: impl Iterator<Item = (&'a InstanceId, u32)>) -> String {
    let all: Vec<_> = of.collect();
    match all.as_slice() {
        [(instance, rank)] => format!("{instance} (rank {rank})"),
        some if some.len() <= RANKS_LISTED => {
            let ranks: Vec<String> = some.iter().map(|(_, rank)| rank.to_string()).collect();
            let number = counted(some.len(), "instance");
            format!("{number} (ranks {})", ranks.join(", "))
        }
        many => counted(many.len(), "instance"),
    }
}

/// Lambda's errors arrive as `{"errorType":…,"errorMessage":…}` (Lambda developer guide, rust-exceptions): the message.
pub fn error_message(cause: &str) -> String {
    serde_json::from_str::<Value>(cause)
        .ok()
        .and_then(|v| v["errorMessage"].as_str().map(str::to_owned))
        .unwrap_or_else(|| cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        let all = [59, 60, 1100, 3599, 3600, 7500].map(duration);
        let read = [
            "59 s",
            "1 min 0 s",
            "18 min 20 s",
            "59 min 59 s",
            "1 h 0 min",
            "2 h 5 min",
        ];
        assert_eq!(all, read);
        let all = [59, 89, 90, 3569, 3570, 7500].map(about);
        assert_eq!(
            all,
            ["59 s", "1 min", "2 min", "59 min", "1 h 0 min", "2 h 5 min"]
        );
    }

    #[test]
    fn a_time_is_utc_to_the_second() {
        assert_eq!(clock("2026-01-05T03:10:07.336Z"), "03:10:07 UTC");
        assert_eq!(clock("2026-01-05T04:10:07+01:00"), "03:10:07 UTC");
        assert_eq!(clock("soon"), "soon");
        assert_eq!(date("2026-01-05T03:10:07.336Z"), "2026-01-05");
    }

    #[test]
    fn one_instance_is_named_a_few_by_rank_and_many_are_counted() {
        let id = InstanceId::new("i-0123456789abcdef3");
        let of = |ranks: u32| instances((0..ranks).map(|rank| (&id, rank)));
        assert_eq!(of(1), "i-0123456789abcdef3 (rank 0)");
        assert_eq!(of(3), "3 instances (ranks 0, 1, 2)");
        assert_eq!(of(9), "9 instances");
    }
}
