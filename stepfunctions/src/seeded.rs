//! Everything random comes from seeds, so that one seed gives one trace.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    fmt::Write,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A seeded source of ids, delays and chances. Clones share the sequence.
#[derive(Debug, Clone)]
pub struct Seeded(Arc<Mutex<StdRng>>);

impl Seeded {
    /// `stream` keeps apart the sequences of the services that share one seed.
    pub fn new(seed: u64, stream: &str) -> Self {
        // FNV-1a: any stable hash does; std's hasher is not promised to be stable.
        let salt = stream
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed ^ salt))))
    }

    fn with<T>(&self, f: impl FnOnce(&mut StdRng) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// So many lower-case hexadecimal digits.
    pub fn hex(&self, digits: usize) -> String {
        let mut text = String::with_capacity(digits);
        while text.len() < digits {
            let bits: u64 = self.with(|rng| rng.random());
            // Writing to a String cannot fail.
            let _ = write!(text, "{bits:016x}");
        }
        text.truncate(digits);
        text
    }

    /// A UUID in its usual form, version 4.
    pub fn uuid(&self) -> String {
        let hex = self.hex(32);
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    }

    /// A duration in the range; the range's start when it is empty.
    pub fn within(&self, range: &Range<Duration>) -> Duration {
        if range.is_empty() {
            return range.start;
        }
        let nanos = (range.end - range.start).as_nanos() as u64;
        range.start + Duration::from_nanos(self.with(|rng| rng.random_range(0..nanos.max(1))))
    }

    /// A number in `0.0..1.0`.
    pub fn fraction(&self) -> f64 {
        self.with(|rng| rng.random())
    }

    /// True with this probability; the sequence advances only when the outcome is open.
    pub fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.fraction() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_each_stream_its_own() {
        let ids = |seed, stream| {
            let seeded = Seeded::new(seed, stream);
            (
                seeded.uuid(),
                seeded.hex(17),
                seeded.within(&(Duration::ZERO..Duration::from_secs(9))),
            )
        };
        assert_eq!(ids(7, "ecs"), ids(7, "ecs"));
        assert_ne!(ids(7, "ecs"), ids(7, "ssm"));
        assert_ne!(ids(7, "ecs"), ids(8, "ecs"));
        assert_eq!(ids(1, "x").1.len(), 17);
    }
}
