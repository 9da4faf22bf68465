//! Figures that must not grow unseen: docs/benchmarks.md says what is counted, and the goals hold.
//! Without optimized code jobs of up to 64 ranks are played, and compared with their part of the tables.
//! `UPDATE_BENCHES=1 cargo test --profile sim -p benches` writes the tables.

use benches::{
    cost::{self, Row},
    overhead::{self, ledger::Owner, original, picture},
    page, spares, storm,
};
use simulator::optimized;

/// Those that are played here.
fn sizes(all: &[u32]) -> Vec<u32> {
    let played = |size: &u32| every_size() || *size <= 64;
    all.iter().copied().filter(played).collect()
}

fn every_size() -> bool {
    optimized() || std::env::var_os("UPDATE_BENCHES").is_some()
}

fn agrees(name: &str, table: &str) {
    agrees_in(page::BENCHMARKS, name, table);
}

fn agrees_in(file: &str, name: &str, table: &str) {
    let check = if every_size() {
        page::check
    } else {
        page::check_part
    };
    if let Err(problem) = check(file, name, table) {
        panic!("{problem}");
    }
}

#[test]
fn a_recovery_stays_within_its_bounds_and_the_pages_say_what_it_costs() {
    let rows = cost::with_one_bad(&sizes(&cost::SIZES)).expect("every recovery can be played");
    rows.iter().for_each(within_bounds);
    for row in &rows {
        // Fifty nodes are asked with one call, and their answers are read with one.
        let bound = 76 + 2 * u64::from(row.ranks.div_ceil(50));
        let transitions = row.usage.state_transitions;
        assert!(
            transitions <= bound,
            "{} ranks: {transitions} transitions",
            row.ranks
        );
    }
    agrees("one bad", &cost::counts_table(&rows));
    agrees("bill", &cost::bill_table(&rows));
    agrees("costs", &cost::summary_table(&rows));
}

#[test]
fn a_job_whose_ranks_all_abort_stays_within_the_bounds_and_the_pages_say_what_it_costs() {
    let rows = cost::with_all_aborting(&sizes(&cost::SIZES)).expect("every recovery can be played");
    rows.iter().for_each(within_bounds);
    agrees("all abort", &cost::counts_table(&rows));
    agrees_in(page::README, "usual costs", &cost::summary_table(&rows));
}

#[test]
fn the_readme_says_what_looking_for_lost_stops_costs() {
    let looks: Vec<_> = [8, 1024]
        .map(|ranks| (ranks, cost::of_a_look(ranks).expect("it can be played")))
        .into();
    agrees_in(page::README, "looks", &cost::looks_line(&looks));
}

#[test]
fn many_bad_gpus_stay_within_the_bounds() {
    let rows = cost::with_many_bad(&sizes(&cost::SIZES)).expect("every recovery can be played");
    rows.iter().for_each(within_bounds);
    agrees("many bad", &cost::counts_table(&rows));
}

fn within_bounds(row: &Row) {
    let Row {
        ranks,
        faulty,
        usage,
    } = row;
    let what = format!("{ranks} ranks, {faulty} bad: {usage:?}");
    assert!(!usage.calls.contains_key("dynamodb:Scan"), "{what}");
    // Each bad instance asks ECS of itself a few times while it is cordoned; of many at once some ask again.
    let most = if *faulty > 1 {
        2 * u64::from(*faulty)
    } else {
        0
    };
    assert!(usage.throttled <= most, "{what}");
    assert!(usage.largest_payload < 256 * 1024, "{what}");
    assert!(usage.history_events < 20_000, "{what}");
}

#[test]
fn what_else_is_in_the_tables_costs_nothing() {
    let alone = cost::measure(8, 1, 0).expect("it can be played");
    let unrelated = if every_size() {
        cost::UNRELATED
    } else {
        cost::UNRELATED / 50
    };
    let crowded = cost::measure(8, 1, unrelated).expect("it can be played");
    assert_eq!(alone.usage, crowded.usage);
    if !every_size() {
        return;
    }
    let original = [0, cost::UNRELATED].map(|unrelated| {
        let measured = original::measure(8, unrelated).expect("it can be played");
        measured.read_units
    });
    agrees("reads", &cost::reads_line(&crowded, original));
}

#[test]
fn the_systems_own_part_stays_below_its_bound() {
    let compared = overhead::compare(&sizes(&overhead::SIZES)).expect("it can be played");
    for size in &compared {
        let own = size.recovery.by(Owner::System);
        // Above 100 nodes seven seconds of it are what the system leaves of ECS's rate for others.
        let bound = if size.nodes <= 64 { 6.0 } else { 14.0 };
        assert!(own <= bound, "{} nodes: {own} s", size.nodes);
    }
    let first_function = compared.iter().map(|size| size.original.calls[0]);
    let told = first_function.take(2).collect::<Vec<_>>();
    assert_eq!(told, [39, 263], "the model is not the original");
    agrees("spread", &overhead::spread(&compared));
    agrees("pieces", &overhead::pieces_table(&compared));
    agrees("designs", &overhead::designs_table(&compared));
    if every_size()
        && let Err(problem) = picture::check(&picture::svg(&compared))
    {
        panic!("{problem}");
    }
}

/// The best that is published is "under two minutes" (docs/comparison.md).
#[test]
fn with_a_spare_all_ranks_run_again_within_a_minute_and_a_half() {
    let measure = |nodes| spares::measure(nodes).expect("it can be played");
    let swaps: Vec<_> = sizes(&spares::SIZES).into_iter().map(measure).collect();
    for (swap, (running, own)) in
        swaps
            .iter()
            .zip([(34.0, 2.5), (34.0, 2.5), (60.0, 8.0), (88.0, 8.0)])
    {
        assert!(swap.obedient <= running && swap.own <= own, "{swap:?}");
        // With the repair: five calls for each further node.
        assert!(swap.calls <= 160 + 5 * u64::from(swap.nodes), "{swap:?}");
    }
    agrees("swaps", &spares::swaps_table(&swaps));
}

#[test]
fn a_storm_loses_nothing() {
    let storms = storm::SMALL.map(|jobs| storm::measure(jobs).expect("it can be played"));
    for storm in &storms {
        assert_eq!(storm.recovered, storm.jobs, "{:?}", storm.others);
        assert_eq!(storm.messages, storm.jobs);
        assert!(storm.concurrency <= storm.jobs);
        // Of one job: some 110 calls, one of them for its spares, a few of them looks whether the ranks run and what the node
        // answers; what is throttled is called again.
        let (calls, jobs) = (storm.usage.calls_to(""), u64::from(storm.jobs));
        assert!(calls <= 135 * jobs, "{calls} calls of {jobs} jobs");
    }
    agrees("small storms", &storm::growth_table(&storms));
}
