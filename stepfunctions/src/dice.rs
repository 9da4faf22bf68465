//! Everything random comes from seeds, so that one seed gives one trace.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    fmt::Write,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// A source of ids, delays, numbers and choices. Clones share the sequence.
#[derive(Debug, Clone)]
pub struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
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

    /// A number from `0` to `end`, exclusively; 0 when there is none.
    pub fn below(&self, end: usize) -> usize {
        ((self.fraction() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&self, from: u32, to: u32) -> u32 {
        from + self.below((to - from) as usize + 1) as u32
    }

    /// Whole seconds, both included.
    pub fn seconds(&self, from: u32, to: u32) -> Duration {
        Duration::from_secs(self.between(from, to).into())
    }

    /// One of them; there must be one.
    pub fn pick<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// One of them, by weight.
    pub fn weigh<T: Clone>(&self, of: &[(u32, T)]) -> T {
        let total: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total as usize) as u32;
        for (weight, one) in of {
            if left < *weight {
                return one.clone();
            }
            left -= weight;
        }
        of[0].1.clone()
    }

    /// So many different numbers below `end`, in order.
    pub fn some_of(&self, count: usize, end: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..end).collect();
        while all.len() > count {
            all.remove(self.below(all.len()));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_each_stream_its_own() {
        let ids = |seed, stream| {
            let dice = Dice::new(seed, stream);
            (
                dice.uuid(),
                dice.hex(17),
                dice.within(&(Duration::ZERO..Duration::from_secs(9))),
            )
        };
        assert_eq!(ids(7, "ecs"), ids(7, "ecs"));
        assert_ne!(ids(7, "ecs"), ids(7, "ssm"));
        assert_ne!(ids(7, "ecs"), ids(8, "ecs"));
        assert_eq!(ids(1, "x").1.len(), 17);
    }
}
