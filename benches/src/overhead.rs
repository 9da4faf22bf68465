//! How much of a recovery's time is the system's own, beside other designs.

pub mod ledger;
pub mod original;
pub mod picture;
pub mod polling;
pub mod recovery;
mod times;

use crate::{
    page::{table, thousands},
    site::SiteError,
};
use ledger::{Ledger, Owner, Piece};
use original::Measured;

/// Sizes of the job, in nodes.
pub const SIZES: [u32; 4] = [8, 64, 512, 1024];

/// The smallest job is played under so many seeds, the others under one.
const SEEDS: u64 = 10;

/// Every piece by the size of the job, in seconds; then the sums by owner.
pub fn pieces_table(measured: &[Compared]) -> String {
    let names: Vec<String> = measured
        .iter()
        .map(|size| format!("{} nodes", thousands(size.nodes.into())))
        .collect();
    let mut head = vec!["seconds", "whose"];
    head.extend(names.iter().map(String::as_str));
    let seconds = |of: &dyn Fn(&Ledger) -> f64| -> Vec<String> {
        let sizes = measured.iter();
        sizes
            .map(|size| format!("{:.2}", of(&size.recovery)))
            .collect()
    };
    let mut rows = Vec::new();
    for piece in Piece::ALL {
        let counts = |size: &Compared| size.recovery.of(piece) >= 0.005;
        if !measured.iter().any(counts) {
            continue;
        }
        let mut row = vec![piece.words().to_owned(), whose(piece.owner()).to_owned()];
        row.extend(seconds(&|ledger| ledger.of(piece)));
        rows.push(row);
    }
    for owner in [Owner::Physics, Owner::Aws, Owner::System] {
        let mut row = vec!["**sum**".to_owned(), format!("**{}**", whose(owner))];
        row.extend(seconds(&|ledger| ledger.by(owner)));
        rows.push(row);
    }
    let mut row = vec!["**from exit to running again**".to_owned(), String::new()];
    row.extend(seconds(&Ledger::total));
    rows.push(row);
    table(&head, &rows)
}

fn whose(owner: Owner) -> &'static str {
    match owner {
        Owner::Physics => "physics",
        Owner::Aws => "AWS",
        Owner::System => "own",
    }
}

/// One size of job under three designs.
#[derive(Debug, Clone)]
pub struct Compared {
    pub nodes: u32,
    /// The mean over the seeds.
    pub recovery: Ledger,
    /// The own seconds under each seed.
    pub own: Vec<f64>,
    pub original: Measured,
    pub polling: Ledger,
}

/// Plays jobs of these sizes under all of them; the original beside this system, on a thread of its own.
///
/// # Errors
/// [`SiteError`].
pub fn compare(sizes: &[u32]) -> Result<Vec<Compared>, SiteError> {
    let (recoveries, originals) = std::thread::scope(|scope| {
        let originals = scope.spawn(|| {
            sizes
                .iter()
                .map(|nodes| original::measure(*nodes, 0))
                .collect::<Result<Vec<_>, _>>()
        });
        let recoveries: Result<Vec<_>, _> = sizes.iter().map(|nodes| recoveries(*nodes)).collect();
        (recoveries, originals.join())
    });
    let originals = originals.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let compared = sizes.iter().zip(recoveries?).zip(originals);
    Ok(compared
        .map(|((&nodes, played), original)| {
            let recovery = Ledger::mean(&played);
            Compared {
                nodes,
                own: played.iter().map(|l| l.by(Owner::System)).collect(),
                original,
                polling: polling::measure(&recovery),
                recovery,
            }
        })
        .collect())
}

/// One recovery under each seed.
fn recoveries(nodes: u32) -> Result<Vec<Ledger>, SiteError> {
    let seeds = if nodes == SIZES[0] { SEEDS } else { 1 };
    (1..=seeds)
        .map(|seed| recovery::measure(nodes, seed))
        .collect()
}

/// The system's own seconds under each design.
pub fn designs_table(compared: &[Compared]) -> String {
    let head = [
        "nodes",
        "this system, s",
        "polling every 30 s, s",
        "original, s",
        "its calls",
        "its longest function, s",
    ];
    let rows: Vec<Vec<String>> = compared
        .iter()
        .map(|size| {
            let own = |ledger: &Ledger| format!("{:.1}", ledger.by(Owner::System));
            let longest = size.original.seconds.into_iter().fold(0.0, f64::max);
            vec![
                thousands(size.nodes.into()),
                own(&size.recovery),
                own(&size.polling),
                own(&size.original.ledger),
                thousands(size.original.calls.iter().sum()),
                format!("{longest:.0}"),
            ]
        })
        .collect();
    table(&head, &rows)
}

/// How far the own seconds of the smallest job lie apart, in words.
pub fn spread(compared: &[Compared]) -> String {
    let own = compared.first().map(|size| size.own.as_slice());
    let own = own.unwrap_or_default();
    let least = own.iter().copied().fold(f64::MAX, f64::min);
    let most = own.iter().copied().fold(0.0, f64::max);
    format!(
        "At 8 nodes the figures are means over {SEEDS} seeds, the own part being {least:.2} to {most:.2} s; the others are of one seed.\n"
    )
}
