//! Choice (<https://docs.aws.amazon.com/step-functions/latest/dg/state-choice.html>).

use super::{Left, Moment, Run, Visit};
use crate::{
    definition::model::{Condition, Next, Rule},
    failure::Failure,
    query::unexpected,
};
use serde_json::Value;

impl Run {
    /// Goes where the first rule leads whose condition holds, with that rule's Assign and Output; else to the default,
    /// with the state's own. The developer guide says of the state's Assign that it "applies regardless of which choice
    /// rule matches"; the specification (states-language.net) and recordings of AWS have only the rule's.
    pub(super) fn choose(&self, visit: &Visit<'_>, rules: &[Rule]) -> Result<Left, Failure> {
        let moment = Moment::default();
        let found = self.query(visit, moment, |query| {
            for rule in rules {
                let holds = match &rule.condition {
                    Condition::Always(always) => *always,
                    Condition::Expression(expression) => match query.expression(expression)? {
                        Value::Bool(holds) => holds,
                        other => return Err(unexpected(expression, "boolean", &other)),
                    },
                };
                if holds {
                    return Ok(Some(rule));
                }
            }
            Ok(None)
        })?;
        let (exit, next) = match (found, visit.state.next) {
            (Some(rule), _) => (&rule.exit, Next::State(rule.next)),
            (None, Some(default)) => (&visit.state.exit, default),
            // Measured on AWS: States.Runtime, not States.NoChoiceMatched.
            (None, None) => {
                let what = "Failed to transition out of the state. The state does not point to a next state.";
                return Err(self.runtime(visit, what));
            }
        };
        self.leave(visit, exit, &visit.input, moment, next)
    }
}
