//! Choices from a seed.

use crate::seeded::Seeded;
use std::time::Duration;

/// Clones roll the same sequence on.
#[derive(Debug, Clone)]
pub(crate) struct Dice(Seeded);

impl Dice {
    /// `stream` keeps apart the sequences that share one seed.
    pub fn new(seed: u64, stream: &str) -> Self {
        Self(Seeded::new(seed, stream))
    }

    /// A number from `0` to `end`, exclusively; 0 when there is none.
    pub fn below(&self, end: usize) -> usize {
        ((self.0.fraction() * end as f64) as usize).min(end.saturating_sub(1))
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&self, from: u32, to: u32) -> u32 {
        from + self.below((to - from) as usize + 1) as u32
    }

    /// Whole seconds, both included.
    pub fn seconds(&self, from: u32, to: u32) -> Duration {
        Duration::from_secs(self.between(from, to).into())
    }

    pub fn chance(&self, probability: f64) -> bool {
        self.0.chance(probability)
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
