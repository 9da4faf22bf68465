//! Boxes, arrows and labels as SVG, with a light and a dark set of colours.

use std::fmt::Write as _;

const WIDTH: f64 = 1520.0;
const HEIGHT: f64 = 760.0;
const LINE: f64 = 16.0;
const TITLE: f64 = 28.0;
/// Of a letter of the labels, in the mean.
const LETTER: f64 = 5.6;

/// Where a box begins, and how wide it is; its lines say how high it is at least.
#[derive(Clone, Copy)]
pub struct Place {
    x: f64,
    y: f64,
    width: f64,
    at_least: f64,
}

impl Place {
    pub const fn new(x: f64, y: f64, width: f64) -> Self {
        Self {
            x,
            y,
            width,
            at_least: 0.0,
        }
    }

    pub const fn down_to(mut self, bottom: f64) -> Self {
        self.at_least = bottom - self.y;
        self
    }
}

/// The corners of an arrow, and of its label left edge, first baseline and width.
pub struct Route {
    pub way: &'static [(f64, f64)],
    pub label: (f64, f64, f64),
}

const STYLE: &str = "
text { font-family: Arial, 'Liberation Sans', Helvetica, sans-serif; font-size: 12px; fill: #16191f; }
.title { font-weight: bold; font-size: 13px; }
.label { font-size: 11px; fill: #4b5563; }
.page { fill: #ffffff; }
.box { fill: #f5f7fa; stroke: #6b7280; stroke-width: 1.2; }
.way { fill: none; stroke: #6b7280; stroke-width: 1.4; }
.tip { fill: #6b7280; }
@media (prefers-color-scheme: dark) {
text { fill: #f2f4f7; }
.label { fill: #b6becb; }
.page { fill: #0f141a; }
.box { fill: #1b232d; stroke: #8b96a5; }
.way { stroke: #8b96a5; }
.tip { fill: #8b96a5; }
}
";

pub fn svg(boxes: &[(&str, Place, &[String])], arrows: &[(&Route, String)]) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>The pieces on AWS, and what calls what</title>\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\" rx=\"8\"/>\n"
    );
    for (route, _) in arrows {
        arrow(&mut out, route.way);
    }
    for (title, place, lines) in boxes {
        boxed(&mut out, title, *place, lines);
    }
    for (route, label) in arrows {
        let (x, y, width) = route.label;
        for (nth, line) in wrapped(label, width).iter().enumerate() {
            let y = y + 13.0 * nth as f64;
            let _ = writeln!(
                out,
                "<text class=\"label\" x=\"{x}\" y=\"{y}\">{line}</text>"
            );
        }
    }
    out.push_str("</svg>\n");
    out
}

fn boxed(out: &mut String, title: &str, place: Place, lines: &[String]) {
    let Place { x, y, width, .. } = place;
    let height = (TITLE + LINE * lines.len() as f64 + 10.0).max(place.at_least);
    let _ = writeln!(
        out,
        "<rect class=\"box\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"{}\" y=\"{}\">{title}</text>",
        x + 12.0,
        y + 20.0
    );
    for (nth, line) in lines.iter().enumerate() {
        let y = y + TITLE + 12.0 + LINE * nth as f64;
        let _ = writeln!(out, "<text x=\"{}\" y=\"{y}\">{line}</text>", x + 12.0);
    }
}

fn arrow(out: &mut String, way: &[(f64, f64)]) {
    let points: Vec<String> = way.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let [.., (from_x, from_y), (x, y)] = way else {
        panic!("an arrow has two ends");
    };
    let (across, down) = ((x - from_x).signum(), (y - from_y).signum());
    let tip = if from_y == y {
        format!(
            "{x},{y} {back},{} {back},{}",
            y - 4.5,
            y + 4.5,
            back = x - 9.0 * across
        )
    } else {
        format!(
            "{x},{y} {},{back} {},{back}",
            x - 4.5,
            x + 4.5,
            back = y - 9.0 * down
        )
    };
    let _ = writeln!(
        out,
        "<polyline class=\"way\" points=\"{}\"/>\n<polygon class=\"tip\" points=\"{tip}\"/>",
        points.join(" ")
    );
}

/// Words in lines that are about so wide.
fn wrapped(text: &str, width: f64) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one");
        if !line.is_empty() && (line.len() + 1 + word.len()) as f64 * LETTER > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
