//! Items of the tables, read and edited as an operator does with the AWS CLI.

use crate::World;
use serde_json::{Map, Value, json};

impl World {
    async fn dynamodb(&self, operation: &str, body: Value) -> Value {
        let answer = self
            .wire()
            .internal_call("person", "dynamodb", operation, body)
            .await;
        answer.unwrap_or_else(|e| panic!("{operation}: {e:?}"))
    }

    /// Every item of a table as plain JSON, in the keys' order.
    pub async fn items(&self, table: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut body = json!({ "TableName": table, "ConsistentRead": true });
        loop {
            let page = self.dynamodb("Scan", body.clone()).await;
            let found = page["Items"].as_array().into_iter().flatten();
            items.extend(found.map(|item| plain(&json!({ "M": item }))));
            match &page["LastEvaluatedKey"] {
                Value::Null => break,
                key => body["ExclusiveStartKey"] = key.clone(),
            }
        }
        items.sort_by_key(|item| {
            ["job_id", "record", "instance_id"]
                .map(|key| item[key].as_str().unwrap_or_default().to_owned())
        });
        items
    }

    /// Sets one attribute (in DynamoDB's own JSON, `{"S": "x"}`) of a record of a job.
    pub async fn edit_job(&self, job: &str, record: &str, attribute: &str, value: Value) {
        let table = self.cloud.settings.training_job_table.clone();
        let key = json!({ "job_id": { "S": job }, "record": { "S": record } });
        self.edit(&table, key, attribute, value).await;
    }

    /// Sets one attribute of an instance's item; makes the item if there is none.
    pub async fn edit_instance(&self, instance: &str, attribute: &str, value: Value) {
        let table = self.cloud.settings.container_instance_table.clone();
        let key = json!({ "instance_id": { "S": instance } });
        self.edit(&table, key, attribute, value).await;
    }

    /// `null` takes the attribute away.
    async fn edit(&self, table: &str, key: Value, attribute: &str, value: Value) {
        let mut body = json!({
            "TableName": table,
            "Key": key,
            "ExpressionAttributeNames": { "#a": attribute },
        });
        if value.is_null() {
            body["UpdateExpression"] = json!("REMOVE #a");
        } else {
            body["UpdateExpression"] = json!("SET #a = :v");
            body["ExpressionAttributeValues"] = json!({ ":v": value });
        }
        self.dynamodb("UpdateItem", body).await;
    }

    /// Deletes a record of a job.
    pub async fn delete_job_record(&self, job: &str, record: &str) {
        let table = &self.cloud.settings.training_job_table;
        let key = json!({ "job_id": { "S": job }, "record": { "S": record } });
        self.dynamodb("DeleteItem", json!({ "TableName": table, "Key": key }))
            .await;
    }

    /// Deletes an instance's item.
    pub async fn delete_instance_record(&self, instance: &str) {
        let table = &self.cloud.settings.container_instance_table;
        let key = json!({ "instance_id": { "S": instance } });
        self.dynamodb("DeleteItem", json!({ "TableName": table, "Key": key }))
            .await;
    }
}

/// DynamoDB's JSON without its types.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|tagged| tagged.iter().next()) else {
        return Value::Null;
    };
    match (kind.as_str(), value) {
        ("N", Value::String(number)) => number.parse().map_or(Value::Null, Value::Number),
        ("NULL", _) => Value::Null,
        ("M", Value::Object(members)) => members
            .iter()
            .map(|(name, value)| (name.clone(), plain(value)))
            .collect::<Map<_, _>>()
            .into(),
        ("L", Value::Array(list)) => list.iter().map(plain).collect(),
        _ => value.clone(),
    }
}
