//! Tables in the docs, each between `<!-- name -->` and `<!-- end -->`.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::PathBuf,
};

/// A table in Markdown; the first column is text, the others are numbers.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let names: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    let rule: Vec<String> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(&names) + &line(&rule) + &rows
}

/// A number with thousands marked: 1,024.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut marked = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            marked.push(',');
        }
        marked.push(digit);
    }
    marked
}

/// The page with all figures.
pub const BENCHMARKS: &str = "docs/benchmarks.md";
/// The page with the few that everybody should see.
pub const README: &str = "README.md";

/// A file of the repository.
pub(crate) fn path(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(file)
}

/// What stands before, between and behind the marks of `name`, which go with the first and the last.
fn parts<'a>(text: &'a str, name: &str) -> io::Result<[&'a str; 3]> {
    let mark = format!("<!-- {name} -->\n");
    let begin = text.find(&mark).map(|at| at + mark.len());
    let found = begin.and_then(|begin| {
        let end = begin + text[begin..].find("<!-- end -->")?;
        Some([&text[..begin], &text[begin..end], &text[end..]])
    });
    found.ok_or_else(|| io::Error::other(format!("there is no place for the table `{name}`")))
}

/// The text with `content` between the marks of `name`.
fn with(text: &str, name: &str, content: &str) -> io::Result<String> {
    let [before, _, after] = parts(text, name)?;
    Ok(format!("{before}{content}{after}"))
}

/// Puts a table into the page. Several tests may do so at once.
///
/// # Errors
/// When the page cannot be read or written, or has no such marks.
pub fn write(file: &str, name: &str, content: &str) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path(file))?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let new = with(&text, name, content)?;
    if new == text {
        return Ok(());
    }
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(new.as_bytes())
}

/// Checks that each of these rows and columns stands in the page's table, which may have more of both.
///
/// # Errors
/// What the page does not say.
pub fn check_part(file: &str, name: &str, content: &str) -> Result<(), String> {
    let text = fs::read_to_string(path(file)).map_err(|e| e.to_string())?;
    let [_, told, _] = parts(&text, name).map_err(|e| e.to_string())?;
    if is_part(content, told) {
        return Ok(());
    }
    Err(not_said(file, name, content))
}

fn is_part(part: &str, whole: &str) -> bool {
    fn cells(line: &str) -> Vec<&str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }
    let mut part = part.lines().map(cells);
    let whole: Vec<Vec<&str>> = whole.lines().map(cells).collect();
    let (Some(head), Some(all)) = (part.next(), whole.first()) else {
        return false;
    };
    let places = head.iter().map(|name| all.iter().position(|n| n == name));
    let Some(places) = places.collect::<Option<Vec<usize>>>() else {
        return false;
    };
    part.all(|row| {
        let same = |told: &Vec<&str>| {
            let mut cells = places.iter().zip(&row);
            cells.all(|(place, cell)| told.get(*place) == Some(cell))
        };
        whole.iter().any(same)
    })
}

fn not_said(file: &str, name: &str, content: &str) -> String {
    format!(
        "{file} does not say what was counted in `{name}`; if the change is meant: \
         UPDATE_BENCHES=1 cargo test --profile sim -p benches\n\n{content}"
    )
}

/// Checks that the page says what was counted; with `UPDATE_BENCHES` set, makes it say so.
///
/// # Errors
/// What to do when it does not.
pub fn check(file: &str, name: &str, content: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_BENCHES").is_some() {
        return write(file, name, content).map_err(|e| e.to_string());
    }
    let text = fs::read_to_string(path(file)).map_err(|e| e.to_string())?;
    let new = with(&text, name, content).map_err(|e| e.to_string())?;
    if text == new {
        return Ok(());
    }
    Err(not_said(file, name, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_marked() {
        let marked = [0, 999, 1_000, 1_234_567].map(thousands);
        assert_eq!(marked, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_part_of_a_table_is_compared_by_its_rows_and_columns() {
        let whole = "| n | a | b |\n| --- | ---: | ---: |\n| 1 | 2 | 3 |\n| 4 | 5 | 6 |\n";
        let is_part = |part| is_part(part, whole);
        assert!(is_part(whole));
        assert!(is_part(
            "| n | a | b |\n| --- | ---: | ---: |\n| 4 | 5 | 6 |\n"
        ));
        assert!(is_part("| n | b |\n| --- | ---: |\n| 1 | 3 |\n"));
        assert!(!is_part("| n | b |\n| --- | ---: |\n| 1 | 6 |\n"));
        assert!(!is_part("| n | c |\n| --- | ---: |\n| 1 | 3 |\n"));
        assert!(!is_part(""));
    }
}
