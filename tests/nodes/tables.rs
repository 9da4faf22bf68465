//! The two tables behind the verdicts, beside what NVIDIA and others say.

use crate::node::script;
use std::collections::BTreeMap;

struct Row<'a> {
    id: u32,
    cells: Vec<&'a str>,
}

/// Rows of a table without quoted cells, each with as many cells as the heading.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Row<'a>> {
    let (first, rest) = text.split_once('\n').unwrap();
    assert_eq!(first, heading);
    let rows: Vec<Row> = rest
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), heading.split(',').count(), "{line}");
            Row {
                id: cells[0].parse().unwrap(),
                cells,
            }
        })
        .collect();
    assert!(
        rows.is_sorted_by(|a, b| a.id < b.id),
        "ascending, each once"
    );
    rows
}

/// Ids by the word in a column, wrapped for the shell as `PREFIX_WORD='…'`.
fn by_word(rows: &[Row], column: usize, prefix: &str, words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        let ids: Vec<String> = rows
            .iter()
            .filter(|row| row.cells[column] == *word)
            .map(|row| row.id.to_string())
            .collect();
        text += &format!("{prefix}_{}='{}'\n", word.replace('-', "_"), ids.join(" "));
    }
    text
}

/// From weak to strong.
pub const REMEDIES: [&str; 6] = [
    "none",
    "restart-app",
    "inspect",
    "reset",
    "reboot",
    "no-reboot-helps",
];
const XIDS: &str = "xid,name,remedy,source";

pub fn xids_for_the_shell() -> String {
    by_word(&rows(&script("xids.csv"), XIDS), 2, "xids", &REMEDIES)
}

/// Where `xids.csv` does not say what the sources merged say (`fixtures/xid-facts.csv`), with both words and why.
const XID_DIFFERENCES: [(u32, &str, &str, &str); 5] = [
    (
        54,
        "replace",
        "no-reboot-helps",
        "our word for it: the board has no power, on EC2 nobody can plug it in",
    ),
    (
        154,
        "by number",
        "by-number",
        "our spelling: the line itself carries the driver's action",
    ),
    (
        159,
        "reset",
        "inspect",
        "NVIDIA asks to look at the UVM driver first (CHECK_UVM): no reason to reboot by itself",
    ),
    (
        167,
        "reboot",
        "inspect",
        "the sources give no action, the merged one is a guess by its name: a check decides",
    ),
    (
        169,
        "reset",
        "inspect",
        "the sources give no action, the merged one is a guess by its name: a check decides",
    ),
];

#[test]
fn the_xid_table_says_what_its_sources_say_but_for_named_differences() {
    let ours = script("xids.csv");
    let ours: BTreeMap<u32, &str> = rows(&ours, XIDS)
        .iter()
        .map(|row| (row.id, row.cells[2]))
        .collect();
    let facts = include_str!("../fixtures/xid-facts.csv");
    let facts: BTreeMap<u32, String> = facts
        .lines()
        .skip(1)
        .map(|line| {
            let merged = line.rsplit(',').next().unwrap();
            (
                line.split(',').next().unwrap().parse().unwrap(),
                merged.to_owned(),
            )
        })
        .collect();
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        facts.keys().collect::<Vec<_>>()
    );
    let found: Vec<(u32, &str, &str)> = ours
        .iter()
        .filter(|(id, word)| facts[id] != **word)
        .map(|(id, word)| (*id, facts[id].as_str(), *word))
        .collect();
    let named: Vec<(u32, &str, &str)> = XID_DIFFERENCES
        .iter()
        .map(|(id, theirs, word, _)| (*id, *theirs, *word))
        .collect();
    assert_eq!(found, named);
}

#[test]
fn every_xid_has_a_known_remedy_and_a_source() {
    for row in rows(&script("xids.csv"), XIDS) {
        assert!(
            REMEDIES.contains(&row.cells[2]) || row.id == 154,
            "{:?}",
            row.cells
        );
        assert!(
            !row.cells[1].is_empty() && !row.cells[3].is_empty(),
            "{:?}",
            row.cells
        );
    }
}

const DCGM: &str = "id,name,severity,verdict,why";

pub fn dcgm_errors_for_the_shell() -> String {
    by_word(
        &rows(&script("dcgm-errors.csv"), DCGM),
        3,
        "errors",
        &[
            "healthy",
            "faulty",
            "no-reboot-helps",
            "misconfigured",
            "no-answer",
        ],
    )
}

#[test]
fn a_dcgm_error_means_what_its_severity_means_unless_the_row_says_why() {
    let text = script("dcgm-errors.csv");
    let rows = rows(&text, DCGM);
    assert!(
        rows.iter().map(|row| row.id).eq(0..=132),
        "DCGM 4.6.0 has errors 0 to 132"
    );
    for row in rows {
        let usual = match row.cells[2] {
            "MONITOR" => "healthy",
            "RESET" | "TRIAGE" => "faulty",
            "CONFIG" => "misconfigured",
            "ISOLATE" => "no-reboot-helps",
            "UNKNOWN" => "no-answer",
            other => panic!("{other}: no such severity"),
        };
        assert_eq!(
            row.cells[3] == usual,
            row.cells[4].is_empty(),
            "{:?}",
            row.cells
        );
    }
}

/// One fault, one remedy, whoever sees it first.
#[test]
fn the_check_and_the_probe_agree_on_the_same_fault() {
    let xids = script("xids.csv");
    let errors = script("dcgm-errors.csv");
    let remedy: BTreeMap<u32, String> = rows(&xids, XIDS)
        .iter()
        .map(|row| (row.id, row.cells[2].to_owned()))
        .collect();
    let verdict: BTreeMap<u32, String> = rows(&errors, DCGM)
        .iter()
        .map(|row| (row.id, row.cells[3].to_owned()))
        .collect();
    // DCGM's error, and the Xid that its text or name gives.
    for (error, xid) in [
        (4, 48),
        (57, 48),
        (103, 48),
        (81, 95),
        (131, 94),
        (71, 74),
        (120, 79),
        (80, 64),
    ] {
        let expected = match remedy[&xid].as_str() {
            "reset" | "reboot" => "faulty",
            "no-reboot-helps" => "no-reboot-helps",
            _ => "healthy",
        };
        assert_eq!(verdict[&error], expected, "DCGM error {error}, Xid {xid}");
    }
}
