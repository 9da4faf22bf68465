//! `explain --html`: an execution as a page.

use super::{Now, Path, job};
use crate::{Failure, files, history, page};
use serde_json::{Value, json};

/// Refuses early what cannot be written.
pub fn check(file: Option<&std::path::Path>) -> Result<(), Failure> {
    if file.is_some_and(files::is_standard) {
        return Err(Failure::BadInput(
            "a page is for a browser: give --html a file".to_owned(),
        ));
    }
    files::writable(file)
}

/// Writes the page of an execution. `ran` is its name, and the definition that it ran when that is known.
pub fn write(
    file: &std::path::Path,
    events: &[Value],
    now: Option<&Now>,
    ran: Option<(String, Option<Value>)>,
) -> Result<u8, Failure> {
    let (name, own) = ran.unzip();
    let definition = match own.flatten() {
        Some(own) => own,
        None => serde_json::from_str(simulator::cloud::RECOVERY)
            .map_err(|error| Failure::Broken(error.to_string()))?,
    };
    let path = Path::of(events);
    let mut film = page::of_history(
        name.as_deref().unwrap_or("history"),
        events,
        definition.clone(),
    );
    film["title"] = json!(match job(&path) {
        Some(job) => format!("Recovery of job {job}"),
        None => "A recovery".to_owned(),
    });
    let began = history::date_and_clock(path.started);
    film["about"] = json!(match &name {
        Some(name) => format!("Began {began}, execution {name}"),
        None => format!("Began {began}"),
    });
    if let Some(now) = now {
        film["now"] = json!({
            "at": history::date_and_clock(now.at),
            "sentences": now.sentences(),
        });
    }
    let html = page::document(&film, &definition)?;
    files::write_text(file, html.trim_end())?;
    Ok(0)
}
