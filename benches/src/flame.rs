//! Where the simulator's time goes: samples of recoveries as a flame graph, docs/flame.svg, and as shares of each part.

use crate::page;
use inferno::collapse::{Collapse, perf::Folder};
use std::{collections::BTreeMap, error::Error, fs, io, path::Path};

/// Narrower frames, in percent of the whole, are left out of the picture.
const NARROWEST: f64 = 0.4;
/// A part of the program, and the crates that it is made of.
const PARTS: [(&str, &[&str]); 9] = [
    (
        "the AWS SDK",
        &[
            "aws_config",
            "aws_runtime",
            "aws_sdk",
            "aws_smithy",
            "aws_types",
        ],
    ),
    ("DynamoDB: dynoxide", &["dynoxide"]),
    ("DynamoDB: SQLite", &["rusqlite", "sqlite3"]),
    (
        "simulated ECS, SSM, EC2, SNS, EventBridge",
        &[
            "simulator::ecs",
            "simulator::ssm",
            "simulator::ec2",
            "simulator::sns",
            "simulator::eventbridge",
        ],
    ),
    ("Step Functions", &["stepfunctions"]),
    ("JSONata", &["jsonata_core"]),
    (
        "the wire between SDK and services",
        &[
            "simulator::wire",
            "simulator::dynamodb",
            "simulator::throttle",
            "simulator::faults",
        ],
    ),
    ("the workers", &["workers", "serde_dynamo", "jsonschema"]),
    ("the scenario and the rest", &["simulator", "benches"]),
];

/// Samples of recoveries.
pub struct Flame {
    /// How often each stack was seen, by its frames from the root on, joined by `;`.
    stacks: BTreeMap<String, usize>,
}

impl Flame {
    /// Reads what `perf script` printed.
    ///
    /// # Errors
    /// When the file cannot be read, or has no samples.
    pub fn read(samples: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read(samples).map_err(|e| format!("{}: {e}", samples.display()))?;
        let stacks = stacks(&String::from_utf8_lossy(&text))?;
        stacks
            .map(|stacks| Self { stacks })
            .ok_or_else(|| format!("{}: no samples of `perf script`", samples.display()).into())
    }

    /// The share of each part in percent: of every sample, the innermost frame that belongs to one decides, so that
    /// memory and text that a part needs are its own.
    pub fn parts_table(&self) -> String {
        let all: usize = self.stacks.values().sum();
        let mut shares = [0; PARTS.len()];
        for (stack, seen) in &self.stacks {
            let part = stack.rsplit(';').find_map(part);
            shares[part.unwrap_or(PARTS.len() - 1)] += seen;
        }
        let rows: Vec<Vec<String>> = PARTS
            .iter()
            .zip(shares)
            .map(|((name, _), seen)| {
                let percent = 100.0 * seen as f64 / all.max(1) as f64;
                vec![(*name).to_owned(), format!("{percent:.0} %")]
            })
            .collect();
        page::table(&["part", "of the time"], &rows)
    }

    /// The flame graph as SVG.
    ///
    /// # Errors
    /// When there are no samples.
    pub fn svg(&self) -> Result<String, Box<dyn Error>> {
        let mut options = inferno::flamegraph::Options::default();
        options.title = "Recoveries of one bad GPU, 8 nodes".to_owned();
        options.min_width = NARROWEST;
        options.deterministic = true;
        let lines: Vec<String> = self
            .stacks
            .iter()
            .map(|(stack, seen)| format!("{stack} {seen}"))
            .collect();
        let mut svg = Vec::new();
        inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)?;
        Ok(String::from_utf8(svg)?)
    }

    /// Writes docs/flame.svg.
    ///
    /// # Errors
    /// As [`Flame::svg`], and when the file cannot be written.
    pub fn write(&self) -> Result<(), Box<dyn Error>> {
        Ok(fs::write(page::path("docs/flame.svg"), self.svg()?)?)
    }
}

/// The index of the part that a frame belongs to.
fn part(frame: &str) -> Option<usize> {
    PARTS
        .iter()
        .position(|(_, crates)| crates.iter().any(|name| frame.starts_with(name)))
}

/// `None` of what `perf script` did not print: the folder panics on some of that.
fn stacks(text: &str) -> io::Result<Option<BTreeMap<String, usize>>> {
    let mut folder = Folder::default();
    if folder.is_applicable(text) != Some(true) {
        return Ok(None);
    }
    let mut lines = Vec::new();
    folder.collapse(text.as_bytes(), &mut lines)?;
    Ok(Some(folded(&String::from_utf8_lossy(&lines))))
}

/// Stacks of named frames only: executors, closures and generic glue say nothing about where the time goes.
fn folded(lines: &str) -> BTreeMap<String, usize> {
    let mut stacks = BTreeMap::new();
    for (stack, seen) in lines.lines().filter_map(|line| line.rsplit_once(' ')) {
        let mut names: Vec<String> = stack.split(';').filter_map(shown).collect();
        names.dedup();
        *stacks.entry(names.join(";")).or_insert(0) += seen.parse().unwrap_or(0);
    }
    stacks
}

/// A frame's name without generics and closures; `None` of what is glue.
fn shown(symbol: &str) -> Option<String> {
    let bare = bare(symbol);
    let name = bare.split("::{").next().unwrap_or_default();
    let memory = matches!(
        name,
        "mi_malloc" | "mi_free" | "malloc" | "free" | "realloc"
    );
    let text = name.starts_with("serde_json::");
    (part(name).is_some() || memory || text).then(|| name.to_owned())
}

/// `<a::B<C> as d::E>::f::<G>` as `a::B::f`.
fn bare(symbol: &str) -> String {
    let symbol = match symbol.strip_prefix('<') {
        Some(rest) => {
            let (subject, method) = rest.rsplit_once(">::").unwrap_or((rest, ""));
            let of = subject.split(" as ").next().unwrap_or(subject);
            format!("{of}::{method}")
        }
        None => symbol.to_owned(),
    };
    let mut depth = 0_u32;
    let mut bare = String::new();
    for letter in symbol.chars() {
        match letter {
            '<' => depth += 1,
            '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 => bare.push(letter),
            _ => {}
        }
    }
    bare.replace("::::", "::").trim_end_matches(':').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{bare, shown, stacks};

    #[test]
    fn samples_are_counted_by_stack_and_other_text_has_none() {
        let sample = "benches 1 2.5: 1 cpu-clock:ppp: \n\
                      \t55d0 sqlite3_step+0x10 (benches)\n\
                      \t55d1 tokio::runtime::park+0x10 (benches)\n\
                      \t55d2 workers::contract::run+0x10 (benches)\n\n";
        let read = stacks(&sample.repeat(2)).unwrap().unwrap();
        let stack: Vec<_> = read.into_iter().collect();
        assert_eq!(
            stack,
            [("benches;workers::contract::run;sqlite3_step".to_owned(), 2)]
        );
        for other in ["", "a line\n", "[workspace]\nresolver = \"3\"\n\n[more]\n"] {
            assert_eq!(stacks(other).unwrap(), None, "{other}");
        }
    }

    #[test]
    fn frames_are_named_without_their_generics() {
        assert_eq!(
            bare("<aws_smithy::Timeout<F> as core::future::Future>::poll"),
            "aws_smithy::Timeout::poll"
        );
        assert_eq!(
            bare("simulator::dynamodb::run::<dynoxide::Query, ()>"),
            "simulator::dynamodb::run"
        );
        assert_eq!(
            shown("workers::aws::fleet::Fleet::run::{{closure}}::{{closure}}").as_deref(),
            Some("workers::aws::fleet::Fleet::run")
        );
        assert_eq!(shown("tokio::runtime::park"), None);
    }
}
