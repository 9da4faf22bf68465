//! JSON objects of members that are moved into them.

/// `serde_json::json!` for an object, without its detour: that one serializes each member anew, however large it is.
macro_rules! object {
    ({ $($name:literal: $value:expr),* $(,)? }) => {
        [$(($name.to_owned(), ::serde_json::Value::from($value))),*]
            .into_iter()
            .collect::<::serde_json::Value>()
    };
}

pub(crate) use object;
