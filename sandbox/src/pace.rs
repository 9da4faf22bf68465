//! How virtual time follows real time.

use std::time::{Duration, Instant};

/// Of a debt larger than this the rest is dropped: virtual time runs slower then, and the endpoint still answers.
const DEBT: Duration = Duration::from_millis(500);

/// Between two looks for requests virtual time goes on by no more than this real time's worth.
const STRIDE: Duration = Duration::from_millis(50);

/// Virtual time as a line over real time.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Virtual seconds a real second.
    speed: f64,
    paused: bool,
    /// A point of the line: real time, and virtual time since the account's start.
    real: Instant,
    virtual_: Duration,
    /// Real time that could not be kept up with.
    behind: Duration,
}

impl Pace {
    pub fn new(speed: f64, paused: bool, real: Instant, virtual_: Duration) -> Self {
        Self {
            speed,
            paused,
            real,
            virtual_,
            behind: Duration::ZERO,
        }
    }

    /// Where virtual time is to go from `now` on.
    pub fn target(&mut self, real: Instant, now: Duration) -> Duration {
        if self.paused {
            return now;
        }
        let due = self.virtual_ + (real - self.real).mul_f64(self.speed);
        let debt = due.saturating_sub(now);
        let most = DEBT.mul_f64(self.speed);
        if debt > most {
            self.behind += (debt - most).div_f64(self.speed);
            self.real = real;
            self.virtual_ = due - (debt - most);
        }
        now.max(due.min(now + STRIDE.mul_f64(self.speed)))
    }

    /// True while virtual time is behind by more than this real time's worth.
    pub fn is_late(&self, real: Instant, now: Duration, by: Duration) -> bool {
        let due = self.virtual_ + (real - self.real).mul_f64(self.speed);
        !self.paused && due > now + by.mul_f64(self.speed)
    }

    /// From this point on it runs like this.
    pub fn set(&mut self, speed: Option<f64>, paused: bool, real: Instant, now: Duration) {
        self.speed = speed.unwrap_or(self.speed);
        self.paused = paused;
        self.real = real;
        self.virtual_ = now;
    }

    /// The same pace from another point: virtual time has been moved on by hand.
    pub fn moved(&mut self, real: Instant, now: Duration) {
        self.real = real;
        self.virtual_ = now;
    }

    pub fn speed(&self) -> f64 {
        self.speed
    }

    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// The real time that virtual time has not kept up with.
    pub fn behind(&self) -> Duration {
        self.behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn virtual_time_follows_real_time_at_its_speed() {
        let start = Instant::now();
        let mut pace = Pace::new(60.0, false, start, ms(1000));
        assert_eq!(pace.target(start, ms(1000)), ms(1000));
        assert_eq!(pace.target(start + ms(10), ms(1000)), ms(1600));
        pace.set(None, true, start + ms(10), ms(1600));
        assert_eq!(pace.target(start + ms(9000), ms(1600)), ms(1600));
        pace.set(Some(1.0), false, start + ms(9000), ms(1600));
        assert_eq!(pace.target(start + ms(9010), ms(1600)), ms(1610));
        assert_eq!(pace.behind(), Duration::ZERO);
    }

    #[test]
    fn what_cannot_be_kept_up_with_is_dropped_and_counted() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, false, start, Duration::ZERO);
        // Two seconds without a look: half a second is still owed, in strides of 50 ms.
        assert_eq!(pace.target(start + ms(2000), Duration::ZERO), ms(500));
        assert_eq!(pace.behind(), ms(1500));
        assert!(pace.is_late(start + ms(2000), ms(500), ms(10)));
        assert_eq!(pace.target(start + ms(2000), ms(4800)), ms(5000));
        assert!(!pace.is_late(start + ms(2000), ms(4900), ms(10)));
        assert_eq!(pace.target(start + ms(2000), ms(5000)), ms(5000));
    }
}
