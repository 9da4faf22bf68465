//! What both tables' modules share of DynamoDB.

use crate::WorkerError;
use aws_sdk_dynamodb::{
    error::SdkError,
    operation::put_item::{PutItemError, PutItemOutput},
    types::AttributeValue,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::HashMap;

/// An item as the SDK gives and takes it.
pub type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// A number attribute.
pub fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// What became of a put that is to change nothing where its condition does not hold.
///
/// # Errors
/// Any other failure of the call.
pub fn put_or_left(put: Result<PutItemOutput, SdkError<PutItemError>>) -> Result<(), WorkerError> {
    match put {
        Ok(_) => Ok(()),
        Err(SdkError::ServiceError(e)) if e.err().is_conditional_check_failed_exception() => Ok(()),
        Err(e) => Err(WorkerError::aws("dynamodb:PutItem")(e)),
    }
}

/// Anything as one attribute.
///
/// # Errors
/// [`WorkerError::CorruptRecord`] when DynamoDB has no form for it.
pub fn to_attribute<T: Serialize + ?Sized>(value: &T) -> Result<AttributeValue, WorkerError> {
    serde_dynamo::to_attribute_value(value)
        .map_err(|e| WorkerError::CorruptRecord(format!("the record cannot be written: {e}")))
}

/// Reads an item as a record.
///
/// # Errors
/// [`WorkerError::CorruptRecord`] naming the field: someone wrote the item by hand, or another version did.
pub fn read<T: DeserializeOwned>(table: &str, item: Item) -> Result<T, WorkerError> {
    serde_dynamo::from_item(item.clone()).map_err(|e| {
        let error = e.to_string();
        let key: Vec<String> = ["job_id", "record", "instance_id"]
            .iter()
            .filter_map(|k| Some(format!("{k}={}", item.get(*k)?.as_s().ok()?)))
            .collect();
        let field = culprit::<T>(&item, &error).map_or(String::new(), |f| format!(" {f}:"));
        WorkerError::CorruptRecord(format!(
            "table {table}, item {}:{field} {error}; fix the item by hand",
            key.join(" ")
        ))
    })
}

/// The attribute without which the item fails in another way, or not at all.
fn culprit<'a, T: DeserializeOwned>(item: &'a Item, error: &str) -> Option<&'a str> {
    let mut names: Vec<&String> = item.keys().collect();
    names.sort_unstable();
    names.into_iter().map(String::as_str).find(|name| {
        let mut without = item.clone();
        without.remove(*name);
        serde_dynamo::from_item::<_, T>(without)
            .err()
            .is_none_or(|e| e.to_string() != error)
    })
}

/// Writes a record as an item.
pub fn write<T: Serialize>(record: &T) -> Result<Item, WorkerError> {
    serde_dynamo::to_item(record)
        .map_err(|e| WorkerError::CorruptRecord(format!("the record cannot be written: {e}")))
}
