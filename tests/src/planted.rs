//! The bugs of `tests/planted/`: each is a text of one file and what stands there instead. In a worker the new text asks
//! for `PLANTED`, which the environment sets, so that a tree with all of them is built once and has one of them at a time.

use serde::Deserialize;
use serde_json::Value;
use std::{collections::BTreeMap, fs, ops::Range, path::Path};

/// One bug.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// What PLANTED is set to.
    pub name: String,
    /// What it does, in a few words.
    pub does: String,
    /// From the repository's root.
    pub file: String,
    /// In the definition: the steps to a text, an element of a list by its Comment.
    pub at: Option<String>,
    /// What stands there; how it is broken into lines does not count.
    pub from: String,
    pub to: String,
    /// `target module::test`, of a bug that no two hundred schedules see.
    pub test: Option<String>,
}

/// The files of the bugs, in the table's order.
const FILES: [&str; 4] = ["jobs", "nodes", "spares", "definition"];
/// The state machine.
pub const DEFINITION: &str = "statemachine/recovery.asl.json";

/// All of them, as they lie in the tree at `root`.
pub fn bugs(root: &Path) -> Vec<Bug> {
    let read = |name: &str| -> Vec<Bug> {
        let path = root.join(format!("tests/planted/{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    FILES.into_iter().flat_map(read).collect()
}

/// The bug of this name.
pub fn bug(root: &Path, name: &str) -> Bug {
    let found = bugs(root).into_iter().find(|bug| bug.name == name);
    found.unwrap_or_else(|| panic!("no bug is called {name}"))
}

impl Bug {
    pub fn is_in_definition(&self) -> bool {
        self.file == DEFINITION
    }

    /// The definition with this bug.
    ///
    /// # Errors
    /// Where it is not as the bug expects.
    pub fn in_definition(&self, definition: &str) -> Result<String, String> {
        let mut machine: Value = serde_json::from_str(definition).map_err(|e| e.to_string())?;
        let at = self.at.as_deref().unwrap_or_default();
        let mut place = &mut machine;
        for step in at.split('/') {
            let next = match place {
                Value::Array(list) => list.iter_mut().find(|one| one["Comment"] == step),
                other => other.get_mut(step),
            };
            place = next.ok_or_else(|| format!("{}: {at} has no {step}", self.name))?;
        }
        let text = place.as_str().unwrap_or_default();
        let range = self.only_place(text)?;
        let new = format!("{}{}{}", &text[..range.start], self.to, &text[range.end..]);
        *place = Value::String(new);
        Ok(machine.to_string())
    }

    /// Where the old text stands.
    ///
    /// # Errors
    /// Unless it stands there once.
    fn only_place(&self, text: &str) -> Result<Range<usize>, String> {
        let places = places(text, &self.from);
        let [place] = places.as_slice() else {
            let (name, file, count) = (&self.name, &self.file, places.len());
            return Err(format!(
                "{name}: its text stands {count} times in {file}, not once"
            ));
        };
        Ok(place.clone())
    }

    /// The new text, in which PLANTED is true where the environment asks for this bug.
    fn planted(&self) -> String {
        let asks = format!(
            "std::env::var(\"PLANTED\").is_ok_and(|bug| bug == \"{}\")",
            self.name
        );
        self.to.replace("PLANTED", &asks)
    }
}

/// Where the words of `pattern` stand in the text, with any white space between them.
fn places(text: &str, pattern: &str) -> Vec<Range<usize>> {
    let mut words = pattern.split_whitespace();
    let Some(first) = words.next() else {
        return Vec::new();
    };
    let end = |start: usize| {
        words.clone().try_fold(start + first.len(), |at, word| {
            let rest = &text[at..];
            let next = rest.trim_start();
            let spaced = next.len() < rest.len() && next.starts_with(word);
            spaced.then(|| text.len() - next.len() + word.len())
        })
    };
    let begins = text.match_indices(first);
    begins
        .filter_map(|(start, _)| Some(start..end(start)?))
        .collect()
}

/// Each source file that has bugs, with all of them in it.
///
/// # Errors
/// What is wrong with each bug that cannot be planted.
pub fn planted(root: &Path, bugs: &[Bug]) -> Result<BTreeMap<String, String>, Vec<String>> {
    let mut by_file: BTreeMap<&str, Vec<&Bug>> = BTreeMap::new();
    for bug in bugs.iter().filter(|bug| !bug.is_in_definition()) {
        by_file.entry(&bug.file).or_default().push(bug);
    }
    let (mut texts, mut wrong) = (BTreeMap::new(), Vec::new());
    for (file, bugs) in by_file {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        let mut hunks = Vec::new();
        for bug in bugs {
            match bug.only_place(&text) {
                Ok(place) => hunks.push((place, bug)),
                Err(why) => wrong.push(why),
            }
            if !bug.to.contains("PLANTED") {
                wrong.push(format!("{}: it does not ask for PLANTED", bug.name));
            }
        }
        hunks.sort_by_key(|(place, _)| place.start);
        for two in hunks.windows(2) {
            if two[0].0.end > two[1].0.start {
                wrong.push(format!("{} and {} overlap", two[0].1.name, two[1].1.name));
            }
        }
        let (mut new, mut at) = (String::new(), 0);
        for (place, bug) in hunks {
            new.push_str(text.get(at..place.start).unwrap_or_default());
            new.push_str(&bug.planted());
            at = place.end;
        }
        new.push_str(&text[at..]);
        texts.insert(file.to_owned(), new);
    }
    if wrong.is_empty() {
        Ok(texts)
    } else {
        Err(wrong)
    }
}

const BEGIN: &str = "<!-- planted bugs -->\n";
const END: &str = "<!-- end -->";

/// The table of docs/faults.md, and what stands around it.
pub fn table(root: &Path) -> (String, String, String) {
    let path = root.join("docs/faults.md");
    let text = fs::read_to_string(&path).expect("docs/faults.md is there");
    let (before, rest) = text.split_once(BEGIN).expect("the table has its place");
    let (table, after) = rest.split_once(END).expect("the table has an end");
    (before.to_owned(), table.to_owned(), after.to_owned())
}

/// What stands in the table of a bug before what has seen it.
pub fn row(bug: &Bug) -> String {
    let file = bug.file.rsplit('/').next().unwrap_or_default();
    let place = match &bug.at {
        // The state, the innermost there is.
        Some(at) => at.rsplit("States/").next().unwrap_or_default(),
        None => file,
    };
    let place = place.split('/').next().unwrap_or_default();
    format!("| {} | {} | {place} |", bug.name, bug.does)
}

/// What a table says has seen a bug.
pub fn seen_in(table: &str, bug: &Bug) -> String {
    let row = row(bug);
    let mut rows = table.lines().filter_map(|line| line.strip_prefix(&row));
    rows.next()
        .unwrap_or_default()
        .trim_matches([' ', '|'])
        .to_owned()
}

/// Writes the table into docs/faults.md.
pub fn write_table(root: &Path, bugs: &[Bug], seen: impl Fn(&Bug) -> String) {
    let (before, _, after) = table(root);
    let mut new =
        "| bug | what it does | where | seen by |\n| --- | --- | --- | --- |\n".to_owned();
    for bug in bugs {
        new.push_str(&format!("{} {} |\n", row(bug), seen(bug)));
    }
    let text = format!("{before}{BEGIN}{new}{END}{after}");
    fs::write(root.join("docs/faults.md"), text).expect("docs/faults.md can be written");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_however_its_lines_are_broken() {
        let text = "if one\n    && other {\n}\nif one &&other {";
        let found: Vec<&str> = places(text, "one && other")
            .into_iter()
            .map(|place| &text[place])
            .collect();
        assert_eq!(found, ["one\n    && other"]);
        assert_eq!(places(text, "if one"), [0..6, 24..30]);
        assert!(places(text, "").is_empty());
    }
}
