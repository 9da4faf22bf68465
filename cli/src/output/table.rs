//! Rows of text under a heading each, in columns or, where these are too wide, in blocks.

use super::{DIM, Output, columns, paint};
use anstyle::Style;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// A column that wraps is at least so wide: an instance's state in ECS and a verdict are readable then.
const WRAPPED: usize = 14;
/// Between two columns, and before the first.
const GAP: usize = 2;

/// Rows as a table; where that is too wide, each row as a block of lines.
pub fn table<const N: usize>(
    output: &Output,
    header: [&str; N],
    wraps: &[usize],
    rows: Vec<Vec<String>>,
) {
    if rows.is_empty() {
        return;
    }
    let least = (0..N).map(|index| {
        let cells = rows.iter().map(|row| columns(&row[index]));
        let widest = cells.max().unwrap_or_default().max(header[index].len());
        GAP + match wraps.contains(&index) {
            true => widest.min(WRAPPED),
            false => widest,
        }
    });
    if least.sum::<usize>() > output.table_width() {
        blocks(output, header, &rows);
        return;
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(output.table_width().saturating_sub(GAP)).unwrap_or(u16::MAX))
        .set_header(header)
        .add_rows(rows);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        // Ids and statuses stay whole, so that they can be copied.
        if !wraps.contains(&index) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    for (place, line) in table.lines().enumerate() {
        let line = format!("  {}", line.trim_end());
        let style = if place == 0 { DIM } else { Style::new() };
        output.line(&paint(style, line));
    }
}

fn blocks<const N: usize>(output: &Output, header: [&str; N], rows: &[Vec<String>]) {
    let widest = header
        .iter()
        .map(|name| name.len())
        .max()
        .unwrap_or_default();
    for row in rows {
        output.line(&format!("  {} {}", paint(DIM, header[0]), row[0]));
        for (name, cell) in header.iter().zip(row).skip(1) {
            let blank = " ".repeat(widest - name.len() + GAP);
            output.text(&format!("    {}{blank}", paint(DIM, name)), cell);
        }
    }
}
