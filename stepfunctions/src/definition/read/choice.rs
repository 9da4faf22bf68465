//! Choice and its rules.

use super::{
    super::{
        analysis::Available,
        fields::Fields,
        model::{Condition, Exit, Kind, Next, Rule},
        template::expression,
    },
    Edge,
    states::StateReader,
    target,
};
use serde_json::Value;

impl StateReader<'_, '_> {
    pub(super) fn choice(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only("Choice", &["Choices", "Default", "Assign", "Output"]);
        let exit = self.fields.exit(available, self.notes);
        let default = match self.fields.members.get("Default") {
            Some(_) => Some(Next::State(target(
                &self.fields,
                "Default",
                self.names,
                self.notes,
            )?)),
            None => None,
        };
        if let Some(default) = default {
            self.edge(default, &exit);
        }
        let pointer = self.fields.at("Choices");
        let Some(list) = self
            .fields
            .members
            .get("Choices")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty())
        else {
            self.notes.error(
                self.fields.pointer,
                "Choices must be a non-empty array of rules",
            );
            return None;
        };
        let rules: Vec<Rule> = list
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| {
                self.rule(rule, &format!("{pointer}/{index}"), index, available)
            })
            .collect();
        (rules.len() == list.len()).then_some((Kind::Choice(rules), exit, default))
    }

    fn rule(
        &mut self,
        rule: &Value,
        pointer: &str,
        index: usize,
        available: Available,
    ) -> Option<Rule> {
        let Some(members) = rule.as_object() else {
            self.notes
                .error(pointer, "a rule of Choices must be an object");
            return None;
        };
        let location = format!("Choices[{index}]/");
        let mut fields = Fields::new(members, pointer, &location);
        fields.only(
            &["Condition", "Next", "Assign", "Output", "Comment"],
            "a rule of Choices",
            self.notes,
        );
        let condition = self.condition(&mut fields, available);
        let exit = fields.exit(available, self.notes);
        let next = target(&fields, "Next", self.names, self.notes);
        self.fields.uses.append(&mut fields.uses);
        let next = next?;
        self.facts
            .edges
            .push(Edge::new(next, &exit, fields.at("Assign")));
        Some(Rule {
            condition: condition?,
            next,
            exit,
        })
    }

    fn condition(&mut self, fields: &mut Fields<'_>, available: Available) -> Option<Condition> {
        let pointer = fields.at("Condition");
        let text = match fields.members.get("Condition") {
            Some(Value::Bool(always)) => return Some(Condition::Always(*always)),
            Some(Value::String(text)) => text,
            Some(_) => {
                self.notes
                    .error(pointer, "Condition must be JSONata or a boolean");
                return None;
            }
            None => {
                self.notes
                    .error(fields.pointer, "the field Condition is required");
                return None;
            }
        };
        let location = format!("{}Condition", fields.location);
        match expression(text, &location, available) {
            Ok(Some((expression, warnings))) => {
                for warning in warnings {
                    self.notes.warn(pointer.clone(), warning);
                }
                let read = expression.reads.variables.iter();
                fields
                    .uses
                    .extend(read.map(|name| (pointer.clone(), name.clone())));
                Some(Condition::Expression(expression))
            }
            Ok(None) => {
                self.notes
                    .error(pointer, "Condition must be JSONata: \"{% … %}\"");
                None
            }
            Err(messages) => {
                for message in messages {
                    self.notes.error(pointer.clone(), message);
                }
                None
            }
        }
    }
}
