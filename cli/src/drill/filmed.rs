//! `drill --html`: a drill that becomes a page.

use super::{inputs, live::Live};
use crate::{Failure, page};
use serde_json::{Value, json};
use simulator::scenario::{Observer, Scenario};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Tells the terminal and the film.
pub fn observer(live: Option<&Live>, filmed: Option<&Filmed>) -> Option<Observer> {
    let mut all: Vec<Observer> = live.map(Live::observer).into_iter().collect();
    all.extend(filmed.map(|filmed| filmed.recorder.observer()));
    if all.is_empty() {
        return None;
    }
    Some(Arc::new(move |at, execution, event| {
        for observer in &all {
            observer(at, execution, event);
        }
    }))
}

/// A drill that becomes a page.
pub struct Filmed {
    file: PathBuf,
    definition: Value,
    pub recorder: page::Recorder,
}

impl Filmed {
    /// # Errors
    /// When the definition is no JSON.
    pub fn begin(file: &Path, definition: &str) -> Result<Self, Failure> {
        // Whether it can be played was found out before.
        let definition: Value = serde_json::from_str(definition)
            .map_err(|error| Failure::BadInput(format!("the definition is no JSON: {error}")))?;
        Ok(Self {
            file: file.to_owned(),
            recorder: page::Recorder::new(definition.clone()),
            definition,
        })
    }

    /// Writes the page; `again` are the arguments that play the drill once more.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub fn write(&self, scenario: &Scenario, again: &str) -> Result<(), Failure> {
        let mut film = self.recorder.film();
        film["title"] = json!(format!("drill {}", scenario.name));
        film["about"] = json!(scenario.about);
        film["footer"] = json!(format!(
            "A drill in virtual time. To play it again: gpu-recovery drill {again}"
        ));
        let html = page::document(&film, &self.definition)?;
        inputs::write_text(&self.file, html.trim_end())
    }
}
