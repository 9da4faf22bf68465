//! The page: a recovery to watch, live or from a file. One HTML document that loads nothing from elsewhere.

mod executions;
mod film;
mod live;

use crate::{
    Failure,
    graph::{self, Theme},
};
pub use film::{Recorder, of_history};
pub use live::live;
use serde_json::Value;

const DOCUMENT: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// What the document runs, in this order.
const SCRIPTS: [&str; 9] = [
    include_str!("page/scene.js"),
    include_str!("page/graph.js"),
    include_str!("page/timeline.js"),
    include_str!("page/nodes.js"),
    include_str!("page/jobs.js"),
    include_str!("page/told.js"),
    include_str!("page/time.js"),
    include_str!("page/deeds.js"),
    include_str!("page/main.js"),
];

/// The document that shows this film over the picture of this definition.
///
/// # Errors
/// When the definition cannot be drawn.
pub fn document(film: &Value, definition: &Value) -> Result<String, Failure> {
    let picture = graph::svg(definition, None, Theme::Auto)
        .map_err(|error| Failure::BadInput(error.to_string()))?;
    let script = SCRIPTS.join("\n");
    let title = film["title"].as_str().unwrap_or("a recovery");
    let mut html = String::new();
    // One pass: what is put in is never looked through for places again.
    for piece in DOCUMENT.split_inclusive("}}") {
        let Some((text, place)) = piece
            .strip_suffix("}}")
            .and_then(|piece| piece.rsplit_once("{{"))
        else {
            html += piece;
            continue;
        };
        html += text;
        html += &match place {
            "title" => graph::escaped(title),
            "style" => STYLE.to_owned(),
            "graph" => picture.clone(),
            "film" => embedded(film),
            "script" => script.clone(),
            other => return Err(Failure::Broken(format!("the page has no part {other}"))),
        };
    }
    Ok(html)
}

/// JSON within a script element: only `<` could end it or begin a comment
/// (<https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements>), and JSON has it in
/// texts alone.
fn embedded(film: &Value) -> String {
    film.to_string().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_that_is_embedded_ends_its_element_or_takes_a_place_of_the_document() {
        let definition: Value = serde_json::from_str(simulator::cloud::RECOVERY).unwrap();
        let evil = "</script><script>alert(1)</script><!-- {{script}} & \"quoted\"";
        let film =
            json!({ "title": evil, "frames": [[0, { "messages": { "0": { "message": evil } } }]] });
        let html = document(&film, &definition).unwrap();
        assert_eq!(
            html.matches("</script>").count(),
            DOCUMENT.matches("</script>").count()
        );
        assert!(!html.contains("<script>alert"));
        assert!(html.contains("<title>&lt;/script&gt;&lt;script&gt;alert(1)"));
        let (_, after) = html.split_once(r#"id="film">"#).unwrap();
        let (data, _) = after.split_once("</script>").unwrap();
        assert_eq!(serde_json::from_str::<Value>(data).unwrap(), film);
    }

    #[test]
    fn the_document_loads_nothing_from_elsewhere() {
        for text in [&[DOCUMENT, STYLE][..], &SCRIPTS].concat() {
            for way in ["http://", "https://", "@import", "url(", "src=", "import("] {
                assert!(!text.contains(way), "{way}");
            }
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(way), "{way} takes text for markup");
            }
        }
        assert!(DOCUMENT.contains("default-src 'none'"));
    }
}
