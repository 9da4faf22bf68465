//! A node gets one file: what several scripts share, and what stands in a table, is written into each of them.

use crate::{node::script, tables};
use std::{fs, path::Path};

/// `UPDATE_NODES=1` writes the scripts instead.
#[test]
fn generated_parts_are_those_of_their_sources() {
    for name in ["probe.sh", "reboot.sh", "health-check.sh"] {
        let found = script(name);
        let right = filled(name, &found);
        if found != right && std::env::var_os("UPDATE_NODES").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../infra/nodes")
                .join(name);
            fs::write(path, &right).unwrap();
        } else {
            assert!(
                found == right,
                "{name} differs from its sources; run: UPDATE_NODES=1 cargo test -p tests --test nodes generated"
            );
        }
    }
}

/// The script with every part between `# >>> SOURCE: …` and `# <<< SOURCE` written anew.
fn filled(name: &str, text: &str) -> String {
    let mut right = String::new();
    let mut lines = text.lines();
    let mut parts = 0;
    while let Some(line) = lines.next() {
        right += &format!("{line}\n");
        let Some(begin) = line.strip_prefix("# >>> ") else {
            continue;
        };
        let source = begin.split(':').next().unwrap();
        let end = format!("# <<< {source}");
        lines
            .by_ref()
            .find(|line| *line == end)
            .unwrap_or_else(|| panic!("{name} has no `{end}`"));
        right += &part(source);
        right += &format!("{end}\n");
        parts += 1;
    }
    assert!(parts > 0, "{name} has no generated part");
    right
}

fn part(source: &str) -> String {
    match source {
        "holders.sh" => script(source),
        "xids.csv" => tables::xids_for_the_shell(),
        "dcgm-errors.csv" => tables::dcgm_errors_for_the_shell(),
        _ => panic!("{source}: no such source"),
    }
}
