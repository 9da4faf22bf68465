//! Between serde's JSON and JSONata's values.

use indexmap::IndexMap;
use jsonata_core::value::{JArray, JValue};
use serde_json::{Number, Value};

/// The greatest whole number that an `f64` and JSON agree on.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_992.0;

/// A function or a regular expression: nothing that JSON can hold.
pub(super) struct Unsupported;

pub(super) fn from_json(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(value) => JValue::Bool(*value),
        Value::Number(number) => JValue::Number(number.as_f64().unwrap_or_default()),
        Value::String(text) => JValue::string(text.as_str()),
        Value::Array(items) => {
            let flat = !items.iter().any(Value::is_array);
            JValue::Array(JArray::new_flat(
                items.iter().map(from_json).collect(),
                flat,
            ))
        }
        Value::Object(members) => {
            let members: IndexMap<String, JValue> = members
                .iter()
                .map(|(name, value)| (name.clone(), from_json(value)))
                .collect();
            JValue::object(members)
        }
    }
}

pub(super) fn to_json(value: &JValue) -> Result<Value, Unsupported> {
    Ok(match value {
        JValue::Null | JValue::Undefined => Value::Null,
        JValue::Bool(value) => Value::Bool(*value),
        JValue::Number(number) => number_to_json(*number),
        JValue::String(text) => Value::String(text.to_string()),
        JValue::Array(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        JValue::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| Ok((name.clone(), to_json(value)?)))
                .collect::<Result<_, _>>()?,
        ),
        JValue::Lambda(_) | JValue::Builtin { .. } | JValue::Regex { .. } => {
            return Err(Unsupported);
        }
    })
}

/// Whole numbers without a fraction, as JavaScript writes them; AWS writes what JSON has no literal for as a string.
fn number_to_json(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < MAX_SAFE_INTEGER {
        return Value::Number((number as i64).into());
    }
    Number::from_f64(number).map_or_else(
        || {
            let name = match number {
                n if n.is_nan() => "NaN",
                n if n > 0.0 => "Infinity",
                _ => "-Infinity",
            };
            Value::String(name.to_owned())
        },
        Value::Number,
    )
}
