//! JSON that travels: value and text, each made once and shared by states, variables, history and views.

use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Most bytes of an input, an output, a task's result, or one state's assignments
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>: 256 KiB of UTF-8).
pub(super) const MAX_BYTES: usize = 262_144;

#[derive(Clone)]
pub(super) struct Json {
    value: Arc<Value>,
    text: Arc<str>,
}

impl Json {
    pub(super) fn new(value: Value) -> Self {
        let text = value.to_string().into();
        Self {
            value: Arc::new(value),
            text,
        }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn shared(&self) -> Arc<Value> {
        self.value.clone()
    }

    pub(super) fn text(&self) -> &Arc<str> {
        &self.text
    }

    pub(super) fn too_large(&self) -> bool {
        self.text.len() > MAX_BYTES
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The variables that a state sees: its own scope's, then those of the scopes around it. A copy is cheap.
#[derive(Debug, Clone, Default)]
pub(super) struct Variables {
    own: Arc<BTreeMap<Arc<str>, Json>>,
    outer: Option<Arc<Variables>>,
}

impl Variables {
    /// A scope inside this one.
    pub(super) fn inner(&self) -> Self {
        Self {
            own: Arc::default(),
            outer: Some(Arc::new(self.clone())),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.own
            .get(name)
            .or_else(|| self.outer.as_ref()?.get(name))
    }

    /// The same after assignments.
    pub(super) fn with(&self, assigned: &[(Arc<str>, Json)]) -> Self {
        if assigned.is_empty() {
            return self.clone();
        }
        let mut own = (*self.own).clone();
        own.extend(assigned.iter().cloned());
        Self {
            own: Arc::new(own),
            outer: self.outer.clone(),
        }
    }
}
