//! DescribeClusters and DescribeCapacityProviders: what they show, and nothing that a capacity provider would do.

use super::{
    api::{failure, strings},
    state::State,
};
use crate::{ACCOUNT, REGION, object::object, wire::ApiError};
use serde_json::{Value, json};

impl State {
    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeClusters.html>; a cluster that is not
    /// there is a failure, not an error.
    pub fn describe_clusters(&self, body: &Value) -> Result<Value, ApiError> {
        let mut given = strings(body, "clusters");
        if given.is_empty() {
            given.push("default".to_owned());
        }
        let arn = |given: &str| match given.starts_with("arn:") {
            true => given.to_owned(),
            false => format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{given}"),
        };
        let own = self.cluster_arn();
        let (known, missing): (Vec<String>, Vec<String>) =
            given.iter().map(|g| arn(g)).partition(|arn| *arn == own);
        let clusters = known.iter().map(|_| self.cluster_json());
        let failures = missing.iter().map(|arn| failure(arn, "MISSING"));
        Ok(
            object!({ "clusters": clusters.collect::<Vec<_>>(), "failures": failures.collect::<Vec<_>>() }),
        )
    }

    fn cluster_json(&self) -> Value {
        let registered = self.instances.values();
        let registered = registered.filter(|i| matches!(i.status, "ACTIVE" | "DRAINING"));
        let in_status = |status: &str| {
            let tasks = self.tasks.values();
            tasks.filter(|task| task.last_status == status).count()
        };
        object!({
            "activeServicesCount": 0,
            "capacityProviders": self.capacity_providers.iter().map(|p| p["name"].clone()).collect::<Vec<_>>(),
            "clusterArn": self.cluster_arn(),
            "clusterName": self.settings.cluster.as_str(),
            "defaultCapacityProviderStrategy": json!([]),
            "pendingTasksCount": in_status("PENDING"),
            "registeredContainerInstancesCount": registered.count(),
            "runningTasksCount": in_status("RUNNING"),
            "settings": json!([]),
            "statistics": json!([]),
            "status": "ACTIVE",
            "tags": json!([]),
        })
    }

    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeCapacityProviders.html>
    pub fn describe_capacity_providers(&self, body: &Value) -> Result<Value, ApiError> {
        let given = strings(body, "capacityProviders");
        let asked = |provider: &&Value| {
            given.is_empty()
                || given
                    .iter()
                    .any(|g| *g == provider["name"].as_str().unwrap_or(""))
        };
        let found: Vec<&Value> = self.capacity_providers.iter().filter(asked).collect();
        Ok(json!({ "capacityProviders": found, "failures": [] }))
    }
}
