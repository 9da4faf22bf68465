//! What changed between two JSON values, as a merge patch (RFC 7396): what a page takes to follow.

use serde_json::{Map, Value};

/// The patch that makes `after` of `before`; `None` when they are equal. A member that is null cannot be told from one that
/// is gone, so `after` holds none.
pub fn between(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut patch: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    for (name, value) in new {
        let change = match old.get(name) {
            Some(before) => between(before, value),
            None => Some(value.clone()),
        };
        patch.extend(change.map(|change| (name.clone(), change)));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// Follows a patch, as the page does it.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        target.clone_from(patch);
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    for (name, change) in changes {
        if let Some(members) = target.as_object_mut().filter(|_| change.is_null()) {
            members.remove(name);
        } else {
            merge(&mut target[name], change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_patch_makes_one_of_the_other_and_holds_nothing_else() {
        let before = json!({ "a": { "x": 1, "y": [1, 2] }, "b": "same", "c": 3 });
        let after = json!({ "a": { "x": 1, "y": [2] }, "b": "same", "d": { "z": true } });
        let patch = between(&before, &after).unwrap();
        assert_eq!(
            patch,
            json!({ "c": null, "a": { "y": [2] }, "d": { "z": true } })
        );
        let mut patched = before.clone();
        merge(&mut patched, &patch);
        assert_eq!(patched, after);
        assert_eq!(between(&after, &after), None);
    }
}
