//! One UpdateItem, as both tables' modules write it.

use crate::aws::dynamo::s;
use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use std::collections::{HashMap, HashSet};

/// An UpdateItem in DynamoDB's expression language. `#status` stands for the attribute `status`, `:now` for the time.
///
/// DynamoDB refuses a name or a value that no expression uses (API reference, UpdateItem, ExpressionAttributeNames:
/// "unused in expressions"), so what is sent follows from the two texts: exactly the names and values they use.
#[must_use = "an update does nothing until it is sent"]
pub(crate) struct Update {
    key: HashMap<String, AttributeValue>,
    expression: String,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Update {
    /// Of the item with this key, at this time (RFC 3339).
    pub(crate) fn new<const N: usize>(
        key: [(&str, &str); N],
        now: String,
        expression: &str,
    ) -> Self {
        Self {
            key: key.map(|(name, value)| (name.to_owned(), s(value))).into(),
            expression: expression.to_owned(),
            condition: None,
            names: HashMap::new(),
            values: HashMap::from([(":now".to_owned(), s(now))]),
        }
    }

    pub(crate) fn condition_expression(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    pub(crate) fn expression_attribute_values(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// The call: it answers with the whole item as it is now, a refusal with the item as it was found.
    pub(crate) fn call(mut self, client: &Client, table: &str) -> UpdateItemFluentBuilder {
        let used = self.used();
        self.names.retain(|name, _| used.contains(name));
        for name in &used {
            if let Some(attribute) = name.strip_prefix('#') {
                self.names
                    .entry(name.clone())
                    .or_insert_with(|| attribute.to_owned());
            }
        }
        self.values.retain(|name, _| used.contains(name));
        // An empty map of names or values is refused as well.
        let names = Some(self.names).filter(|names| !names.is_empty());
        let values = Some(self.values).filter(|values| !values.is_empty());
        client
            .update_item()
            .table_name(table)
            .set_key(Some(self.key))
            .update_expression(self.expression)
            .set_condition_expression(self.condition)
            .set_expression_attribute_names(names)
            .set_expression_attribute_values(values)
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// The placeholders of both texts.
    fn used(&self) -> HashSet<String> {
        let part_of_one = |c: char| c.is_ascii_alphanumeric() || "_#:".contains(c);
        [Some(&self.expression), self.condition.as_ref()]
            .into_iter()
            .flatten()
            .flat_map(|text| text.split(|c| !part_of_one(c)))
            .filter(|word| word.starts_with(['#', ':']))
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(update: Update) -> (Vec<(String, String)>, Vec<String>) {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .build();
        let call = update.call(&Client::from_conf(config), "jobs");
        let names = call.get_expression_attribute_names().clone();
        let mut names: Vec<_> = names.unwrap_or_default().into_iter().collect();
        let values = call.get_expression_attribute_values().clone();
        let mut values: Vec<_> = values.unwrap_or_default().into_keys().collect();
        names.sort();
        values.sort();
        (names, values)
    }

    fn update(expression: &str) -> Update {
        Update::new([("job_id", "bert")], "2026-11-26".to_owned(), expression)
    }

    #[test]
    fn a_name_is_sent_when_either_text_uses_it_and_only_then() {
        let plain = update("SET launch_try = :try, updated_at = :now REMOVE running")
            .expression_attribute_values(":try", s("1"));
        assert_eq!(sent(plain), (vec![], vec![":now".into(), ":try".into()]));
        let status = ("#status".to_owned(), "status".to_owned());
        let written = update("SET #status = :now");
        assert_eq!(sent(written), (vec![status.clone()], vec![":now".into()]));
        let asked = update("REMOVE task_token").condition_expression("(#status = :was)");
        let asked = asked.expression_attribute_values(":was", s("FAILED"));
        assert_eq!(sent(asked), (vec![status], vec![":was".into()]));
    }

    #[test]
    fn what_no_text_uses_is_not_sent() {
        let idle = update("REMOVE task_token").expression_attribute_values(":by", s("e-1"));
        assert_eq!(sent(idle), (vec![], vec![]));
    }
}
