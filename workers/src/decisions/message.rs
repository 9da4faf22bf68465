//! What operators get: a subject within SNS's limits, a plain text body, and attributes to filter on.

use std::fmt::Write;

/// "Subjects must be ASCII text … and must be less than 100 characters long" (SNS API reference, Publish).
const SUBJECT_CHARACTERS: usize = 99;
/// Longer texts of others (stoppedReason, causes) are cut: a message is at most 256 KiB.
const TEXT_CHARACTERS: usize = 2000;
/// How many lines of one kind a message lists.
const LISTED: usize = 20;

/// A message to the operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    pub body: String,
    /// At most ten: raw delivery to SQS drops a message with more (SNS developer guide, raw message delivery).
    pub attributes: Vec<(&'static str, String)>,
}

/// Whom to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to do now.
    Info,
    /// A job stands still; its owner has to act.
    Error,
    /// The recovery itself stands still; it holds a job and perhaps instances.
    Critical,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// A subject that SNS takes: ASCII, one line, cut with `...` where it is too long.
pub fn subject(text: &str) -> String {
    let text = ascii(text);
    if text.len() <= SUBJECT_CHARACTERS {
        return text;
    }
    format!("{}...", &text[..SUBJECT_CHARACTERS - 3])
}

fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' '..='~' => c,
            _ => '?',
        })
        .collect()
}

/// A body under construction: headings with indented lines.
#[derive(Debug, Default)]
pub struct Body(String);

impl Body {
    /// Begins with one sentence that says it all.
    pub fn new(headline: &str) -> Self {
        Self(format!("{headline}\n"))
    }

    /// A heading and its lines; left out when there are none. Long lists are cut, with a count of the rest.
    pub fn section(&mut self, heading: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        // Writing to a String cannot fail.
        let _ = write!(self.0, "\n{heading}\n");
        for line in lines.iter().take(LISTED) {
            let _ = writeln!(self.0, "  {}", cut(line));
        }
        if lines.len() > LISTED {
            let _ = writeln!(self.0, "  ... and {} more", lines.len() - LISTED);
        }
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// The first sentence of a body, and its sections as [`Body`] has written them: heading and lines.
pub fn sections(body: &str) -> (&str, Vec<(&str, Vec<&str>)>) {
    let mut parts = body.trim_end().split("\n\n");
    let headline = parts.next().unwrap_or_default();
    let sections = parts.map(|part| {
        let mut lines = part.lines();
        let heading = lines.next().unwrap_or_default();
        (heading, lines.map(str::trim_start).collect())
    });
    (headline, sections.collect())
}

/// One line, at most so long as a message can bear.
pub fn cut(text: &str) -> String {
    let one_line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_CHARACTERS + 1)
        .collect();
    match one_line.char_indices().nth(TEXT_CHARACTERS) {
        Some((at, _)) => format!("{}...", &one_line[..at]),
        None => one_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_fits_sns_whatever_it_is_made_of() {
        let subject = subject(&format!("größe\n{}", "x".repeat(300)));
        assert_eq!(subject.len(), 99);
        assert!(subject.starts_with("gr??e?x"));
        assert!(subject.ends_with("..."));
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let mut body = Body::new("Job failed.");
        body.section("Nothing here", &[]);
        let lines: Vec<String> = (0..23).map(|n| format!("rank {n}\n")).collect();
        body.section("Ranks", &lines);
        let text = body.finish();
        assert!(!text.contains("Nothing here"));
        assert!(text.contains("\nRanks\n  rank 0 \n"));
        assert!(text.ends_with("  rank 19 \n  ... and 3 more\n"));
    }

    #[test]
    fn texts_of_others_are_cut_between_characters() {
        assert_eq!(cut(&"ü".repeat(3000)).chars().count(), TEXT_CHARACTERS + 3);
    }
}
