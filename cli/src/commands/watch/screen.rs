//! The graph of a running execution on a terminal, drawn again and again in its place.

use super::wait;
use crate::{
    commands::{explain, graph::overlay},
    graph::{self, Overlay, Row, Status},
    history::path::Path,
    output::{self, Output, columns, cut, paint, span},
};
use anstyle::Style;
use serde_json::Value;

/// Below so many columns what is said of a state is left to the lines below the graph.
const NARROW: usize = 46;
/// Below so many columns it is not shown when a state was entered.
const NO_TIMES: usize = 64;
/// Columns of a moment, `03:10:08`, and the gap after it.
const TIME: usize = 10;
/// Of this many states that wait at once each has a line.
const WAITS: usize = 3;
const LEGEND: &str = "┃ way taken  ✓ done  … under way  ! error caught  ✗ failed  ○ not entered";

/// Draws frames, each in the place of the one before.
pub struct Screen<'a> {
    output: &'a Output,
    definition: &'a Value,
    /// Lines of the frame that stands.
    drawn: usize,
    size: (usize, usize),
}

impl<'a> Screen<'a> {
    pub fn new(output: &'a Output, definition: &'a Value) -> Self {
        Self {
            output,
            definition,
            drawn: 0,
            size: output::size(),
        }
    }

    /// Draws the execution as it stands `now`; when it has ended, all of it, however short the terminal is.
    pub fn draw(&mut self, path: &Path, now: f64) {
        let size = output::size();
        // Lines that were broken anew are more than were written: nothing is certain any more.
        let again = size == self.size;
        self.size = size;
        let rows = (path.status == "RUNNING").then(|| size.1.saturating_sub(1));
        let lines = frame(path, self.definition, now, size.0, rows);
        self.output.replace(again.then_some(self.drawn), &lines);
        self.drawn = lines.len();
    }
}

/// The lines of a frame: none wider than `width`, and no more of them than `most`.
fn frame(
    path: &Path,
    definition: &Value,
    now: f64,
    width: usize,
    most: Option<usize>,
) -> Vec<String> {
    let mut overlay = overlay(path, definition, Some(now));
    let rows = match graph::terminal(definition, &overlay) {
        Ok(rows) => rows,
        Err(_) => {
            keep_known(&mut overlay, definition);
            graph::terminal(definition, &overlay).unwrap_or_default()
        }
    };
    let head = head(path, now, width);
    let mut foot = foot(path, definition, now, width);
    let room = most.map_or(usize::MAX, |most| {
        most.saturating_sub(head.len() + foot.len())
    });
    let rows = fitting(rows, room);
    if rows.len() + 2 <= room {
        foot.push(String::new());
        foot.push(paint(output::DIM, cut(LEGEND, width)));
    }
    let name_columns = rows.iter().map(Drawn::columns).max().unwrap_or_default();
    let mut lines = head;
    lines.extend(rows.iter().map(|row| row.line(name_columns, width)));
    lines.extend(foot);
    lines.truncate(most.unwrap_or(usize::MAX));
    lines
}

/// Of an execution whose own definition is not told: the states that this program's has as well.
fn keep_known(overlay: &mut Overlay, definition: &Value) {
    let known = definition.to_string();
    overlay
        .states
        .retain(|name, _| known.contains(&format!("{}:{{", Value::from(name.as_str()))));
}

fn head(path: &Path, now: f64, width: usize) -> Vec<String> {
    let took = span((path.ended.unwrap_or(now) - path.started).max(0.0));
    let style = match path.status {
        "RUNNING" | "SUCCEEDED" => output::HEADING,
        _ => output::BAD,
    };
    let since = match path.status {
        "RUNNING" => format!("RUNNING for {took}"),
        status => format!("{status} after {took}"),
    };
    let since = match width {
        ..NO_TIMES => since,
        _ => format!("{since}; times are UTC"),
    };
    vec![
        paint(style, cut(&explain::headline(path), width)),
        paint(output::DIM, cut(&since, width)),
        String::new(),
    ]
}

/// What is waited for, and how long at most.
fn foot(path: &Path, definition: &Value, now: f64, width: usize) -> Vec<String> {
    if path.status != "RUNNING" {
        return Vec::new();
    }
    let standing = path.standing();
    let mut lines = vec![String::new()];
    for visit in standing.iter().take(WAITS) {
        let text = wait::told(visit, definition, now);
        let wrapped = output::wrapped(&text, width, "… ", "  ");
        lines.extend(
            wrapped
                .iter()
                .map(|line| paint(output::WARNING, cut(line, width))),
        );
    }
    if let Some(more) = standing.len().checked_sub(WAITS).filter(|more| *more > 0) {
        lines.push(format!("  and {more} more"));
    }
    lines
}

/// What is drawn of the graph.
enum Drawn {
    Row(Row),
    /// So many states are left out here.
    Left(usize),
}

/// Leaves out what was not entered, then what was entered first, as far as it does not fit.
fn fitting(mut rows: Vec<Row>, room: usize) -> Vec<Drawn> {
    if rows.len() > room {
        rows.retain(|row| row.status.is_some());
    }
    let left = match rows.len().checked_sub(room) {
        None | Some(0) => 0,
        Some(over) => over + 1,
    };
    let mut drawn = Vec::new();
    if left > 0 {
        rows.drain(..left.min(rows.len()));
        drawn.push(Drawn::Left(left));
    }
    drawn.extend(rows.into_iter().map(Drawn::Row));
    drawn
}

impl Drawn {
    /// The columns of rail, mark and name.
    fn columns(&self) -> usize {
        match self {
            Self::Row(row) => columns(&row.rail) + 2 + columns(&row.name),
            Self::Left(_) => 0,
        }
    }

    fn line(&self, name_columns: usize, width: usize) -> String {
        let times = width >= NO_TIMES;
        let time = |text: &str| match times {
            true => paint(output::DIM, format!("{text:TIME$}")),
            false => String::new(),
        };
        let width = width.saturating_sub(if times { TIME } else { 0 });
        let row = match self {
            Self::Row(row) => row,
            Self::Left(left) => {
                let text = format!("⋮ {left} states before");
                return time("") + &paint(output::DIM, cut(&text, width));
            }
        };
        let (mark, name) = match row.status {
            None => (output::DIM, output::DIM),
            Some(Status::Succeeded) => (output::GOOD, Style::new()),
            Some(Status::Caught | Status::InProgress) => (output::WARNING, output::HEADING),
            Some(Status::Failed | Status::TimedOut | Status::Aborted) => {
                (output::BAD, output::HEADING)
            }
        };
        let room = width.saturating_sub(columns(&row.rail) + 2);
        let head = format!(
            "{}{}{} {}",
            time(&row.entered),
            row.rail,
            paint(mark, row.mark),
            paint(name, cut(&row.name, room))
        );
        if width < NARROW || row.says.is_empty() {
            return head;
        }
        let gap = name_columns - self.columns() + 2;
        let says = cut(&row.says, width.saturating_sub(name_columns + 2));
        format!("{head}{}{}", " ".repeat(gap), paint(mark, says))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::scenario::{self, PlayOptions};

    fn definition() -> Value {
        serde_json::from_str(simulator::cloud::RECOVERY).expect("JSON")
    }

    /// The history of a scenario's recovery.
    fn history(name: &str) -> Vec<Value> {
        let scenario = scenario::builtin(name).expect("it is built in");
        let report = scenario::play(&scenario.expect("it is one"), &PlayOptions::default());
        report.expect("it is played").history
    }

    /// Up to and with the last event of this type in this state.
    fn until(events: &[Value], state: &str, kind: &str) -> Path {
        let state = events
            .iter()
            .rposition(|event| event["stateEnteredEventDetails"]["name"] == state);
        let state = state.expect("it is entered");
        let end = events[state..]
            .iter()
            .position(|event| event["type"] == kind);
        Path::of(&events[..=state + end.expect("it comes")])
    }

    /// The frame without colours.
    fn plain(path: &Path, seconds: f64, width: usize, most: Option<usize>) -> Vec<String> {
        let lines = frame(path, &definition(), path.last + seconds, width, most);
        if std::env::var_os("SHOW_FRAMES").is_some() {
            println!("{}\n", lines.join("\n"));
        }
        let plain = |line: &String| anstream::adapter::strip_str(line).to_string();
        lines.iter().map(plain).collect()
    }

    fn has(lines: &[String], line: &str) {
        assert!(
            lines.iter().any(|known| known == line),
            "{line}: {lines:#?}"
        );
    }

    /// A state's line from its mark on, with one blank for several: how deep it stands is the definition's.
    fn row(lines: &[String], name: &str) -> String {
        let named = |line: &&String| line.split_whitespace().any(|word| word == name);
        let line = lines.iter().find(named);
        let line = line.unwrap_or_else(|| panic!("{name}: {lines:#?}"));
        let is_mark = |letter: char| "✓✗!…○".contains(letter);
        let from = line.find(is_mark).expect("it has a mark");
        line[from..]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn a_wait_is_shown_in_the_graph_and_below_it_with_its_bound() {
        let events = history("gpu-fault");
        let path = until(&events, "WaitForInstanceActive", "TaskScheduled");
        let lines = plain(&path, 75.0, 100, None);
        has(&lines, "03:10:08  ✓ Classify");
        has(&lines, "          ┃ ○ RecordCompletion");
        has(&lines, "          │ ○ RelaunchJob");
        assert_eq!(row(&lines, "RebootInstance"), "✓ RebootInstance");
        assert_eq!(
            row(&lines, "RunDcgm"),
            "! RunDcgm 2 min 17 s · error caught"
        );
        has(
            &lines,
            "… WaitForInstanceActive (i-0f3a9c5d7e0000003): 1 min 15 s of at most 1 min 30 s",
        );
        let lines = plain(&path, 76.0, 100, None);
        has(
            &lines,
            "… WaitForInstanceActive (i-0f3a9c5d7e0000003): 1 min 16 s of at most 1 min 30 s",
        );
    }

    #[test]
    fn a_small_terminal_keeps_what_is_under_way() {
        let events = history("gpu-fault");
        let path = until(&events, "WaitForInstanceActive", "TaskScheduled");
        for (width, rows) in [(40, 24), (20, 10), (100, 12), (60, 5), (1, 1)] {
            let lines = plain(&path, 1.0, width, Some(rows));
            assert!(lines.len() <= rows, "{rows}: {lines:#?}");
            let widest = lines.iter().map(|line| columns(line)).max();
            assert!(widest <= Some(width.max(3)), "{width}: {lines:#?}");
        }
        let lines = plain(&path, 1.0, 60, Some(14));
        assert!(
            lines[3].starts_with("⋮ ") && lines[3].ends_with(" states before"),
            "{lines:#?}"
        );
        assert!(!lines.iter().any(|line| line.contains('○')), "{lines:#?}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("WaitForInstanceActive  ")),
            "{lines:#?}"
        );
    }

    #[test]
    fn the_last_frame_has_the_whole_graph_and_says_how_it_ended() {
        let lines = plain(&Path::of(&history("gpu-fault")), 60.0, 80, None);
        assert_eq!(
            lines[0],
            "RECOVERED llama-7b in 13 min: rebooted i-0f3a9c5d7e0000003 (rank 3)"
        );
        assert_eq!(lines[1], "SUCCEEDED after 12 min 55 s; times are UTC");
        // Each look at the node is a visit of its own.
        let wait = row(&lines, "WaitForInstanceActive");
        assert!(
            wait.starts_with("! WaitForInstanceActive ") && wait.contains(" times"),
            "{wait}"
        );
        has(&lines, "          │ ○ FailJob");
        assert_eq!(row(&lines, "NotifyOperators"), "✓ NotifyOperators");
        assert!(
            !lines.iter().any(|line| line.starts_with('…')),
            "{lines:#?}"
        );
        let lines = plain(&Path::of(&history("two-bad-instances")), 60.0, 60, None);
        assert_eq!(row(&lines, "RebootInstance"), "✓ RebootInstance 2 times");
    }

    #[test]
    fn a_definition_without_the_states_taken_is_drawn_as_far_as_it_goes() {
        let mut definition = definition();
        let states = definition["States"].as_object_mut().expect("states");
        let renamed = states.remove("NotifyOperators").expect("it is there");
        states.insert("TellOperators".to_owned(), renamed);
        let text = definition
            .to_string()
            .replace("NotifyOperators", "TellOperators");
        let definition = serde_json::from_str(&text).expect("JSON");
        let path = Path::of(&history("gpu-fault"));
        let lines = frame(&path, &definition, path.last, 80, None).join("\n");
        assert!(
            lines.contains("RelaunchJob") && lines.contains("TellOperators"),
            "{lines}"
        );
    }
}
