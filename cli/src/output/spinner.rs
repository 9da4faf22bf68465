//! The spinner on standard error.

use super::size;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use std::io::{Result, Write};

/// Columns of `^C`, which the terminal writes itself: on the next line, when the spinner fills its own.
const INTERRUPT: usize = 2;

pub fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(Stderr), 20);
    spinner.set_draw_target(target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        spinner.set_style(style);
    }
    spinner
}

/// The terminal, but for its last columns: indicatif fills each line with blanks.
#[derive(Debug)]
struct Stderr;

impl Stderr {
    /// A control sequence of ECMA-48 with a number; 0 would mean 1.
    fn moves(n: usize, direction: char) -> Result<()> {
        match n {
            0 => Ok(()),
            n => write!(std::io::stderr(), "\x1b[{n}{direction}"),
        }
    }
}

impl TermLike for Stderr {
    fn width(&self) -> u16 {
        u16::try_from(size().0.saturating_sub(INTERRUPT)).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(size().1).unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        Self::moves(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        Self::moves(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        Self::moves(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        Self::moves(n, 'D')
    }

    fn write_line(&self, text: &str) -> Result<()> {
        writeln!(std::io::stderr(), "{text}")
    }

    fn write_str(&self, text: &str) -> Result<()> {
        write!(std::io::stderr(), "{text}")
    }

    fn clear_line(&self) -> Result<()> {
        write!(std::io::stderr(), "\r\x1b[2K")
    }

    fn flush(&self) -> Result<()> {
        std::io::stderr().flush()
    }
}
