//! Figures that must not grow unseen: docs/benchmarks.md says what is counted, and the goals hold.
//! `UPDATE_BENCHES=1 cargo test -p benches` writes the tables.

use benches::{
    cost::{self, Row},
    page,
};

fn agrees(name: &str, table: &str) {
    if let Err(problem) = page::check(name, table) {
        panic!("{problem}");
    }
}

#[test]
fn a_recovery_stays_within_its_bounds_and_the_page_says_what_it_costs() {
    let rows = cost::measure_all().expect("every recovery can be played");
    for row in &rows {
        within_bounds(row);
    }
    let transitions: Vec<u64> = rows
        .iter()
        .filter(|row| row.faulty == 1)
        .map(|row| row.usage.state_transitions)
        .collect();
    assert!(transitions.iter().all(|n| *n <= 25), "{transitions:?}");
    assert!(
        transitions.windows(2).all(|pair| pair[0] == pair[1]),
        "they depend on the ranks: {transitions:?}"
    );
    agrees("counts", &cost::counts_table(&rows));
    agrees("bill", &cost::bill_table(&rows));
}

fn within_bounds(row: &Row) {
    let Row {
        ranks,
        faulty,
        usage,
    } = row;
    let what = format!("{ranks} ranks, {faulty} bad: {usage:?}");
    assert!(!usage.calls.contains_key("dynamodb:Scan"), "{what}");
    assert_eq!(usage.throttled, 0, "{what}");
    assert!(usage.largest_payload < 256 * 1024, "{what}");
    assert!(usage.history_events < 10_000, "{what}");
}

#[test]
fn what_else_is_in_the_tables_costs_nothing() {
    let alone = cost::measure(8, 1, 0).expect("it can be played");
    let crowded = cost::measure(8, 1, cost::UNRELATED).expect("it can be played");
    assert_eq!(alone.usage, crowded.usage);
}
