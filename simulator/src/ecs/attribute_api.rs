//! PutAttributes and DeleteAttributes.

use super::{
    api::{invalid, text},
    render,
    state::State,
};
use crate::{object::object, wire::ApiError};
use serde_json::Value;

/// "You can specify up to 10 custom attributes for each resource" in a call (API_PutAttributes, API_DeleteAttributes).
const AT_ONCE: usize = 10;

impl State {
    /// Creates attributes, or replaces their values
    /// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_PutAttributes.html>).
    pub fn put_attributes(&mut self, body: &Value) -> Result<Value, ApiError> {
        self.change_attributes(body, |attributes, name, value| {
            attributes.insert(name, value);
        })
    }

    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeleteAttributes.html>; it names no error for an
    /// attribute that is not there.
    pub fn delete_attributes(&mut self, body: &Value) -> Result<Value, ApiError> {
        self.change_attributes(body, |attributes, name, _| {
            attributes.remove(&name);
        })
    }

    /// All of them or none: "The specified target wasn't found" is an exception of the whole call.
    fn change_attributes(
        &mut self,
        body: &Value,
        change: impl Fn(&mut std::collections::BTreeMap<String, Option<String>>, String, Option<String>),
    ) -> Result<Value, ApiError> {
        let given = body["attributes"].as_array().cloned().unwrap_or_default();
        if given.is_empty() || given.len() > AT_ONCE {
            return Err(invalid("Attributes: between 1 and 10."));
        }
        let mut changes = Vec::with_capacity(given.len());
        for attribute in &given {
            let name = text(attribute, "name").unwrap_or_default();
            let value = text(attribute, "value");
            if !named_well(name) || value.is_some_and(|value| !valued_well(value)) {
                return Err(invalid(&format!("The attribute {name} is not valid.")));
            }
            let target = text(attribute, "targetId").unwrap_or_default();
            let whole = target.starts_with("arn:");
            if !whole && text(attribute, "targetType") != Some("container-instance") {
                return Err(invalid("targetType should be container-instance"));
            }
            let arn = self.instance_arn(target);
            let id = self.instance_ids.get(&arn).cloned();
            let live = id.filter(|id| {
                let instance = self.instances.get(id);
                instance.is_some_and(|instance| instance.status != "INACTIVE")
            });
            let id = live.ok_or_else(|| {
                ApiError::new(
                    "TargetNotFoundException",
                    "The specified target wasn't found.",
                )
            })?;
            changes.push((id, arn, name.to_owned(), value.map(str::to_owned)));
        }
        let mut answered = Vec::with_capacity(changes.len());
        for (id, arn, name, value) in changes {
            let mut attribute = render::attribute((&name, value.as_deref()));
            attribute["targetId"] = arn.into();
            answered.push(attribute);
            if let Some(instance) = self.instances.get_mut(&id) {
                change(&mut instance.attributes, name, value);
            }
        }
        Ok(object!({ "attributes": answered }))
    }
}

/// 1 to 128 letters, numbers, hyphens, underscores, slashes of both kinds, periods (API_Attribute).
fn named_well(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/\\.".contains(c);
    (1..=128).contains(&name.len()) && name.chars().all(plain)
}

/// The same with at signs, colons and inner spaces (API_Attribute).
fn valued_well(value: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_/\\.@: ".contains(c);
    (1..=128).contains(&value.len()) && value.chars().all(plain) && value.trim() == value
}
