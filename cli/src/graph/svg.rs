//! The picture as SVG. It has its own background and two sets of colours, and a style rule for each: programs that turn
//! SVG into other formats know neither variables nor `prefers-color-scheme`, and then show the light one.

use std::fmt::Write as _;

use super::layout::{
    Edge, HEAD, ICON_ROOM, LABEL_LINE, LABEL_MARGIN, Label, Line, MAP_MARGIN, NAME_SIZE, NOTE_SIZE,
    Picture, Placed, Run, VISIT_LINE, What,
};
use super::model::{Kind, State};
use super::text::{width, xml};
use super::{Overlay, Status, Tally, Theme};

const MARGIN: f64 = 20.0;
const LEGEND: f64 = 34.0;
const HEADING: f64 = 52.0;
const HEADING_SIZE: f64 = 17.0;
/// The length of an arrow.
const ARROW: f64 = 9.0;

/// Colours in light and in dark: class, property, light, dark.
#[rustfmt::skip]
const COLOURS: &[(&str, &str, &str, &str)] = &[
    (".page", "fill", "#ffffff", "#0f141a"),
    (".name, .heading", "fill", "#16191f", "#f2f4f7"),
    (".note, .says, .legend", "fill", "#4b5563", "#b6becb"),
    (".box", "fill", "#ffffff", "#1b232d"),
    (".box", "stroke", "#6b7280", "#8b96a5"),
    (".map", "fill", "#f5f7fa", "#151c24"),
    (".map", "stroke", "#6b7280", "#8b96a5"),
    (".choice", "fill", "#fdf6e3", "#2b2618"),
    (".choice", "stroke", "#8a6d1a", "#c9a94a"),
    (".end", "fill", "#e8eaee", "#2a333f"),
    (".end", "stroke", "#6b7280", "#8b96a5"),
    (".dot", "fill", "#6b7280", "#8b96a5"),
    (".ring", "stroke", "#6b7280", "#8b96a5"),
    (".line", "stroke", "#6b7280", "#8b96a5"),
    (".tip", "fill", "#6b7280", "#8b96a5"),
    (".catch .line", "stroke", "#b45309", "#f0a04b"),
    (".catch .tip", "fill", "#b45309", "#f0a04b"),
    (".catch .says", "fill", "#92400e", "#f7b772"),
    (".plate", "fill", "#ffffff", "#0f141a"),
    (".map-level .plate", "fill", "#f5f7fa", "#151c24"),
    (".taken .line", "stroke", "#1d4ed8", "#8ab4ff"),
    (".taken .tip", "fill", "#1d4ed8", "#8ab4ff"),
    (".tile-compute", "fill", "#c2570c", "#b4510b"),
    (".tile-manage", "fill", "#be185d", "#b3175a"),
    (".tile-flow", "fill", "#4b5563", "#566273"),
    (".succeeded .frame", "stroke", "#15803d", "#4ade80"),
    (".succeeded .visit", "fill", "#166534", "#6ee79b"),
    (".failed .frame", "stroke", "#c81e1e", "#ff7b72"),
    (".failed .visit", "fill", "#b01818", "#ff948c"),
    (".caught .frame", "stroke", "#b45309", "#f0a04b"),
    (".caught .visit", "fill", "#92400e", "#f7b772"),
    (".running .frame", "stroke", "#1d4ed8", "#8ab4ff"),
    (".running .visit", "fill", "#1d4ed8", "#8ab4ff"),
    (".timed-out .frame", "stroke", "#7e22ce", "#d0a2ff"),
    (".timed-out .visit", "fill", "#7e22ce", "#d0a2ff"),
    (".aborted .frame", "stroke", "#4b5563", "#b6becb"),
    (".aborted .visit", "fill", "#374151", "#d5dae2"),
    (".mark", "stroke", "#ffffff", "#0f141a"),
];

const SHAPES: &str = "
text { font-family: Arial, 'Liberation Sans', Helvetica, sans-serif; }
.name { font-size: 13px; font-weight: bold; }
.heading { font-size: 17px; font-weight: bold; }
.note, .says, .legend { font-size: 11px; }
.visit { font-size: 11px; font-weight: bold; }
.says { text-anchor: middle; }
.list { text-anchor: start; }
.box, .choice, .end { stroke-width: 1.2; }
.map { stroke-width: 1.2; stroke-dasharray: 7 3; }
.line { fill: none; stroke-width: 1.4; }
.catch .line { stroke-dasharray: 5 4; }
.taken .line { stroke-width: 3; }
.ring { fill: none; stroke-width: 1.6; }
.glyph { fill: none; stroke: #ffffff; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.frame { stroke-width: 2.4; stroke-dasharray: none; }
.failed .frame { stroke-width: 4; }
.caught .frame { stroke-dasharray: 12 3 3 3; }
.running .frame { stroke-dasharray: 6 4; }
.timed-out .frame { stroke-width: 4; stroke-dasharray: 3 3; }
.aborted .frame { stroke-width: 4; stroke-dasharray: 8 3; }
.mark { fill: none; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
.unvisited path, .unvisited rect { opacity: 0.55; }
";

pub(super) fn draw(
    picture: &Picture,
    comment: &str,
    overlay: Option<&Overlay>,
    theme: Theme,
) -> String {
    let heading = overlay.and_then(|overlay| overlay.heading.as_ref());
    let head = heading.map_or(0.0, |_| HEADING);
    let least = legend_width(overlay).max(heading_width(heading));
    let width = picture.width.max(least) + 2.0 * MARGIN;
    let height = head + picture.height + 2.0 * MARGIN + LEGEND;
    let left = (width - picture.width) / 2.0;
    let mut out = String::new();
    line(
        &mut out,
        format_args!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img">"#,
            w = width.ceil(),
            h = height.ceil()
        ),
    );
    line(
        &mut out,
        format_args!(
            "<title>{}</title>",
            xml(heading.map_or("The state machine as a graph", |[what, _]| what))
        ),
    );
    line(&mut out, format_args!("<desc>{}</desc>", xml(comment)));
    line(
        &mut out,
        format_args!("<style>{SHAPES}{}</style>", colours(theme)),
    );
    line(
        &mut out,
        format_args!(r#"<rect class="page" width="100%" height="100%" rx="8"/>"#),
    );
    let mut drawing = Drawing {
        out: &mut out,
        overlay,
    };
    if let Some([what, when]) = heading {
        drawing.text("heading", MARGIN, MARGIN + HEADING_SIZE, what);
        drawing.text("note", MARGIN, MARGIN + HEADING_SIZE + 18.0, when);
    }
    drawing.level(picture, left, MARGIN + head, true);
    legend(&mut out, overlay, height - MARGIN);
    out.push_str("</svg>\n");
    out
}

fn heading_width(heading: Option<&[String; 2]>) -> f64 {
    heading.map_or(0.0, |[what, when]| {
        super::text::bold_width(what, HEADING_SIZE).max(width(when, NOTE_SIZE))
    })
}

fn colours(theme: Theme) -> String {
    let mut rules = String::new();
    for (class, property, light, dark) in COLOURS {
        let colour = if theme == Theme::Dark { dark } else { light };
        line(
            &mut rules,
            format_args!("{class} {{ {property}: {colour}; }}"),
        );
    }
    if theme != Theme::Auto {
        return rules;
    }
    line(
        &mut rules,
        format_args!("@media (prefers-color-scheme: dark) {{"),
    );
    for (class, property, _, dark) in COLOURS {
        line(
            &mut rules,
            format_args!("{class} {{ {property}: {dark}; }}"),
        );
    }
    line(&mut rules, format_args!("}}"));
    rules
}

struct Drawing<'a> {
    out: &'a mut String,
    overlay: Option<&'a Overlay>,
}

impl Drawing<'_> {
    fn put(&mut self, what: std::fmt::Arguments) {
        line(self.out, what);
    }

    fn level(&mut self, picture: &Picture, x: f64, y: f64, outermost: bool) {
        let class = if outermost { "level" } else { "map-level" };
        self.put(format_args!(
            r#"<g class="{class}" transform="translate({} {})">"#,
            n(x),
            n(y)
        ));
        // The ways that were taken are drawn last, so that no other line covers them.
        let (taken, others): (Vec<_>, Vec<_>) =
            picture.edges.iter().partition(|edge| self.is_taken(edge));
        for edge in others.into_iter().chain(taken) {
            self.edge(edge);
        }
        for edge in &picture.edges {
            if let Some(label) = &edge.label {
                self.label(edge, label);
            }
        }
        for placed in &picture.boxes {
            self.placed(placed, outermost);
        }
        self.put(format_args!("</g>"));
    }

    fn is_taken(&self, edge: &Edge) -> bool {
        let (Some(overlay), Some(from), Some(to)) = (self.overlay, edge.from, edge.to) else {
            return false;
        };
        overlay.taken.contains(&(from.to_owned(), to.to_owned()))
    }

    fn edge(&mut self, edge: &Edge) {
        let mut class = String::from(if edge.caught { "edge catch" } else { "edge" });
        if self.is_taken(edge) {
            class.push_str(" taken");
        }
        let kind = if edge.caught { "catch" } else { "next" };
        let (from, to) = (edge.from.unwrap_or("Start"), edge.to.unwrap_or("End"));
        let says = if edge.says.is_empty() {
            String::new()
        } else {
            format!(": {}", edge.says.join("; "))
        };
        self.put(format_args!(
            r#"<g class="{class}" data-from="{}" data-to="{}" data-kind="{kind}"><title>{} → {}{}</title>"#,
            xml(from),
            xml(to),
            xml(from),
            xml(to),
            xml(&says),
        ));
        self.put(format_args!(
            r#"<path class="line" d="{}"/>"#,
            path(&edge.runs)
        ));
        if let Some(tip) = edge.runs.last() {
            let (x, y, base) = (tip.x, tip.leave, tip.leave + ARROW * backwards(tip));
            self.put(format_args!(
                r#"<path class="tip" d="M{} {}L{} {}L{} {}Z"/>"#,
                n(x),
                n(y),
                n(x - 4.5),
                n(base),
                n(x + 4.5),
                n(base),
            ));
        }
        self.put(format_args!("</g>"));
    }

    fn label(&mut self, edge: &Edge, label: &Label) {
        let class = if edge.caught { "label catch" } else { "label" };
        self.put(format_args!(
            r#"<g class="{class}"><rect class="plate" x="{}" y="{}" width="{}" height="{}" rx="3"/>"#,
            n(label.x),
            n(label.y),
            n(label.width),
            n(label.height),
        ));
        let (anchor, x) = if label.is_list {
            ("says list", label.x + LABEL_MARGIN)
        } else {
            ("says", label.x + label.width / 2.0)
        };
        for (index, Line { indent, text }) in label.lines.iter().enumerate() {
            self.put(format_args!(
                r#"<text class="{anchor}" x="{}" y="{}">{}</text>"#,
                n(x + indent),
                n(label.y + LABEL_LINE * (index as f64 + 1.0) - 2.0),
                xml(text),
            ));
        }
        self.put(format_args!("</g>"));
    }

    fn placed(&mut self, placed: &Placed, outermost: bool) {
        let Placed {
            what,
            x,
            y,
            width,
            height,
        } = placed;
        let (x, y, width, height) = (*x, *y, *width, *height);
        let (middle_x, middle_y) = (x + width / 2.0, y + height / 2.0);
        match what {
            What::Start | What::End if outermost => {
                let name = if matches!(what, What::Start) {
                    "Start"
                } else {
                    "End"
                };
                let (w, h, r) = (n(width), n(height), n(height / 2.0));
                self.put(format_args!(
                    r#"<rect class="end" x="{}" y="{}" width="{w}" height="{h}" rx="{r}"/>"#,
                    n(x),
                    n(y)
                ));
                let left = middle_x - super::text::bold_width(name, NAME_SIZE) / 2.0;
                self.text("name", left, middle_y + 4.5, name);
            }
            What::Start => {
                self.put(format_args!(
                    r#"<circle class="dot" cx="{}" cy="{}" r="5"/>"#,
                    n(middle_x),
                    n(middle_y)
                ));
            }
            What::End => {
                let (cx, cy) = (n(middle_x), n(middle_y));
                self.put(format_args!(
                    r#"<circle class="ring" cx="{cx}" cy="{cy}" r="5.2"/><circle class="dot" cx="{cx}" cy="{cy}" r="2.4"/>"#
                ));
            }
            What::State { state, inner } => {
                self.state(state, placed);
                if let Some(inner) = inner {
                    self.level(
                        inner,
                        x + (width - inner.width) / 2.0,
                        y + height - inner.height - MAP_MARGIN,
                        false,
                    );
                }
            }
        }
    }

    fn state(&mut self, state: &State, placed: &Placed) {
        let Placed {
            x,
            y,
            width,
            height,
            ..
        } = placed;
        let (x, y, width, height) = (*x, *y, *width, *height);
        let visit = self
            .overlay
            .and_then(|overlay| overlay.states.get(&state.name));
        let class = match (self.overlay, visit) {
            (Some(_), None) => "state unvisited",
            (_, Some(visit)) => visit.status.class(),
            (None, None) => "state",
        };
        // What a Map contains is drawn after this group, so a faded Map does not fade its inner states twice.
        self.put(format_args!(
            r#"<g class="{class}" data-state="{}"><title>{}</title>"#,
            xml(&state.name),
            xml(&tip(state, visit))
        ));
        let frame = if visit.is_some() { " frame" } else { "" };
        let (left, top, w, h) = (n(x), n(y), n(width), n(height));
        let mut text_x = x + ICON_ROOM;
        match state.kind {
            Kind::Choice => {
                let (slant, right, bottom) = (12.0, x + width, y + height);
                self.put(format_args!(
                    r#"<path class="choice{frame}" d="M{} {top}H{}L{} {}L{} {}H{}L{left} {}Z"/>"#,
                    n(x + slant),
                    n(right - slant),
                    n(right),
                    n(y + height / 2.0),
                    n(right - slant),
                    n(bottom),
                    n(x + slant),
                    n(y + height / 2.0),
                ));
                text_x += 6.0;
            }
            Kind::Map | Kind::Parallel => {
                self.put(format_args!(r#"<rect class="map{frame}" x="{left}" y="{top}" width="{w}" height="{h}" rx="10"/>"#));
            }
            Kind::Succeed | Kind::Fail => {
                self.put(format_args!(r#"<rect class="box{frame}" x="{left}" y="{top}" width="{w}" height="{h}" rx="21"/>"#));
            }
            _ => {
                self.put(format_args!(r#"<rect class="box{frame}" x="{left}" y="{top}" width="{w}" height="{h}" rx="6"/>"#));
            }
        }
        self.icon(state.kind, text_x - 29.0, y + 10.0);
        self.text("name", text_x, y + 18.0, &state.name);
        self.text("note", text_x, y + 33.0, &state.note);
        if let Some(visit) = visit {
            self.text(
                "visit",
                text_x,
                y + HEAD + VISIT_LINE - 9.0,
                &visit.summary(),
            );
            self.badge(visit.status, text_x - 18.0, y + HEAD + VISIT_LINE - 13.0);
        }
        self.put(format_args!("</g>"));
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        self.put(format_args!(
            r#"<text class="{class}" x="{}" y="{}">{}</text>"#,
            n(x),
            n(y),
            xml(text)
        ));
    }

    /// The kind of a state as a small tile: 22 pixels square.
    fn icon(&mut self, kind: Kind, x: f64, y: f64) {
        let (tile, glyph) = match kind {
            Kind::Lambda => ("compute", "M6 5h2.5l6.5 12M10.3 9.5L6.5 17"),
            Kind::Ecs => (
                "compute",
                "M11 4l6 3.5v7L11 18l-6-3.5v-7ZM5 7.5l6 3.5l6-3.5M11 11v7",
            ),
            Kind::Ec2 => (
                "compute",
                "M7 7h8v8H7ZM9.5 7V4M12.5 7V4M9.5 18v-3M12.5 18v-3M7 9.5H4M7 12.5H4M18 9.5h-3M18 12.5h-3",
            ),
            Kind::Ssm => ("manage", "M5 6l5 5l-5 5M11.5 16.5H17"),
            Kind::OtherTask => (
                "manage",
                "M11 5v3M11 14v3M5 11h3M14 11h3M11 8a3 3 0 1 1 0 6a3 3 0 1 1 0-6",
            ),
            Kind::Choice => ("flow", "M11 4l7 7l-7 7l-7-7ZM11 8v3.5M11 14.3v.1"),
            Kind::Wait => (
                "flow",
                "M11 4.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 1 1 0-13M11 7.5V11l2.5 2",
            ),
            Kind::Pass => ("flow", "M4.5 11h12M12.5 7l4 4l-4 4"),
            Kind::Succeed => ("flow", "M5 11.5l4 4l8-9"),
            Kind::Fail => ("flow", "M6 6l10 10M16 6L6 16"),
            Kind::Map => ("flow", "M5 5h9v9H5ZM8 17h9V8"),
            Kind::Parallel => ("flow", "M7 5v12M15 5v12"),
        };
        self.put(format_args!(
            r#"<g transform="translate({} {})"><rect class="tile-{tile}" width="22" height="22" rx="4"/><path class="glyph" d="{glyph}"/></g>"#,
            n(x),
            n(y),
        ));
    }

    /// The status of a visit as a small disc: 14 pixels across.
    fn badge(&mut self, status: Status, x: f64, y: f64) {
        let glyph = match status {
            Status::Succeeded => "M-3 .3L-.8 2.6L3.2-2.6",
            Status::Failed => "M-2.5-2.5L2.5 2.5M2.5-2.5L-2.5 2.5",
            Status::Caught => "M0-3.6V.6M0 3.3v.1",
            Status::InProgress => "M-3.2 0v.1M0 0v.1M3.2 0v.1",
            Status::TimedOut => "M0-3.6V0L2.4 1.6",
            Status::Aborted => "M-2.4-2.4H2.4V2.4H-2.4Z",
        };
        self.put(format_args!(
            r#"<g transform="translate({} {})"><circle class="visit" r="7"/><path class="mark" d="{glyph}"/></g>"#,
            n(x),
            n(y),
        ));
    }
}

fn tip(state: &State, visit: Option<&Tally>) -> String {
    let mut tip = state.name.clone();
    if !state.comment.is_empty() {
        tip.push_str(": ");
        tip.push_str(&state.comment);
    }
    if let Some(visit) = visit {
        let _ = write!(tip, " [{}", visit.summary());
        if !visit.entered.is_empty() {
            let _ = write!(tip, "; entered {}", visit.entered.join(", "));
        }
        tip.push(']');
    }
    tip
}

/// Vertical runs joined by curves that start and end vertically.
fn path(runs: &[Run]) -> String {
    let mut d = String::new();
    for (index, run) in runs.iter().enumerate() {
        let (enter, leave) = if index + 1 == runs.len() {
            // The line ends where the arrow begins.
            let before = run.leave + ARROW * backwards(run);
            (
                if (run.enter - run.leave).abs() < ARROW {
                    before
                } else {
                    run.enter
                },
                before,
            )
        } else {
            (run.enter, run.leave)
        };
        match index.checked_sub(1).map(|before| runs[before]) {
            None => {
                let _ = write!(d, "M{} {}", n(run.x), n(enter));
            }
            Some(before) if (before.x - run.x).abs() < 0.05 => {
                let _ = write!(d, "V{}", n(enter));
            }
            Some(before) => {
                let turn = if run.up { run.turn } else { before.turn };
                let (high, low) = (before.leave.min(enter), before.leave.max(enter));
                let _ = write!(
                    d,
                    "C{} {m} {x} {m} {x} {}",
                    n(before.x),
                    n(enter),
                    m = n(turn.clamp(high, low)),
                    x = n(run.x)
                );
            }
        }
        if (leave - enter).abs() > 0.05 {
            let _ = write!(d, "V{}", n(leave));
        }
    }
    d
}

/// -1 for a run that leads down, 1 for one that leads up.
fn backwards(run: &Run) -> f64 {
    if run.up { 1.0 } else { -1.0 }
}

const LEGEND_ITEMS: [(&str, &str); 2] = [
    ("edge", "next step"),
    ("edge catch", "after an error that is caught"),
];
const LEGEND_TAKEN: (&str, &str) = ("edge taken", "way taken");
const LEGEND_SAMPLE: f64 = 34.0;
const LEGEND_GAP: f64 = 22.0;

fn legend_items(overlay: Option<&Overlay>) -> Vec<(&'static str, &'static str)> {
    let taken = overlay.map(|_| LEGEND_TAKEN);
    LEGEND_ITEMS.into_iter().chain(taken).collect()
}

fn legend_width(overlay: Option<&Overlay>) -> f64 {
    legend_items(overlay)
        .iter()
        .map(|(_, text)| LEGEND_SAMPLE + width(text, NOTE_SIZE) + LEGEND_GAP)
        .sum()
}

fn legend(out: &mut String, overlay: Option<&Overlay>, y: f64) {
    let mut x = MARGIN;
    for (class, text) in legend_items(overlay) {
        line(
            out,
            format_args!(
                r#"<g class="{class}"><path class="line" d="M{} {y}h28"/></g><text class="legend" x="{}" y="{}">{text}</text>"#,
                n(x),
                n(x + LEGEND_SAMPLE),
                n(y + 4.0),
                y = n(y),
            ),
        );
        x += LEGEND_SAMPLE + width(text, NOTE_SIZE) + LEGEND_GAP;
    }
}

/// A number as short as a tenth of a pixel allows.
fn n(number: f64) -> String {
    let text = format!("{number:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

/// Writing to a String cannot fail.
fn line(out: &mut String, what: std::fmt::Arguments) {
    let _ = out.write_fmt(what);
    out.push('\n');
}
