//! Plays schedules for as long as one lets it: `cargo run --profile sim -p tests --example chaos -- [FROM] [COUNT] [THREADS]`.

use std::io::Write;
use tests::chaos::sweep;

fn main() {
    let number = |nth: usize, default: u64| {
        let given = std::env::args().nth(nth);
        given.map_or(default, |n| {
            n.parse().expect("FROM, COUNT and THREADS are numbers")
        })
    };
    let (from, count, threads) = (number(1, 0), number(2, u64::MAX), number(3, 2));
    let end = from.saturating_add(count);
    let mut at = from;
    let (mut broken, mut played) = (0, 0);
    let begin = std::time::Instant::now();
    while at < end {
        let until = end.min(at.saturating_add(500));
        let totals = sweep(at..until, threads as usize, usize::MAX);
        played += totals.schedules;
        broken += totals.broken.len();
        let rate = played as f64 / begin.elapsed().as_secs_f64();
        print!("seeds {at} to {until}: {totals}");
        println!("in all: {played} schedules, {rate:.1} a second, {broken} broke a promise");
        let _ = std::io::stdout().flush();
        at = until;
    }
    std::process::exit(i32::from(broken > 0));
}
