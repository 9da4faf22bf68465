//! Nodes that stand by as spares when a drill or a schedule begins.

use crate::cloud::Cloud;
use serde_json::json;
use workers::aws::marks::MARK;

/// Marks a node and writes down that its health check has passed, as `gpu-recovery spare add` finds it.
pub fn stand_by(cloud: &Cloud, id: &str, pool: &str) {
    let Some(view) = cloud.fleet.instance(id) else {
        return;
    };
    cloud.fleet.set_attribute(id, MARK, pool);
    let now = cloud.clock.rfc3339();
    let item = json!({
        "instance_id": { "S": id },
        "status": { "S": "AVAILABLE" },
        "container_instance_arn": { "S": view.arn },
        "cordoned": { "BOOL": false },
        "faults": { "L": [] },
        "last_verdict": { "S": "healthy" },
        "last_check_at": { "S": now },
        "updated_at": { "S": now },
    });
    let table = &cloud.settings.container_instance_table;
    let put = json!({ "TableName": table, "Item": item });
    let written = cloud.tables.api("PutItem", put);
    debug_assert!(written.is_ok(), "{written:?}");
}
