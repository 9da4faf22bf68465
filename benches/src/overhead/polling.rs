//! A model of polling: the same recovery, but nothing is told by events; a job looks every 30 seconds what has happened.

use super::ledger::{Ledger, Piece};

/// Seconds between two looks.
const PERIOD: f64 = 30.0;
/// What must be noticed, one after the other: a rank has failed, all tasks are stopped, DCGM has ended, the node is back,
/// DCGM has ended again.
const NOTICED: u32 = 5;

/// The same recovery when each of those is noticed at the next look: half a period later in the mean. What events and
/// asking again take falls away.
pub fn measure(recovery: &Ledger) -> Ledger {
    let mut pieces = recovery.0.clone();
    for piece in [Piece::EventDelivery, Piece::SyncDelivery, Piece::AskAgain] {
        pieces.remove(&piece);
    }
    pieces.insert(Piece::NextPoll, f64::from(NOTICED) * PERIOD / 2.0);
    Ledger(pieces)
}
