//! Where everything stands. The crate dagre chooses the rows and the order in each row; this module gives it the
//! vertices, then sets rows and columns as close as the edges allow and leads the edges through.
//!
//! Two rules keep text and boxes free of lines. A label is a vertex of its own, right after the state that the edge
//! leaves, so nothing is put where it stands. And an edge is vertical wherever it passes a row; it moves sideways
//! only in the gap between two rows, where nothing stands.
//!
//! A Map is laid out from the inside: its inner level becomes one big vertex of the outer level.

use std::collections::{HashMap, HashSet};

use super::model::{Bundle, Kind, Scope, State, Transition};
use super::rows::Arrangement;
use super::setting::Setting;
use super::text::{bold_width, width, wrap};
use super::{Overlay, Tally};

pub(super) const NAME_SIZE: f64 = 13.0;
pub(super) const NOTE_SIZE: f64 = 11.0;
pub(super) const LABEL_SIZE: f64 = 11.0;
/// From one line of an edge's label to the next.
pub(super) const LABEL_LINE: f64 = 13.0;
/// The height of a state's name and kind, which is also that of a Map's head.
pub(super) const HEAD: f64 = 42.0;
/// What the line on a visit adds to a state's height.
pub(super) const VISIT_LINE: f64 = 17.0;
/// The room left of a state's text, for its icon.
pub(super) const ICON_ROOM: f64 = 38.0;

const TEXT_MARGIN: f64 = 12.0;
pub(super) const MAP_MARGIN: f64 = 14.0;
const LABEL_MOST: f64 = 132.0;
const BULLET: &str = "• ";
pub(super) const LABEL_MARGIN: f64 = 4.0;

/// One level, laid out; all positions are from its own top left corner.
pub(super) struct Picture<'a> {
    pub width: f64,
    pub height: f64,
    pub boxes: Vec<Placed<'a>>,
    pub edges: Vec<Edge<'a>>,
}

pub(super) struct Placed<'a> {
    pub what: What<'a>,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

pub(super) enum What<'a> {
    Start,
    End,
    State {
        state: &'a State,
        inner: Option<Picture<'a>>,
    },
}

/// All transitions of one kind between two states: one line with what each of them says.
pub(super) struct Edge<'a> {
    /// None for the start of the level.
    pub from: Option<&'a str>,
    /// None for an end of the level.
    pub to: Option<&'a str>,
    pub caught: bool,
    pub says: Vec<&'a str>,
    pub runs: Vec<Run>,
    pub label: Option<Label>,
}

/// A vertical piece of an edge, from where it is entered to where it is left; a curve leads to the next one.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub x: f64,
    pub enter: f64,
    pub leave: f64,
    /// Where the curve at its lower end is level.
    pub turn: f64,
    /// Whether the edge leads up here.
    pub up: bool,
}

pub(super) struct Label {
    /// Several transitions are listed from the left margin; what a single one says is centred.
    pub is_list: bool,
    pub lines: Vec<Line>,
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

pub(super) struct Line {
    pub indent: f64,
    pub text: String,
}

/// Lays out one level and all levels inside it.
pub(super) fn lay_out<'a>(
    scope: &'a Scope,
    overlay: Option<&Overlay>,
    outermost: bool,
) -> Picture<'a> {
    let mut rough = Rough::default();
    let marker = if outermost {
        (64.0, 26.0)
    } else {
        (12.0, 12.0)
    };

    let walk = Walk::through(scope);
    let start = rough.vertex(marker, Some(What::Start));
    let mut places = HashMap::new();
    for state in &walk.met {
        let inner = state
            .inner
            .as_ref()
            .map(|inner| lay_out(inner, overlay, false));
        let visit = overlay.and_then(|overlay| overlay.states.get(&state.name));
        let size = size_of(state, inner.as_ref(), visit);
        let vertex = rough.vertex(size, Some(What::State { state, inner }));
        places.insert(state.name.as_str(), vertex);
    }
    for first in &scope.starts {
        let of = EdgeOf {
            from: None,
            to: Some(first),
            caught: false,
            says: vec![],
        };
        rough.edge(start, places[first.as_str()], of, false);
    }
    for state in &scope.states {
        let from = places[state.name.as_str()];
        for Bundle { to, caught, says } in state.bundles() {
            let turned = walk.back.contains(&(state.name.as_str(), to));
            let of = EdgeOf {
                from: Some(&state.name),
                to: Some(to),
                caught,
                says,
            };
            rough.edge(from, places[to], of, turned);
        }
        if state.ends {
            let end = rough.vertex(marker, Some(What::End));
            let of = EdgeOf {
                from: Some(&state.name),
                to: None,
                caught: false,
                says: vec![],
            };
            rough.edge(from, end, of, false);
        }
    }
    rough.set()
}

fn size_of(state: &State, inner: Option<&Picture>, visit: Option<&Tally>) -> (f64, f64) {
    let texts = [
        bold_width(&state.name, NAME_SIZE),
        width(&state.note, NOTE_SIZE),
        visit.map_or(0.0, |visit| bold_width(&visit.summary(), NOTE_SIZE)),
    ];
    let icon = if state.kind == Kind::Choice {
        ICON_ROOM + 16.0
    } else {
        ICON_ROOM
    };
    let text = icon + texts.into_iter().fold(0.0, f64::max) + TEXT_MARGIN;
    let head = HEAD + if visit.is_some() { VISIT_LINE } else { 0.0 };
    match inner {
        Some(inner) => (
            text.max(inner.width + 2.0 * MAP_MARGIN).ceil(),
            (head + inner.height + MAP_MARGIN).ceil(),
        ),
        None => (text.ceil(), head),
    }
}

/// A walk through a level that tries the ways in the order of the definition, `Next` first, so that the usual way
/// is the straight one.
pub(super) struct Walk<'a> {
    states: HashMap<&'a str, &'a State>,
    /// The states as they are met; those that no way leads to come last.
    pub met: Vec<&'a State>,
    seen: HashSet<&'a str>,
    on_the_way: HashSet<&'a str>,
    /// The transitions that lead back to a state already on the way: laid out turned round, every edge leads down.
    pub back: HashSet<(&'a str, &'a str)>,
}

impl<'a> Walk<'a> {
    pub fn through(scope: &'a Scope) -> Self {
        let names = scope.states.iter().map(|state| &state.name);
        let mut walk = Self {
            states: scope
                .states
                .iter()
                .map(|state| (state.name.as_str(), state))
                .collect(),
            met: vec![],
            seen: HashSet::new(),
            on_the_way: HashSet::new(),
            back: HashSet::new(),
        };
        for name in scope.starts.iter().chain(names) {
            walk.visit(name);
        }
        walk
    }

    fn visit(&mut self, name: &'a str) {
        if !self.seen.insert(name) {
            return;
        }
        let state = self.states[name];
        self.met.push(state);
        self.on_the_way.insert(name);
        for Transition { to, .. } in &state.transitions {
            if self.on_the_way.contains(to.as_str()) {
                self.back.insert((name, to));
            }
            self.visit(to);
        }
        self.on_the_way.remove(name);
    }
}

/// A level before dagre has seen it.
#[derive(Default)]
pub(super) struct Rough<'a> {
    pub vertices: Vec<Vertex<'a>>,
    pub edges: Vec<RoughEdge<'a>>,
}

pub(super) struct Vertex<'a> {
    pub width: f64,
    pub height: f64,
    /// None for a label.
    pub what: Option<What<'a>>,
}

pub(super) struct EdgeOf<'a> {
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    pub caught: bool,
    pub says: Vec<&'a str>,
}

pub(super) struct RoughEdge<'a> {
    pub of: EdgeOf<'a>,
    /// What the edge passes, from the upper end to the lower: two vertices, or a label between them.
    pub down: Vec<usize>,
    pub turned: bool,
    pub lines: Vec<Line>,
}

impl<'a> Rough<'a> {
    fn vertex(&mut self, (width, height): (f64, f64), what: Option<What<'a>>) -> usize {
        self.vertices.push(Vertex {
            width,
            height,
            what,
        });
        self.vertices.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, of: EdgeOf<'a>, turned: bool) {
        let lines = label_lines(&of.says);
        let mut down = vec![from, to];
        // A state that leads to itself needs something to lead round.
        if !lines.is_empty() || from == to {
            let widest = lines
                .iter()
                .map(|line| line.indent + width(&line.text, LABEL_SIZE))
                .fold(0.0, f64::max);
            let size = (
                widest + 2.0 * LABEL_MARGIN,
                lines.len() as f64 * LABEL_LINE + 2.0,
            );
            down.insert(1, self.vertex(size, None));
        }
        if turned {
            down.reverse();
        }
        self.edges.push(RoughEdge {
            of,
            down,
            turned,
            lines,
        });
    }

    /// Of dagre's arrangements the one with the fewest crossings, as a picture.
    fn set(self) -> Picture<'a> {
        let mut best = Arrangement::of(&self, false, false);
        for (keep_first, mirrored) in [(false, true), (true, false), (true, true)] {
            let other = Arrangement::of(&self, keep_first, mirrored);
            if other.crossings() < best.crossings() {
                best = other;
            }
        }
        Setting::new(self, best).picture()
    }
}

fn label_lines(says: &[&str]) -> Vec<Line> {
    let is_list = says.len() > 1;
    let mut lines = vec![];
    for label in says {
        for (index, text) in wrap(label, LABEL_SIZE, LABEL_MOST).into_iter().enumerate() {
            let begins = is_list && index == 0;
            let indent = if is_list && !begins {
                width(BULLET, LABEL_SIZE)
            } else {
                0.0
            };
            lines.push(Line {
                indent,
                text: if begins {
                    format!("{BULLET}{text}")
                } else {
                    text
                },
            });
        }
    }
    lines
}
