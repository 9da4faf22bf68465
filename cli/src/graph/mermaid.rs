//! The picture as Mermaid text, for places that draw Mermaid but no SVG.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::model::{Bundle, Kind, Scope, State};
use super::{Overlay, Status};

pub(super) fn draw(scope: &Scope, overlay: Option<&Overlay>) -> String {
    let ids = scope
        .all()
        .iter()
        .enumerate()
        .map(|(index, state)| (state.name.clone(), id(index, &state.name)))
        .collect();
    let mut drawing = Drawing {
        out: String::new(),
        ids,
        overlay,
    };
    if let Some([what, when]) = overlay.and_then(|overlay| overlay.heading.as_ref()) {
        // A title is YAML of its own before the diagram (https://mermaid.js.org/config/configuration.html, frontmatter).
        let title = format!("{what} ({when})").replace('\'', "''");
        drawing.put(0, format_args!("---\ntitle: '{title}'\n---"));
    }
    drawing.put(0, format_args!("flowchart TD"));
    drawing.level(scope, "machine", 1);
    if overlay.is_some() {
        drawing.classes();
    }
    drawing.out
}

/// Letters and digits only, and never a word that Mermaid reserves.
fn id(index: usize, name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '_'
            }
        })
        .collect();
    format!("s{index}_{plain}")
}

struct Drawing<'a> {
    out: String,
    ids: HashMap<String, String>,
    overlay: Option<&'a Overlay>,
}

impl Drawing<'_> {
    fn put(&mut self, depth: usize, what: std::fmt::Arguments) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{:width$}{what}", "", width = depth * 2);
    }

    fn level(&mut self, scope: &Scope, name: &str, depth: usize) {
        let (start, end) = (format!("start_{name}"), format!("end_{name}"));
        if depth == 1 {
            self.put(depth, format_args!(r#"{start}(["Start"])"#));
            self.put(depth, format_args!(r#"{end}(["End"])"#));
        } else {
            self.put(depth, format_args!("direction TB"));
            self.put(depth, format_args!(r#"{start}((" "))"#));
            self.put(depth, format_args!(r#"{end}(((" ")))"#));
        }
        for state in &scope.states {
            self.state(state, depth);
        }
        for first in &scope.starts {
            self.put(
                depth,
                format_args!("{start} --> {}", self.ids[first].clone()),
            );
        }
        for state in &scope.states {
            let from = self.ids[&state.name].clone();
            for Bundle { to, caught, says } in state.bundles() {
                let to = self.ids[to].clone();
                let says: Vec<_> = says.into_iter().map(quoted).collect();
                let says = match says.as_slice() {
                    [] => String::new(),
                    says => format!("|\"{}\"|", says.join("<br>")),
                };
                let arrow = if caught { "-.->" } else { "-->" };
                self.put(depth, format_args!("{from} {arrow}{says} {to}"));
            }
            if state.ends {
                self.put(depth, format_args!("{from} --> {end}"));
            }
        }
    }

    fn state(&mut self, state: &State, depth: usize) {
        let id = self.ids[&state.name].clone();
        let visit = self
            .overlay
            .and_then(|overlay| overlay.states.get(&state.name));
        let mut text = format!("{}<br>{}", quoted(&state.name), quoted(&state.note));
        if let Some(visit) = visit {
            let _ = write!(
                text,
                "<br>{} {}",
                visit.status.sign(),
                quoted(&visit.summary())
            );
        }
        match (&state.inner, state.kind) {
            (Some(inner), _) => {
                self.put(depth, format_args!(r#"subgraph {id}["{text}"]"#));
                self.level(inner, &id, depth + 1);
                self.put(depth, format_args!("end"));
            }
            (None, Kind::Choice) => self.put(depth, format_args!(r#"{id}{{{{"{text}"}}}}"#)),
            (None, Kind::Succeed | Kind::Fail) => {
                self.put(depth, format_args!(r#"{id}(["{text}"])"#))
            }
            (None, _) => self.put(depth, format_args!(r#"{id}["{text}"]"#)),
        }
        if let Some(visit) = visit {
            self.put(depth, format_args!("class {id} {}", visit.status.class()));
        }
    }

    /// Borders only, in colours that show on light and on dark; the text says the status as well.
    fn classes(&mut self) {
        for (status, style) in [
            (Status::Succeeded, "stroke:#2f9e56,stroke-width:2px"),
            (Status::Failed, "stroke:#e5484d,stroke-width:4px"),
            (
                Status::Caught,
                "stroke:#d97706,stroke-width:2px,stroke-dasharray:12 3 3 3",
            ),
            (
                Status::InProgress,
                "stroke:#4f83ff,stroke-width:2px,stroke-dasharray:6 4",
            ),
            (
                Status::TimedOut,
                "stroke:#a855f7,stroke-width:4px,stroke-dasharray:3 3",
            ),
            (
                Status::Aborted,
                "stroke:#8b96a5,stroke-width:4px,stroke-dasharray:8 3",
            ),
        ] {
            self.put(1, format_args!("classDef {} {style}", status.class()));
        }
    }
}

/// `text` inside a quoted Mermaid label, where special characters are written as entity codes
/// (<https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters>).
fn quoted(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '"' | '#' | '&' | '<' | '>' | '`' | ';' => {
                let _ = write!(escaped, "#{};", letter as u32);
            }
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}
