//! DynamoDB: the embedded dynoxide, in memory, with virtual time.

use crate::{
    clock::Clock,
    wire::{ApiError, Handler},
};
use dynoxide::{Database, DynoxideError, ImportOptions, Item};
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

    /// Puts items, in DynamoDB's JSON, into a table as they are: not over the wire, and nobody is billed for them.
    ///
    /// # Errors
    /// When there is no such table, or an item does not fit its key.
    pub fn import(
        &self,
        table: &str,
        items: impl IntoIterator<Item = Value>,
    ) -> Result<(), DynoxideError> {
        let items: Vec<Item> = items
            .into_iter()
            .map(|item| {
                serde_json::from_value(item)
                    .map_err(|e| DynoxideError::ValidationException(e.to_string()))
            })
            .collect::<Result<_, _>>()?;
        self.0
            .import_items(table, items, ImportOptions::default())
            .map(drop)
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table() -> DynamoDb {
        let db = DynamoDb::new(Clock::default()).unwrap();
        let attribute = |name| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name| json!([{ "AttributeName": name, "KeyType": "HASH" }]);
        let table = json!({
            "TableName": "jobs",
            "AttributeDefinitions": [attribute("id"), attribute("task")],
            "KeySchema": key("id"),
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [{
                "IndexName": "by-task",
                "KeySchema": key("task"),
                "Projection": { "ProjectionType": "KEYS_ONLY" },
            }],
        });
        db.api("CreateTable", table).unwrap();
        db
    }

    fn units(db: &DynamoDb, operation: &str, mut body: Value) -> f64 {
        body["ReturnConsumedCapacity"] = "TOTAL".into();
        let answer = db.api(operation, body).unwrap();
        match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables[0]["CapacityUnits"].as_f64().unwrap(),
            capacity => capacity["CapacityUnits"].as_f64().unwrap(),
        }
    }

    fn item(id: &str, bytes: usize) -> Value {
        json!({ "id": { "S": id }, "text": { "S": "x".repeat(bytes) } })
    }

    /// "One write capacity unit represents one write per second for an item up to 1 KB", a transaction needs two; a read
    /// takes one for each 4 KB, half of it when it is eventually consistent
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>).
    #[tokio::test(start_paused = true)]
    async fn units_are_those_of_dynamodb() {
        let db = table();
        let put = |item| json!({ "TableName": "jobs", "Item": item });
        assert_eq!(units(&db, "PutItem", put(item("a", 900))), 1.0);
        assert_eq!(units(&db, "PutItem", put(item("b", 1500))), 2.0);
        let mut indexed = item("c", 1500);
        indexed["task"] = json!({ "S": "arn" });
        assert_eq!(units(&db, "PutItem", put(indexed)), 2.0 + 1.0);
        let transact = json!({ "TransactItems": [{ "Put": put(item("d", 900)) }] });
        assert_eq!(units(&db, "TransactWriteItems", transact), 2.0);

        units(&db, "PutItem", put(item("large", 5000)));
        let get = |consistent| json!({ "TableName": "jobs", "Key": { "id": { "S": "large" } }, "ConsistentRead": consistent });
        assert_eq!(units(&db, "GetItem", get(true)), 2.0);
        assert_eq!(units(&db, "GetItem", get(false)), 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn imported_items_are_there() {
        let db = table();
        db.import("jobs", [item("a", 1), item("b", 1)]).unwrap();
        let scan = db.api("Scan", json!({ "TableName": "jobs" })).unwrap();
        assert_eq!(scan["Count"], 2);
        assert!(db.import("none", [item("a", 1)]).is_err());
    }
}
