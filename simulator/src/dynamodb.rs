//! DynamoDB: the embedded dynoxide, in memory, with virtual time.

use crate::{
    clock::Clock,
    wire::{ApiError, Handler},
};
use dynoxide::{Database, DynoxideError};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The account's tables. Clones are the same tables.
#[derive(Clone)]
pub struct DynamoDb(Database);

impl DynamoDb {
    /// No tables yet.
    ///
    /// # Errors
    /// When SQLite gives no in-memory database.
    pub fn new(clock: Clock) -> Result<Self, DynoxideError> {
        Database::memory_with_clock(Arc::new(clock)).map(Self)
    }

    /// The operation as on the wire.
    ///
    /// # Errors
    /// DynamoDB's own, with `Item` or `CancellationReasons` where it gives them; `UnknownOperationException` for an
    /// operation that is not simulated.
    pub fn api(&self, operation: &str, body: Value) -> Result<Value, ApiError> {
        let db = &self.0;
        match operation {
            "GetItem" => run(body, |r| db.get_item(r)),
            "PutItem" => run(body, |r| db.put_item(r)),
            "UpdateItem" => run(body, |r| db.update_item(r)),
            "DeleteItem" => run(body, |r| db.delete_item(r)),
            "Query" => run(body, |r| db.query(r)),
            "Scan" => run(body, |r| db.scan(r)),
            "BatchGetItem" => run(body, |r| db.batch_get_item(r)),
            "BatchWriteItem" => run(body, |r| db.batch_write_item(r)),
            "TransactWriteItems" => run(body, |r| db.transact_write_items(r)),
            "TransactGetItems" => run(body, |r| db.transact_get_items(r)),
            "CreateTable" => run(body, |r| db.create_table(r)),
            "DescribeTable" => run(body, |r| db.describe_table(r)),
            "UpdateTimeToLive" => run(body, |r| db.update_time_to_live(r)),
            _ => Err(ApiError::new(
                "UnknownOperationException",
                format!("DynamoDB {operation} is not simulated"),
            )),
        }
    }

    /// For [`Wire::register`](crate::wire::Wire::register).
    pub fn handler(&self) -> Handler {
        let tables = self.clone();
        Arc::new(move |operation, body| {
            let answer = tables.api(operation, body);
            Box::pin(async move { answer })
        })
    }
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: Value,
    operation: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<Value, ApiError> {
    let request = serde_json::from_value(body)
        .map_err(|e| ApiError::new("SerializationException", e.to_string()))?;
    let answer = operation(request).map_err(|e| error(&e))?;
    serde_json::to_value(answer)
        .map_err(|e| ApiError::new("InternalServerError", e.to_string()).with_status(500))
}

fn error(error: &DynoxideError) -> ApiError {
    let body: Value = serde_json::from_str(&error.to_json()).unwrap_or_default();
    let members = body.as_object().cloned().unwrap_or_default();
    ApiError {
        code: error
            .error_type()
            .rsplit('#')
            .next()
            .unwrap_or_default()
            .to_owned(),
        message: error.to_string(),
        status: error.status_code(),
        extra: members
            .into_iter()
            .filter(|(name, _)| !matches!(name.as_str(), "__type" | "message" | "Message"))
            .collect::<Map<_, _>>()
            .into(),
    }
}
