//! What a page plays: a scene, and what changed in it when.

use super::executions::{Executions, since};
use crate::history::at;
use sandbox::patch;
use serde_json::{Value, json};
use simulator::{
    glance::Glance,
    scenario::{Observer, Onlooker},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Records what happens while it is played. Clones record the same film.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Reel>>);

struct Reel {
    executions: Executions,
    /// The second that counts as none, since the epoch.
    start: Option<f64>,
    end: f64,
    scene: Value,
    frames: Vec<Value>,
}

impl Recorder {
    /// Of executions of this definition.
    pub fn new(definition: Value) -> Self {
        Self(Arc::new(Mutex::new(Reel {
            executions: Executions::new(definition),
            start: None,
            end: 0.0,
            scene: json!({}),
            frames: Vec::new(),
        })))
    }

    fn reel(&self) -> MutexGuard<'_, Reel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn observer(&self) -> Observer {
        let recorder = self.clone();
        Arc::new(move |time, execution, event| recorder.reel().event(time, execution, event))
    }

    pub fn onlooker(&self) -> Onlooker {
        let recorder = self.clone();
        Arc::new(move |time, glance| recorder.reel().glance(time, &glance))
    }

    /// The film, of what was seen so far.
    pub fn film(&self) -> Value {
        let reel = self.reel();
        let start = reel.start.unwrap_or_default();
        json!({
            "start": start,
            "end": reel.end,
            "scene": {
                "executions": reel.executions.value(start),
                "quiet": reel.executions.quiet(),
            },
            "frames": reel.frames,
        })
    }
}

impl Reel {
    fn event(&mut self, time: Duration, execution: &str, event: &Value) {
        let start = at(event) - time.as_secs_f64();
        self.start.get_or_insert(start);
        self.end = self.end.max(time.as_secs_f64());
        self.executions.see(execution, event);
    }

    fn glance(&mut self, time: Duration, glance: &Glance) {
        // A glance is maps, texts and numbers: there is nothing in it that JSON could not hold.
        let scene = serde_json::to_value(glance).unwrap_or_default();
        if let Some(change) = patch::between(&self.scene, &scene) {
            let seconds = time.as_secs_f64();
            self.end = self.end.max(seconds);
            self.frames.push(json!([since(seconds, 0.0), change]));
            self.scene = scene;
        }
    }
}

/// The film of one execution, from its history alone.
pub fn of_history(name: &str, events: &[Value], definition: Value) -> Value {
    let start = events.first().map(at).unwrap_or_default();
    let end = events.last().map(at).unwrap_or_default();
    let mut executions = Executions::new(definition);
    for event in events {
        executions.see(name, event);
    }
    json!({
        "start": start,
        "end": since(end, start),
        "scene": { "executions": executions.value(start) },
        "frames": [],
    })
}
