//! The page of a sandbox: the same as a film's, of now.

use super::executions::Executions;
use sandbox::{Page, client::Time, deed};
use serde_json::{Value, json};
use simulator::glance::Glance;
use std::sync::{Arc, Mutex, PoisonError};

/// The page of an account that runs this definition, which can be drawn.
pub fn live(definition: Value) -> Page {
    let film = json!({
        "live": true,
        "title": "Sandbox",
        "about": "The deployed system on this machine, in virtual time",
        "deeds": deed::words::catalogue(),
        "start": 0,
    });
    let executions = Arc::new(Mutex::new(Executions::new(definition.clone())));
    let seen = executions.clone();
    Page {
        html: Arc::new(move || {
            super::document(&film, &definition).unwrap_or_else(|error| error.to_string())
        }),
        observer: Arc::new(move |execution, event| {
            let mut executions = seen.lock().unwrap_or_else(PoisonError::into_inner);
            executions.see(execution, event);
        }),
        scene: Arc::new(move |glance, time| {
            let executions = executions.lock().unwrap_or_else(PoisonError::into_inner);
            scene(&executions, glance, time)
        }),
    }
}

fn scene(executions: &Executions, glance: &Glance, time: &Time) -> Value {
    let start = time.epoch - time.since_start;
    // A glance is maps, texts and numbers: there is nothing in it that JSON could not hold.
    let mut scene = serde_json::to_value(glance).unwrap_or_default();
    scene["time"] = json!({
        "start": start,
        "now": time.since_start,
        "speed": time.speed,
        "paused": time.paused,
        "behind": time.behind,
    });
    scene["executions"] = executions.value(start);
    scene["quiet"] = executions.quiet();
    scene
}
