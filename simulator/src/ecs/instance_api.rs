//! DescribeContainerInstances, ListContainerInstances, UpdateContainerInstancesState.

use super::{
    api::{failure, invalid, page, strings, text},
    expression::Expression,
    model::Instance,
    render,
    state::State,
};
use crate::{ACCOUNT, REGION, object::object, wire::ApiError};
use serde_json::Value;

impl State {
    /// The ARN of a container instance that is given by ARN or by the ARN's last part.
    pub fn instance_arn(&self, given: &str) -> String {
        if given.starts_with("arn:") {
            given.to_owned()
        } else {
            format!(
                "arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/{}/{given}",
                self.settings.cluster
            )
        }
    }

    fn instance_json(&self, instance: &Instance) -> Value {
        let tasks = || instance.tasks.iter().filter_map(|arn| self.tasks.get(arn));
        let pending = tasks()
            .filter(|t| matches!(t.last_status, "PENDING" | "PROVISIONING" | "ACTIVATING"))
            .count();
        render::instance(instance, tasks().count() - pending, pending)
    }

    pub fn describe_container_instances(&self, body: &Value) -> Result<Value, ApiError> {
        let given = strings(body, "containerInstances");
        if given.is_empty() || given.len() > 100 {
            return Err(invalid("Container instances: between 1 and 100."));
        }
        let mut instances = Vec::new();
        let mut failures = Vec::new();
        for given in &given {
            let arn = self.instance_arn(given);
            let found = self
                .instance_ids
                .get(&arn)
                .and_then(|id| self.instances.get(id));
            match found {
                Some(instance) => instances.push(self.instance_json(instance)),
                None => failures.push(failure(&arn, "MISSING")),
            }
        }
        Ok(object!({ "containerInstances": instances, "failures": failures }))
    }

    /// Without a status: all but INACTIVE
    /// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListContainerInstances.html>).
    pub fn list_container_instances(&self, body: &Value) -> Result<Value, ApiError> {
        let filter = text(body, "filter")
            .map(|filter| {
                Expression::parse(filter).map_err(|why| invalid(&format!("Invalid filter: {why}.")))
            })
            .transpose()?;
        let status = text(body, "status");
        let matches = |id: &String| {
            self.instances.get(id).is_some_and(|instance| {
                status.map_or(instance.status != "INACTIVE", |s| instance.status == s)
                    && filter.as_ref().is_none_or(|f| f.matches(instance))
            })
        };
        let all = self.instance_ids.iter();
        let found = all.filter(|(_, id)| matches(id)).map(|(arn, _)| arn);
        page(body, found.collect(), "containerInstanceArns")
    }

    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_UpdateContainerInstancesState.html>
    pub fn update_container_instances_state(&mut self, body: &Value) -> Result<Value, ApiError> {
        let given = strings(body, "containerInstances");
        if given.is_empty() || given.len() > 10 {
            return Err(invalid("Container instances: between 1 and 10."));
        }
        let status = match text(body, "status") {
            Some("ACTIVE") => "ACTIVE",
            Some("DRAINING") => "DRAINING",
            _ => {
                return Err(invalid(
                    "The status of a container instance can be set to ACTIVE or DRAINING only.",
                ));
            }
        };
        let mut instances = Vec::new();
        let mut failures = Vec::new();
        for given in &given {
            let arn = self.instance_arn(given);
            let id = self.instance_ids.get(&arn).cloned().unwrap_or_default();
            match self.instances.get_mut(&id) {
                None => {
                    failures.push(failure(&arn, "MISSING"));
                    continue;
                }
                Some(instance) if instance.status == "INACTIVE" => {
                    failures.push(failure(&arn, "INACTIVE"));
                    continue;
                }
                Some(instance) if instance.status != status => {
                    instance.status = status;
                    self.instance_changed(&id);
                    self.keep_daemons(&id);
                }
                Some(_) => {}
            }
            if let Some(instance) = self.instances.get(&id) {
                instances.push(self.instance_json(instance));
            }
        }
        Ok(object!({ "containerInstances": instances, "failures": failures }))
    }
}
