//! What the live view takes from the definition: the states' kinds and the Choice rules' comments.

use serde_json::Value;
use std::collections::BTreeMap;

/// The states, by name.
#[derive(Debug, Default)]
pub struct Machine {
    states: BTreeMap<String, Value>,
    widest: usize,
}

impl Machine {
    /// From a definition's text; without any state when that cannot be read, which others tell.
    pub fn read(definition: &str) -> Self {
        let mut machine = Self::default();
        if let Ok(definition) = serde_json::from_str::<Value>(definition) {
            machine.collect(&definition, 0);
        }
        machine
    }

    fn collect(&mut self, level: &Value, depth: usize) {
        for (name, state) in level["States"].as_object().into_iter().flatten() {
            self.collect(&state["ItemProcessor"], depth + 1);
            for branch in state["Branches"].as_array().into_iter().flatten() {
                self.collect(branch, depth);
            }
            self.widest = self.widest.max(2 * depth + crate::output::columns(name));
            self.states.insert(name.clone(), state.clone());
        }
    }

    /// Columns of the longest name, when those inside a Map are indented by two.
    pub fn widest(&self) -> usize {
        self.widest
    }

    /// Why a Choice went on to `next`: the Comment of the only rule that leads there, or of the one that assigns what was
    /// assigned.
    pub fn reason(&self, choice: &str, next: &str, assigned: &Value) -> Option<&str> {
        let rules = self.states.get(choice)?["Choices"].as_array()?;
        let leading: Vec<&Value> = rules.iter().filter(|rule| rule["Next"] == next).collect();
        let assigns = |rule: &&&Value| {
            let pairs = rule["Assign"].as_object();
            pairs.is_some_and(|pairs| {
                pairs
                    .iter()
                    .all(|(name, value)| assigned[name] == value.to_string().as_str())
            })
        };
        let rule = match leading.as_slice() {
            [one] if self.states.get(choice)?["Default"] != next => one,
            several => several.iter().find(assigns)?,
        };
        rule["Comment"].as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_choice_gives_its_reason_only_when_it_is_certain() {
        let machine = Machine::read(simulator::cloud::RECOVERY);
        let because = |choice, next, assigned: Value| {
            machine.reason(choice, next, &assigned).map(str::to_owned)
        };
        assert_eq!(
            because("Classify", "RecordCompletion", Value::Null),
            Some("Exit 0, neither interrupted nor killed".to_owned())
        );
        assert_eq!(because("GpusHealthy?", "FailJob", Value::Null), None);
        let doubt = json!({ "reason": "\"CheckInDoubt\"" });
        assert_eq!(
            because("GpusHealthy?", "FailJob", doubt),
            Some("Check in doubt".to_owned())
        );
        assert_eq!(machine.widest(), 2 + "WaitForInstanceActive".len());
    }
}
