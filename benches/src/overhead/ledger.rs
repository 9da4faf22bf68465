//! The time of a recovery, shared out: every moment belongs to one piece, so that the pieces add up to the whole.

use std::collections::BTreeMap;

/// Who takes the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Processes, GPUs and hosts: no system can do without.
    Physics,
    /// What AWS takes to tell of something or to deliver something.
    Aws,
    /// The recovery system: what it calls, waits for and starts.
    System,
}

/// What the time goes into. Where several overlap, the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    SlowestStop,
    Dcgm,
    Reboot,
    Verification,
    SlowestStart,
    ExitReport,
    EventDelivery,
    SyncDelivery,
    CommandDelivery,
    StopBucket,
    StartBucket,
    NextPoll,
    StopRate,
    StartRate,
    AskAgain,
    LambdaStart,
    OwnCalls,
    Handlers,
    Rest,
}

impl Piece {
    pub const ALL: [Self; 19] = [
        Self::SlowestStop,
        Self::Dcgm,
        Self::Reboot,
        Self::Verification,
        Self::SlowestStart,
        Self::ExitReport,
        Self::EventDelivery,
        Self::SyncDelivery,
        Self::CommandDelivery,
        Self::StopBucket,
        Self::StartBucket,
        Self::NextPoll,
        Self::StopRate,
        Self::StartRate,
        Self::AskAgain,
        Self::LambdaStart,
        Self::OwnCalls,
        Self::Handlers,
        Self::Rest,
    ];

    pub fn owner(self) -> Owner {
        match self {
            Self::SlowestStop
            | Self::Dcgm
            | Self::Reboot
            | Self::Verification
            | Self::SlowestStart => Owner::Physics,
            Self::ExitReport
            | Self::EventDelivery
            | Self::SyncDelivery
            | Self::CommandDelivery
            | Self::StopBucket
            | Self::StartBucket => Owner::Aws,
            _ => Owner::System,
        }
    }

    /// What exactly is counted.
    pub fn words(self) -> &'static str {
        match self {
            Self::SlowestStop => "the slowest of the other tasks stops (at most its stop time-out)",
            Self::Dcgm => "DCGM's container starts and finds the fault",
            Self::Reboot => "the node goes down and comes back with its agents",
            Self::Verification => "DCGM's container starts and verifies",
            Self::SlowestStart => "the slowest of the new ranks' containers starts",
            Self::ExitReport => "the ECS agent reports the exit",
            Self::EventDelivery => "EventBridge delivers, three times",
            Self::SyncDelivery => "Step Functions hears of the end of both DCGM tasks",
            Self::CommandDelivery => {
                "SSM delivers the order and, after the reboot, the question; their scripts run"
            }
            Self::NextPoll => "it waits for the next poll",
            Self::StopBucket => "ECS takes the StopTask orders: 100 at once, then 40 a second",
            Self::StartBucket => "ECS takes the orders to start: 100 at once, then 40 a second",
            Self::StopRate => "StopTask goes out slower than ECS takes it",
            Self::StartRate => "the orders to start go out slower than ECS takes them",
            Self::AskAgain => "all have stopped, and StopSiblings has not asked again yet",
            Self::LambdaStart => "functions start",
            Self::OwnCalls => "the state machine's own calls (RunTask, SendCommand)",
            Self::Handlers => "functions call AWS, one call after the other",
            Self::Rest => "between those",
        }
    }
}

/// From when to when something went on, in seconds.
#[derive(Debug, Clone, Default)]
pub struct Spans(Vec<(Piece, f64, f64)>);

impl Spans {
    /// One more; none when it is empty.
    pub fn add(&mut self, piece: Piece, from: f64, to: f64) {
        if to > from {
            self.0.push((piece, from, to));
        }
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Shares out the time from `begin` to `end`.
    pub fn share_out(&self, begin: f64, end: f64) -> Ledger {
        let within = |at: f64| at.clamp(begin, end);
        let spans = self.0.iter();
        let mut edges: Vec<f64> = spans
            .flat_map(|(_, from, to)| [within(*from), within(*to)])
            .chain([begin, end])
            .collect();
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let mut pieces = BTreeMap::new();
        for edge in edges.windows(2) {
            let (from, to) = (edge[0], edge[1]);
            let covering = self.0.iter().filter(|(_, a, b)| *a <= from && to <= *b);
            let piece = covering.map(|(piece, _, _)| *piece).min();
            *pieces.entry(piece.unwrap_or(Piece::Rest)).or_insert(0.0) += to - from;
        }
        Ledger(pieces)
    }
}

/// Seconds by piece.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger(pub BTreeMap<Piece, f64>);

impl Ledger {
    pub fn of(&self, piece: Piece) -> f64 {
        self.0.get(&piece).copied().unwrap_or(0.0)
    }

    /// Every piece's mean.
    pub fn mean(ledgers: &[Self]) -> Self {
        let mut pieces = BTreeMap::new();
        for (piece, seconds) in ledgers.iter().flat_map(|ledger| &ledger.0) {
            *pieces.entry(*piece).or_insert(0.0) += seconds / ledgers.len() as f64;
        }
        Self(pieces)
    }

    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// What `owner` takes of it.
    pub fn by(&self, owner: Owner) -> f64 {
        let pieces = self.0.iter().filter(|(piece, _)| piece.owner() == owner);
        pieces.map(|(_, seconds)| seconds).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_is_shared_out_once_and_the_first_piece_has_it() {
        let mut spans = Spans::default();
        spans.add(Piece::Handlers, 0.0, 10.0);
        spans.add(Piece::Dcgm, 4.0, 6.0);
        spans.add(Piece::Dcgm, 5.0, 8.0);
        spans.add(Piece::LambdaStart, 11.0, 40.0);
        let ledger = spans.share_out(1.0, 12.0);
        assert_eq!(ledger.of(Piece::Handlers), 5.0);
        assert_eq!(ledger.of(Piece::Dcgm), 4.0);
        assert_eq!(ledger.of(Piece::LambdaStart), 1.0);
        assert_eq!(ledger.of(Piece::Rest), 1.0);
        assert_eq!(ledger.total(), 11.0);
        assert_eq!(ledger.by(Owner::Physics), 4.0);
    }
}
