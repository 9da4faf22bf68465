//! DynamoDB as it can be on a bad day: the index lags behind the table, and batches stay unwritten in part.

use super::dice::Dice;
use crate::{
    cloud::Cloud,
    plan::Storm,
    promises::Watch,
    wire::{ApiError, Handler},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// Puts this store between the wire and the tables.
pub(super) fn install(cloud: &Cloud, seed: u64, storm: &Storm, watch: &Watch) {
    let (tables, storm) = (watch.tables(), storm.clone());
    let dice = Dice::new(seed, "store");
    let written: Arc<Mutex<BTreeMap<String, Instant>>> = Arc::default();
    let handler: Handler = Arc::new(move |operation, mut body| {
        let left = leave_unwritten(operation, &mut body, &dice, storm.unprocessed);
        if !storm.index_lag.is_zero() {
            note_tasks(operation, &body, &written);
        }
        let by_task = (operation == "Query" && body["IndexName"].is_string())
            .then(|| {
                body["ExpressionAttributeValues"][":task"]["S"]
                    .as_str()
                    .map(str::to_owned)
            })
            .flatten();
        let answer = tables(operation, body);
        let (written, storm) = (written.clone(), storm.clone());
        Box::pin(async move {
            let mut answer = answer.await;
            if let Some(task) = by_task {
                hide(&mut answer, &task, &written, &storm);
            }
            if let (Some(left), Ok(answer)) = (left, &mut answer) {
                answer["UnprocessedItems"] = left;
            }
            answer
        })
    });
    cloud.wire.register("dynamodb", handler);
}

/// Takes puts out of a batch; they are the answer's `UnprocessedItems`.
fn leave_unwritten(operation: &str, body: &mut Value, dice: &Dice, chance: f64) -> Option<Value> {
    if operation != "BatchWriteItem" || !dice.chance(chance) {
        return None;
    }
    let (table, requests) = body["RequestItems"].as_object_mut()?.iter_mut().next()?;
    let requests = requests.as_array_mut()?;
    if requests.len() < 2 {
        return None;
    }
    let left = requests.split_off(1 + dice.below(requests.len() - 1));
    Some(json!({ table: left }))
}

fn note_tasks(operation: &str, body: &Value, written: &Mutex<BTreeMap<String, Instant>>) {
    let mut items: Vec<&Value> = Vec::new();
    match operation {
        "PutItem" => items.push(&body["Item"]),
        "BatchWriteItem" => items.extend(
            body["RequestItems"]
                .as_object()
                .into_iter()
                .flat_map(|tables| tables.values())
                .filter_map(Value::as_array)
                .flatten()
                .map(|request| &request["PutRequest"]["Item"]),
        ),
        _ => {}
    }
    let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
    for task in items
        .iter()
        .filter_map(|item| item["task_arn"]["S"].as_str())
    {
        written.entry(task.to_owned()).or_insert_with(Instant::now);
    }
}

fn hide(
    answer: &mut Result<Value, ApiError>,
    task: &str,
    written: &Mutex<BTreeMap<String, Instant>>,
    storm: &Storm,
) {
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    let lags = written
        .get(task)
        .is_some_and(|at| at.elapsed() < storm.index_lag);
    if lags && let Ok(answer) = answer {
        answer["Items"] = json!([]);
        answer["Count"] = json!(0);
    }
}
