//! The three designs as bars: docs/overhead.svg.

use super::{Compared, ledger::Owner};
use crate::page::path;
use std::{fmt::Write, fs, io};

const FILE: &str = "docs/overhead.svg";

const WIDTH: f64 = 760.0;
const LEFT: f64 = 100.0;
const BAR: f64 = 15.0;
const GROUP: f64 = 68.0;
const TOP: f64 = 92.0;
/// The longest bar; its number stands right of it.
const LONGEST: f64 = WIDTH - LEFT - 90.0;
const DESIGNS: [(&str, &str); 3] = [
    ("this system", "#0f766e"),
    ("polling every 30 s", "#94a3b8"),
    ("original design, serial calls", "#d97706"),
];

/// The picture as SVG.
pub fn svg(compared: &[Compared]) -> String {
    let seconds = |size: &Compared| {
        [&size.recovery, &size.polling, &size.original.ledger].map(|l| l.by(Owner::System))
    };
    let most = compared.iter().flat_map(seconds).fold(1.0, f64::max);
    let height = TOP + GROUP * compared.len() as f64 + 8.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#1f2937\">\n\
         <title>The recovery system's own seconds by size of the job</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <text x=\"24\" y=\"32\" font-size=\"16\" font-weight=\"bold\">The recovery's own seconds, from a rank's exit to all ranks running again</text>\n"
    );
    let mut x = 24.0;
    for (name, colour) in DESIGNS {
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"52\" width=\"12\" height=\"12\" rx=\"2\" fill=\"{colour}\"/><text x=\"{}\" y=\"63\">{name}</text>",
            x + 18.0
        );
        x += 50.0 + 7.0 * name.len() as f64;
    }
    for (nth, size) in compared.iter().enumerate() {
        let top = TOP + GROUP * nth as f64;
        let nodes = crate::page::thousands(size.nodes.into());
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{nodes} nodes</text>",
            LEFT - 12.0,
            top + 1.5 * BAR + 5.0
        );
        for (bar, (own, (_, colour))) in seconds(size).into_iter().zip(DESIGNS).enumerate() {
            let y = top + (BAR + 2.0) * bar as f64;
            let width = (own / most * LONGEST).max(2.0);
            let number = if own < 10.0 {
                format!("{own:.1} s")
            } else {
                format!("{own:.0} s")
            };
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\">{number}</text>",
                LEFT + width + 6.0,
                y + BAR - 3.0
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Writes the picture.
///
/// # Errors
/// When it cannot be written.
pub fn write(picture: &str) -> io::Result<()> {
    fs::write(path(FILE), picture)
}

/// Checks that the picture shows what was measured; with `UPDATE_BENCHES` set, draws it anew.
///
/// # Errors
/// What to do when it does not.
pub fn check(picture: &str) -> Result<(), String> {
    if std::env::var_os("UPDATE_BENCHES").is_some() {
        return write(picture).map_err(|e| e.to_string());
    }
    match fs::read_to_string(path(FILE)) {
        Ok(text) if text == picture => Ok(()),
        _ => Err(format!(
            "{FILE} shows something else; UPDATE_BENCHES=1 cargo test --profile sim -p benches"
        )),
    }
}
