//! Forms of awsQuery and ec2Query.

use serde_json::{Map, Value};

/// The members as they stand in the form.
pub fn members(form: &[u8]) -> Map<String, Value> {
    form_urlencoded::parse(form)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

/// ec2Query: `InstanceId.1`, `InstanceId.2` are the list `InstanceIds`, as the API's own JSON form has it.
pub fn nested(members: Map<String, Value>) -> Value {
    let mut lists: Map<String, Value> = Map::new();
    for (name, value) in members {
        match name.split_once('.') {
            Some((list, place)) if place.parse::<u32>().is_ok() => {
                let list = lists
                    .entry(format!("{list}s"))
                    .or_insert_with(|| Value::Array(Vec::new()));
                if let Value::Array(items) = list {
                    items.push(value);
                }
            }
            _ => {
                lists.insert(name, value);
            }
        }
    }
    Value::Object(lists)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_of_a_form_is_a_list() {
        let form = members(b"DryRun=false&InstanceId.1=i-1&InstanceId.2=i%2D2");
        assert_eq!(
            nested(form),
            json!({ "DryRun": "false", "InstanceIds": ["i-1", "i-2"] })
        );
        // A name that is both a member and a list keeps neither from being read.
        assert!(nested(members(b"As=x&A.1=y&A.1=z")).is_object());
    }
}
