//! Draws a state machine as the AWS Step Functions console does, from its definition (Amazon States Language): as SVG or
//! PNG for people, as rows of a terminal, and as Mermaid text. With an [`Overlay`] the picture shows the path of an execution as well.
//!
//! The same definition and overlay give the same text, byte for byte, so `statemachine/recovery.svg` can be compared
//! with the definition in a test.

mod columns;
mod lanes;
mod layout;
mod mermaid;
mod model;
mod png;
mod rows;
mod setting;
mod straight;
mod svg;
mod terminal;
mod text;

pub use terminal::Row;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// The path of one execution, laid over the picture.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// Whose path it is and what came of it; then when, how long, and which execution.
    pub heading: Option<[String; 2]>,
    /// The states that were entered, by name; all others are drawn faded.
    pub states: BTreeMap<String, Tally>,
    /// The transitions taken, from state to state, which are drawn bold.
    pub taken: BTreeSet<(String, String)>,
}

/// What happened in one state, over all times it was entered and all items of its Map.
#[derive(Clone, Debug)]
pub struct Tally {
    pub status: Status,
    /// When it was entered, in order, as text for an operator; one for each time.
    pub entered: Vec<String>,
    /// How often it was tried again after an error.
    pub retries: u32,
    /// What else to show, for example `12 m 04 s`.
    pub label: Option<String>,
    /// How often it came out with this status, which is the worst of all.
    pub worst: usize,
    /// How often it was entered and not left: of a Map's items, those that stand there.
    pub standing: usize,
}

/// How a state came out. Colour is never the only sign: each has its own icon, border and word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Succeeded,
    Failed,
    /// It failed, and a Catch led on.
    Caught,
    InProgress,
    TimedOut,
    /// An operator stopped the execution there.
    Aborted,
}

/// Which colours a picture has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    /// As the reader of an SVG prefers; a PNG is light
    Auto,
    /// Light
    Light,
    /// Dark
    Dark,
}

/// Why a definition cannot be drawn. Each says what to fix in it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("{place} has no {field}")]
    FieldMissing { place: String, field: &'static str },
    #[error("{from} leads to {to}, which is no state of its level")]
    TargetMissing { from: String, to: String },
    #[error("two states are called {state}; names are unique in the whole state machine")]
    NameUsedTwice { state: String },
    #[error("{state} has the unknown Type {kind}")]
    TypeUnknown { state: String, kind: String },
    #[error(
        "the execution entered {state}, which the definition does not have: it ran another version"
    )]
    NotInDefinition { state: String },
    #[error("the picture cannot be made a PNG: {0}; --format svg has no such bound")]
    NoPixels(String),
}

/// Draws the definition as an SVG document of its own: no script, no outside file.
///
/// # Errors
/// When the definition cannot be drawn, or the overlay speaks of a state that it does not have.
pub fn svg(
    definition: &Value,
    overlay: Option<&Overlay>,
    theme: Theme,
) -> Result<String, GraphError> {
    let scope = read(definition, overlay)?;
    let picture = layout::lay_out(&scope, overlay, true);
    Ok(svg::draw(
        &picture,
        definition["Comment"].as_str().unwrap_or_default(),
        overlay,
        theme,
    ))
}

/// Draws the definition as the bytes of a PNG file, with two pixels for each of the SVG's.
///
/// # Errors
/// As [`svg`], and when the picture is too large.
pub fn png(
    definition: &Value,
    overlay: Option<&Overlay>,
    theme: Theme,
) -> Result<Vec<u8>, GraphError> {
    png::draw(&svg(definition, overlay, theme)?)
}

/// Draws the definition as a Mermaid flowchart.
///
/// # Errors
/// As [`svg`].
pub fn mermaid(definition: &Value, overlay: Option<&Overlay>) -> Result<String, GraphError> {
    let scope = read(definition, overlay)?;
    Ok(mermaid::draw(&scope, overlay))
}

/// Draws the definition and the path as rows of a terminal.
///
/// # Errors
/// As [`svg`].
pub fn terminal(definition: &Value, overlay: &Overlay) -> Result<Vec<Row>, GraphError> {
    let scope = read(definition, Some(overlay))?;
    Ok(terminal::rows(&scope, overlay))
}

/// A text for XML or HTML.
pub fn escaped(text: &str) -> String {
    text::xml(text)
}

fn read(definition: &Value, overlay: Option<&Overlay>) -> Result<model::Scope, GraphError> {
    let scope = model::read(definition)?;
    let known: BTreeSet<_> = scope.all().into_iter().map(|state| &state.name).collect();
    let stranger =
        overlay.and_then(|overlay| overlay.states.keys().find(|name| !known.contains(name)));
    match stranger {
        Some(state) => Err(GraphError::NotInDefinition {
            state: state.clone(),
        }),
        None => Ok(scope),
    }
}

impl Tally {
    /// One line: the status in words, then what is worth saying.
    fn summary(&self) -> String {
        let mut parts = vec![self.status.word().to_owned()];
        parts.extend(self.label.clone());
        match self.entered.len() {
            0 | 1 => {}
            times if self.standing == 0 && self.worst < times => {
                parts.push(format!("{} of {times} times", self.worst));
            }
            times => parts.push(format!("{times} times")),
        }
        if self.standing > 1 {
            parts.push(format!("{} under way", self.standing));
        }
        match self.retries {
            0 => {}
            1 => parts.push("1 retry".to_owned()),
            retries => parts.push(format!("{retries} retries")),
        }
        parts.join(" · ")
    }
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Caught => "Error caught",
            Self::InProgress => "In progress",
            Self::TimedOut => "Timed out",
            Self::Aborted => "Aborted",
        }
    }

    /// As styles and pages name it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Caught => "caught",
            Self::InProgress => "running",
            Self::TimedOut => "timed-out",
            Self::Aborted => "aborted",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Succeeded => '✓',
            Self::Failed => '✗',
            Self::Caught => '!',
            Self::InProgress => '…',
            Self::TimedOut => '⏱',
            Self::Aborted => '■',
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    const DEFINITION: &str = include_str!("../../statemachine/recovery.asl.json");

    fn definition() -> Value {
        serde_json::from_str(DEFINITION).expect("the definition is JSON")
    }

    /// Every state, and every transition with what it says, read without the module's own reader.
    fn told(level: &Value, states: &mut Vec<String>, ways: &mut Vec<(String, String, String)>) {
        for (name, state) in level["States"].as_object().expect("a level has states") {
            states.push(name.clone());
            let mut way = |to: &Value, says: &str| {
                if let Some(to) = to.as_str() {
                    ways.push((name.clone(), to.to_owned(), says.to_owned()));
                }
            };
            way(&state["Next"], "");
            way(&state["Default"], "default");
            for branch in ["Choices", "Catch"]
                .iter()
                .flat_map(|field| state[field].as_array().into_iter().flatten())
            {
                way(
                    &branch["Next"],
                    branch["Comment"].as_str().unwrap_or_default(),
                );
            }
            if state["Type"] == "Map" {
                told(&state["ItemProcessor"], states, ways);
            }
        }
    }

    fn all_told() -> (Vec<String>, Vec<(String, String, String)>) {
        let (mut states, mut ways) = (vec![], vec![]);
        told(&definition(), &mut states, &mut ways);
        assert!(
            states.len() > 20 && ways.len() > 30,
            "{} states, {} ways",
            states.len(),
            ways.len()
        );
        (states, ways)
    }

    fn small() -> Value {
        json!({
            "Comment": "small",
            "StartAt": "Well?",
            "States": {
                "Well?": {
                    "Type": "Choice",
                    "Choices": [{ "Comment": "a < b & \"c\"", "Condition": "{% true %}", "Next": "A & <B>" }],
                    "Default": "Done",
                },
                "A & <B>": { "Type": "Pass", "Comment": "\"quoted\"", "Next": "Well?" },
                "Done": { "Type": "Succeed" },
            },
        })
    }

    fn overlay(status: Status) -> Overlay {
        let entered = vec!["10:00:00".to_owned(), "10:05:00".to_owned()];
        let visit = Tally {
            status,
            entered,
            retries: 1,
            label: Some("12 m 04 s".to_owned()),
            worst: 2,
            standing: 0,
        };
        Overlay {
            heading: None,
            states: BTreeMap::from([("Well?".to_owned(), visit)]),
            taken: BTreeSet::from([("Well?".to_owned(), "Done".to_owned())]),
        }
    }

    #[test]
    fn the_picture_is_drawn_from_the_definition() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../statemachine/recovery.svg");
        let drawn = svg(&definition(), None, Theme::Auto).expect("the definition can be drawn");
        if std::env::var_os("UPDATE_PICTURE").is_some_and(|value| value == "1") {
            std::fs::write(&path, &drawn).expect("the picture can be written");
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == drawn,
            "statemachine/recovery.svg does not show statemachine/recovery.asl.json; draw it again with:\n  \
             UPDATE_PICTURE=1 cargo test -p gpu-recovery the_picture_is_drawn_from_the_definition"
        );
    }

    #[test]
    fn every_state_and_every_transition_is_in_the_svg() {
        let drawn = svg(&definition(), None, Theme::Auto).expect("the definition can be drawn");
        let (states, ways) = all_told();
        for state in states {
            let mark = format!(r#"data-state="{}""#, text::xml(&state));
            assert_eq!(drawn.matches(&mark).count(), 1, "{state}");
        }
        for (from, to, says) in ways {
            let ends = format!(
                r#"data-from="{}" data-to="{}""#,
                text::xml(&from),
                text::xml(&to)
            );
            let edges: Vec<_> = drawn.lines().filter(|line| line.contains(&ends)).collect();
            assert!(
                edges.iter().any(|edge| edge.contains(&text::xml(&says))),
                "{from} -> {to}: {says}"
            );
        }
    }

    #[test]
    fn every_state_and_every_transition_is_in_the_mermaid_text() {
        let drawn = mermaid(&definition(), None).expect("the definition can be drawn");
        let (states, ways) = all_told();
        let id = |name: &str| {
            let place = states
                .iter()
                .position(|state| state == name)
                .expect("a known state");
            format!("s{place}_{}", name.replace('?', "_"))
        };
        for state in &states {
            assert!(drawn.contains(&format!("\"{state}<br>")), "{state}");
        }
        for (from, to, says) in ways {
            let (from, to) = (format!("{} -", id(&from)), format!(" {}", id(&to)));
            let mut edges = drawn
                .lines()
                .filter(|line| line.trim_start().starts_with(&from) && line.ends_with(&to));
            assert!(
                edges.any(|edge| edge.contains(&says)),
                "{from} -> {to}: {says}"
            );
        }
    }

    #[test]
    fn no_box_no_label_and_no_edge_covers_another() {
        let scope = model::read(&definition()).expect("the definition can be read");
        no_overlap(&layout::lay_out(&scope, None, true));
    }

    fn no_overlap(picture: &layout::Picture) {
        let mut areas = vec![];
        for placed in &picture.boxes {
            areas.push((None, placed.x, placed.y, placed.width, placed.height));
            if let layout::What::State {
                inner: Some(inner), ..
            } = &placed.what
            {
                no_overlap(inner);
            }
        }
        for (edge, label) in picture.edges.iter().map(|edge| &edge.label).enumerate() {
            areas.extend(
                label
                    .as_ref()
                    .map(|label| (Some(edge), label.x, label.y, label.width, label.height)),
            );
        }
        for (index, (of, x, y, width, height)) in areas.iter().enumerate() {
            assert!(
                *x > -0.5 && x + width < picture.width + 0.5 && y + height < picture.height + 0.5
            );
            let others = picture
                .edges
                .iter()
                .enumerate()
                .filter(|(edge, _)| *of != Some(*edge));
            for run in others.flat_map(|(_, edge)| &edge.runs) {
                let (top, bottom) = (run.enter.min(run.leave), run.enter.max(run.leave));
                let beside = run.x <= *x || x + width <= run.x;
                let above = bottom < y + 0.5 || y + height - 0.5 < top;
                assert!(
                    beside || above,
                    "an edge at {} covers {x} {y} {width} {height}",
                    run.x
                );
            }
            for (_, other_x, other_y, other_width, other_height) in &areas[index + 1..] {
                let beside = x + width <= *other_x || other_x + other_width <= *x;
                let above = y + height <= *other_y || other_y + other_height <= *y;
                assert!(
                    beside || above,
                    "{x} {y} {width} {height} covers {other_x} {other_y}"
                );
            }
        }
    }

    #[test]
    fn the_picture_is_readable_on_a_laptop() {
        let scope = model::read(&definition()).expect("the definition can be read");
        let width = layout::lay_out(&scope, None, true).width;
        assert!(width <= 1600.0, "{width}");
    }

    #[test]
    fn special_characters_are_escaped() {
        let drawn =
            svg(&small(), Some(&overlay(Status::Failed)), Theme::Auto).expect("can be drawn");
        assert!(drawn.contains(r#"data-state="A &amp; &lt;B&gt;""#));
        assert!(drawn.contains("a &lt; b &amp; &quot;c&quot;"));
        assert!(drawn.contains(r#"data-state="Well?""#));
        assert!(!drawn.contains("<B>"));

        let drawn = mermaid(&small(), None).expect("can be drawn");
        assert!(
            drawn.contains(r#"s1_A____B_["A #38; #60;B#62;<br>Pass"]"#),
            "{drawn}"
        );
        assert!(drawn.contains(r#"|"a #60; b #38; #34;c#34;"|"#), "{drawn}");
    }

    #[test]
    fn a_missing_target_is_named() {
        let mut definition = small();
        definition["States"]["A & <B>"]["Next"] = json!("Nowhere");
        let error = GraphError::TargetMissing {
            from: "A & <B>".to_owned(),
            to: "Nowhere".to_owned(),
        };
        assert_eq!(svg(&definition, None, Theme::Auto), Err(error));
        let text = mermaid(&definition, None)
            .expect_err("a target is missing")
            .to_string();
        assert!(
            text.contains("A & <B>") && text.contains("Nowhere"),
            "{text}"
        );
    }

    #[test]
    fn a_level_never_leads_into_another() {
        let mut definition = definition();
        definition["States"]["WaitForStop"]["Next"] = json!("RunDcgm");
        let error = GraphError::TargetMissing {
            from: "WaitForStop".to_owned(),
            to: "RunDcgm".to_owned(),
        };
        assert_eq!(svg(&definition, None, Theme::Auto), Err(error));
    }

    #[test]
    fn a_path_through_another_version_is_refused() {
        let mut overlay = overlay(Status::Succeeded);
        let visit = overlay.states["Well?"].clone();
        overlay.states.insert("OldState".to_owned(), visit);
        let error = GraphError::NotInDefinition {
            state: "OldState".to_owned(),
        };
        assert_eq!(svg(&small(), Some(&overlay), Theme::Auto), Err(error));
    }

    #[test]
    fn a_status_shows_in_words_and_not_by_colour_alone() {
        for (status, word) in [
            (Status::Succeeded, "Succeeded"),
            (Status::Failed, "Failed"),
            (Status::Caught, "Error caught"),
            (Status::InProgress, "In progress"),
            (Status::TimedOut, "Timed out"),
            (Status::Aborted, "Aborted"),
        ] {
            let says = format!("{word} · 12 m 04 s · 2 times · 1 retry");
            assert!(
                svg(&small(), Some(&overlay(status)), Theme::Auto)
                    .expect("can be drawn")
                    .contains(&says)
            );
            assert!(
                mermaid(&small(), Some(&overlay(status)))
                    .expect("can be drawn")
                    .contains(&says)
            );
        }
    }

    #[test]
    fn of_a_map_s_items_those_that_came_out_worst_are_counted() {
        let mut overlay = overlay(Status::Caught);
        let visit = overlay.states.get_mut("Well?").expect("it was entered");
        visit.entered = vec!["10:00:00".to_owned(); 64];
        visit.worst = 1;
        let drawn = svg(&small(), Some(&overlay), Theme::Auto).expect("can be drawn");
        assert!(drawn.contains("Error caught · 12 m 04 s · 1 of 64 times · 1 retry"));
    }

    #[test]
    fn a_mermaid_picture_has_its_heading_as_its_title() {
        let mut overlay = overlay(Status::Succeeded);
        overlay.heading = Some([
            "Recovery of job bert: what's done".to_owned(),
            "now".to_owned(),
        ]);
        let drawn = mermaid(&small(), Some(&overlay)).expect("can be drawn");
        let title = "---\ntitle: 'Recovery of job bert: what''s done (now)'\n---\nflowchart TD\n";
        assert!(drawn.starts_with(title), "{drawn}");
        let plain = mermaid(&small(), None).expect("can be drawn");
        assert!(plain.starts_with("flowchart TD\n"), "{plain}");
    }

    #[test]
    fn the_same_definition_gives_the_same_picture() {
        let first = svg(&definition(), None, Theme::Auto);
        assert!((0..3).all(|_| svg(&definition(), None, Theme::Auto) == first));
    }

    #[test]
    fn a_state_that_leads_to_itself_and_one_never_reached_can_be_drawn() {
        let definition = json!({
            "StartAt": "Again",
            "States": {
                "Again": { "Type": "Wait", "Seconds": 1, "Next": "Again" },
                "Never": { "Type": "Pass", "End": true },
            },
        });
        let drawn = svg(&definition, None, Theme::Auto).expect("can be drawn");
        assert!(
            drawn.contains(r#"data-from="Again" data-to="Again""#)
                && drawn.contains(r#"data-state="Never""#)
        );
    }
}
