//! `drill --chaos`: a whole bad day drawn from a seed, and whether a promise was broken in it.

use crate::{Failure, output::Output};
use simulator::chaos::{ChaosOptions, play_chaos};

/// Plays the seed's schedule; true when every promise was kept.
///
/// # Errors
/// When it cannot be played.
pub fn run(seed: u64, json: bool) -> Result<bool, Failure> {
    let report = play_chaos(seed, &ChaosOptions::default())
        .map_err(|error| Failure::Broken(format!("seed {seed} cannot be played: {error}")))?;
    let output = Output::new();
    if json {
        let text = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::Broken(format!("the report cannot be written: {error}")))?;
        output.line(&text);
    } else {
        for line in report.to_string().lines() {
            let text = line.trim_start();
            output.text(&line[..line.len() - text.len()], text);
        }
    }
    Ok(report.passed())
}
