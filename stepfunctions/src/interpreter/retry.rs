//! When a failed state is tried again.

use crate::{
    definition::model::{Handling, Jitter, Retrier},
    dice::Dice,
    failure::Failure,
};
use std::time::Duration;

/// The pause before the next try; `None`: no more tries. The first retrier that matches decides, and each counts its own
/// attempts (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
pub(super) fn delay(
    handling: &Handling,
    attempts: &mut [u32],
    failure: &Failure,
    dice: &Dice,
) -> Option<Duration> {
    let index = handling
        .retry
        .iter()
        .position(|retrier| failure.matches(&retrier.errors))?;
    let retrier = &handling.retry[index];
    let made = &mut attempts[index];
    if *made >= retrier.max_attempts {
        return None;
    }
    let delay = backoff(retrier, *made);
    *made += 1;
    Some(match retrier.jitter {
        Jitter::None => delay,
        // "Each retry attempt's wait is random between 0 and the delay."
        Jitter::Full => dice.within(&(Duration::ZERO..delay)),
    })
}

/// Interval times the rate to the power of the attempts made, at most the maximum.
fn backoff(retrier: &Retrier, made: u32) -> Duration {
    const LONGEST: f64 = 1e9;
    let seconds = retrier.interval.as_secs_f64() * retrier.backoff.powf(f64::from(made));
    let delay = Duration::from_secs_f64(seconds.min(LONGEST));
    retrier.max_delay.map_or(delay, |most| delay.min(most))
}
