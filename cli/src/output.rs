//! What is written: plain lines, coloured where the reader wants colour, wrapped to the terminal.

mod spinner;
pub mod table;

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use spinner::spinner;
use std::{
    fmt::Display,
    io::{ErrorKind, IsTerminal, Write},
    process,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use textwrap::{Options, WordSplitter, wrap};

pub const HEADING: Style = Style::new().bold();
pub const NAME: Style = AnsiColor::Cyan.on_default();
pub const DIM: Style = Style::new().dimmed();
pub const GOOD: Style = AnsiColor::Green.on_default();
pub const WARNING: Style = AnsiColor::Yellow.on_default();
pub const BAD: Style = AnsiColor::Red.on_default().bold();

/// Without a terminal, and the most that a line of text may have on a wide one.
const WIDTH: usize = 80;
const WIDEST: usize = 100;
/// A row of a table in a pipe or a file: nothing is to be broken there.
const UNBOUND: usize = 400;
const ROWS: usize = 24;

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: i32 = 130;
const NARROWEST: usize = 40;

/// A text in a style; colours are taken out again where they are not wanted.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Home, erase the screen (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Standard output. Clones write to the same.
#[derive(Clone)]
pub struct Output {
    width: usize,
    table_width: usize,
    spinner: Option<ProgressBar>,
    /// Where lines go instead of standard output.
    kept: Option<Arc<Mutex<String>>>,
}

impl Output {
    /// With a spinner when an operator looks on.
    pub(crate) fn new() -> Self {
        let watched = std::io::stdout().is_terminal()
            && std::io::stderr().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let output = Self {
            width: width(),
            table_width: told_width().unwrap_or(UNBOUND),
            spinner: watched.then(spinner),
            kept: None,
        };
        if watched {
            output.tidy_on_interrupt();
        }
        output
    }

    /// Ctrl-C takes the spinner off the terminal before it ends the program.
    fn tidy_on_interrupt(&self) {
        let output = self.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_io()
                .build();
            // Where it cannot be waited for, it ends the program as ever.
            if let Ok(runtime) = runtime
                && runtime.block_on(tokio::signal::ctrl_c()).is_ok()
            {
                output.still();
                // The terminal has written ^C: back, erase the line (ECMA-48: EL).
                control("\r\x1b[K");
                process::exit(INTERRUPTED);
            }
        });
    }

    /// Keeps what is written, without colours.
    pub fn keeping() -> Self {
        Self::keeping_width(WIDEST)
    }

    /// The same, on so many columns.
    pub fn keeping_width(width: usize) -> Self {
        Self {
            width,
            table_width: width,
            spinner: None,
            kept: Some(Arc::default()),
        }
    }

    /// What was written since this was asked last.
    pub fn take(&self) -> String {
        let kept = self.kept.as_ref().map(|kept| kept.lock());
        kept.map_or_else(String::new, |kept| {
            std::mem::take(&mut *kept.unwrap_or_else(PoisonError::into_inner))
        })
    }

    fn keep(&self, text: &str) -> bool {
        let Some(kept) = &self.kept else {
            return false;
        };
        let text = anstream::adapter::strip_str(text.trim_end()).to_string();
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_str(&(text + "\n"));
        true
    }

    /// Writes text as it is, for programs.
    pub fn raw(&self, text: &str) {
        if self.keep(text) {
            return;
        }
        raw(text);
    }

    /// Whether an operator looks on, at a terminal that can be drawn on.
    pub fn watched(&self) -> bool {
        self.spinner.is_some()
    }

    /// Takes everything off the terminal, when this is one.
    pub fn clear(&self) {
        if self.watched() {
            control(CLEAR);
        }
    }

    /// Writes lines in the place of the last `before` ones; of all that is on the terminal, when that is not known.
    pub fn replace(&self, before: Option<usize>, lines: &[String]) {
        if self.watched() {
            match before {
                Some(0) => {}
                // Up, erase what is below (ECMA-48: CPL, ED).
                Some(before) => control(&format!("\x1b[{before}F\x1b[J")),
                None => control(CLEAR),
            }
        }
        self.lines(lines);
    }

    /// Columns that a line may have.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Columns that a row of a table may have: all that a terminal has.
    pub fn table_width(&self) -> usize {
        self.table_width
    }

    /// Writes a line, now.
    pub fn line(&self, line: &str) {
        if self.keep(line) {
            return;
        }
        let write = || {
            let mut stdout = anstream::stdout().lock();
            written(writeln!(stdout, "{}", line.trim_end()).and_then(|()| stdout.flush()));
        };
        match &self.spinner {
            // One that has not begun would be drawn after the line, and stay.
            Some(spinner) if !spinner.message().is_empty() => spinner.suspend(write),
            _ => write(),
        }
    }

    /// Writes lines.
    pub fn lines<S: AsRef<str>>(&self, lines: impl IntoIterator<Item = S>) {
        for line in lines {
            self.line(line.as_ref());
        }
    }

    /// Writes text wrapped, its first line after `first`, the others after as many blanks.
    pub fn text(&self, first: &str, text: &str) {
        let rest = " ".repeat(columns(first));
        self.lines(wrapped(&whole_commands(text), self.width, first, &rest));
    }

    /// Writes a heading with an empty line before it.
    pub fn heading(&self, heading: &str) {
        self.line("");
        self.line(&paint(HEADING, heading));
    }

    /// What goes on now; only on a terminal, and gone with the next line.
    pub fn progress(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            if spinner.is_finished() {
                return;
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner.set_message(what.to_owned());
        }
    }

    /// Takes the spinner away.
    pub fn still(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// Writes what moves the cursor or erases: also where colours are not wanted, which takes every escape out of lines.
fn control(sequence: &str) {
    let mut stdout = std::io::stdout().lock();
    written(write!(stdout, "{sequence}").and_then(|()| stdout.flush()));
}

fn width() -> usize {
    told_width().unwrap_or(WIDTH).clamp(NARROWEST, WIDEST)
}

/// Columns of the terminal, or what COLUMNS says.
fn told_width() -> Option<usize> {
    let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    terminal.or_else(|| std::env::var("COLUMNS").ok()?.parse().ok())
}

/// Columns and rows of the terminal as it is now.
pub fn size() -> (usize, usize) {
    terminal_size::terminal_size().map_or((WIDTH, ROWS), |(width, height)| {
        (usize::from(width.0), usize::from(height.0))
    })
}

/// Text wrapped at blanks, but not at non-breaking ones, which come out as blanks. A long word, such as a link, stays
/// whole.
pub fn wrapped(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    wrap(text, options)
        .into_iter()
        .map(|line| line.replace('\u{a0}', " "))
        .collect()
}

/// Commands in a text with non-breaking blanks, so that a terminal shows each on one line and it can be copied: what is
/// in backticks, and what follows a colon or begins the text.
fn whole_commands(text: &str) -> String {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let begins = |(at, _): &(usize, &str)| {
            let before = &rest[..*at];
            before.ends_with(": ")
                || before.ends_with('`')
                || before.ends_with('\n')
                || (before.is_empty() && whole.is_empty())
        };
        let programs = ["gpu-recovery ", "aws "].iter();
        let found = programs.flat_map(|program| rest.match_indices(program));
        let Some(start) = found.filter(begins).map(|(at, _)| at).min() else {
            return whole + rest;
        };
        let (before, command) = rest.split_at(start);
        let ends: &[&str] = match before.ends_with('`') {
            true => &["`"],
            false => &["  ", "; ", ", and ", ", or ", ". ", "\n"],
        };
        let end = ends.iter().filter_map(|end| command.find(end)).min();
        let (command, after) = command.split_at(end.unwrap_or(command.len()));
        whole += before;
        whole += &command.replace(' ', "\u{a0}");
        rest = after;
    }
}

/// Columns that a text takes on a terminal.
pub fn columns(text: &str) -> usize {
    textwrap::core::display_width(text)
}

/// At most so many columns of it; `…` stands for the rest.
pub fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for letter in text.chars() {
        if columns(&kept) + columns(letter.encode_utf8(&mut [0; 4])) >= most {
            break;
        }
        kept.push(letter);
    }
    kept + "…"
}

/// Writes text as it is, for programs.
pub fn raw(text: &str) {
    let mut stdout = std::io::stdout().lock();
    written(writeln!(stdout, "{text}").and_then(|()| stdout.flush()));
}

/// Writes bytes as they are, for programs.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    written(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Writes an error for people.
pub fn error(error: &dyn Display) {
    let mark = paint(BAD, "error:");
    // Where even that cannot be written, nobody reads it.
    let _ = writeln!(anstream::stderr().lock(), "{mark} {error}");
}

/// Writes a warning for people.
pub fn warning(text: &str) {
    let mark = paint(WARNING, "warning:");
    // Where even that cannot be written, nobody reads it.
    let _ = writeln!(anstream::stderr().lock(), "{mark} {text}");
}

/// Ends the program when nobody reads on; a reader that has seen enough is no failure.
fn written(result: std::io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => process::exit(0),
        Err(error) => {
            self::error(&format!("standard output: {error}"));
            process::exit(1);
        }
    }
}

/// A duration in words: `0.4 s`, `31 s`, `8 min 12 s`, `2 h 05 min`.
pub fn span(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    match seconds.round() as u64 {
        whole @ ..60 => format!("{whole} s"),
        whole @ 60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        whole => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// The same, never broken at the end of a line by [`wrapped`].
pub fn unbroken_span(seconds: f64) -> String {
    span(seconds).replace(' ', "\u{a0}")
}

/// A count with separated thousands: `1,020`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 task`, `7 tasks`.
pub fn counted(number: u64, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(number))
}

/// `all 8 ranks`; of one: `its only rank`.
pub fn all(number: u64, what: &str) -> String {
    match number {
        1 => format!("its only {what}"),
        _ => format!("all {}", counted(number, what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_counts_read_as_people_write_them() {
        assert_eq!(span(0.04), "0.0 s");
        assert_eq!(span(9.96), "10 s");
        assert_eq!(span(59.9), "1 min 00 s");
        assert_eq!(span(492.0), "8 min 12 s");
        assert_eq!(span(7500.0), "2 h 05 min");
        assert_eq!(count(1020), "1,020");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(counted(1, "task"), "1 task");
    }

    #[test]
    fn what_is_cut_says_so_and_keeps_within_its_columns() {
        assert_eq!(cut("four", 4), "four");
        assert_eq!(cut("fives", 4), "fiv…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "…");
    }

    #[test]
    fn a_command_stays_on_one_line_to_be_copied() {
        let shown = |text: &str| {
            let output = Output::keeping_width(40);
            output.text("  ", text);
            let lines = output.take();
            lines
                .lines()
                .map(|line| line.trim().to_owned())
                .collect::<Vec<_>>()
        };
        let replay = "gpu-recovery replay llama-7b-with-a-long-name --dry-run";
        assert_eq!(shown(&format!("next: {replay}")), ["next:", replay]);
        assert_eq!(shown(replay), [replay]);
        let lines = shown(&format!(
            "fix what the step names, then use `{replay}` and wait"
        ));
        assert!(lines.contains(&format!("`{replay}`")), "{lines:?}");
        let aws = "aws sns subscribe --topic-arn ARN --protocol email";
        let lines = shown(&format!(
            "nobody hears: {aws}, and confirm it, all of you, soon"
        ));
        assert_eq!(
            lines,
            [
                "nobody hears:".to_owned(),
                format!("{aws},"),
                "and confirm it, all of you, soon".to_owned()
            ]
        );
        // A sentence that only speaks of the program is no command.
        let says = shown("it was started by gpu-recovery submit and nobody knows when that was");
        assert!(says.len() == 2, "{says:?}");
    }

    #[test]
    fn a_link_stays_whole_in_a_narrow_terminal() {
        let link = format!("https://{}", "x".repeat(80));
        let lines = wrapped(&format!("see {link} now"), 40, "  ", "  ");
        assert_eq!(
            lines,
            ["  see".to_owned(), format!("  {link}"), "  now".to_owned()]
        );
    }
}
