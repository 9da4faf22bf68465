//! How wide text is, and where to break it. An SVG cannot measure its own text, so the widths are those of Arial
//! (Liberation Sans has the same), which the picture asks for first.

/// Widths of the characters from space to `~`, in thousandths of the font size.
#[rustfmt::skip]
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// Any other character is taken to be as wide as a wide capital.
const WIDEST: u16 = 800;

/// The width of bold text over that of regular text.
const BOLD: f64 = 1.08;

/// The width of `text` in pixels at `size` pixels, regular weight.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let thousandths: f64 = text
        .chars()
        .map(|letter| {
            let place = (letter as usize).checked_sub(0x20);
            f64::from(
                place
                    .and_then(|place| WIDTHS.get(place))
                    .copied()
                    .unwrap_or(WIDEST),
            )
        })
        .sum();
    thousandths / 1000.0 * size
}

/// The width of `text` in pixels at `size` pixels, bold.
pub(super) fn bold_width(text: &str, size: f64) -> f64 {
    width(text, size) * BOLD
}

/// Breaks `text` at spaces into lines of at most `most` pixels; a longer word stays whole.
pub(super) fn wrap(text: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// `text` as it is written in XML text and in a double-quoted attribute.
pub(super) fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 has no way to write a control character.
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{width, wrap};

    #[test]
    fn a_line_is_broken_at_spaces_and_never_wider_than_asked() {
        let lines = wrap("Recoverable exit code, or never started", 12.0, 120.0);
        assert_eq!(lines, ["Recoverable exit", "code, or never started"]);
        assert!(lines.iter().all(|line| width(line, 12.0) <= 120.0));
    }
}
