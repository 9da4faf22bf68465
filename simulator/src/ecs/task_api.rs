//! StopTask, DescribeTasks, ListTasks.

use super::{
    api::{failure, invalid, page, strings, text},
    model::{Task, launch_type},
    render,
    state::State,
};
use crate::{ACCOUNT, REGION};
use crate::{object::object, wire::ApiError};
use serde_json::{Value, json};

impl State {
    fn task_arn(&self, given: &str) -> String {
        if given.starts_with("arn:") {
            given.to_owned()
        } else {
            format!(
                "arn:aws:ecs:{REGION}:{ACCOUNT}:task/{}/{given}",
                self.settings.cluster
            )
        }
    }

    /// A stopped task stays as it is; an unknown one is an error
    /// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_StopTask.html>).
    pub fn stop_task(&mut self, body: &Value) -> Result<Value, ApiError> {
        let given = text(body, "task").ok_or_else(|| invalid("Task can not be blank."))?;
        let arn = self.task_arn(given);
        if !self.tasks.contains_key(&arn) {
            return Err(invalid("The referenced task was not found."));
        }
        let reason = text(body, "reason").unwrap_or("Task stopped by user");
        self.stop(&arn, "UserInitiated", reason);
        let cluster = self.cluster_arn();
        let task = self.tasks.get(&arn);
        let task = task.map(|task| render::with_tags(task, &cluster, render::api_time));
        Ok(object!({ "task": task }))
    }

    pub fn describe_tasks(&self, body: &Value) -> Result<Value, ApiError> {
        let given = strings(body, "tasks");
        if given.is_empty() || given.len() > 100 {
            return Err(invalid("Tasks: between 1 and 100."));
        }
        let cluster = self.cluster_arn();
        let tags = strings(body, "include").contains(&"TAGS".to_owned());
        let mut tasks = Vec::new();
        let mut failures = Vec::new();
        for task in &given {
            let arn = self.task_arn(task);
            match self.tasks.get(&arn).filter(|task| self.is_shown(task)) {
                None => failures.push(failure(&arn, "MISSING")),
                Some(task) if tags => {
                    tasks.push(render::with_tags(task, &cluster, render::api_time))
                }
                Some(task) => {
                    let mut task = render::task(task, &cluster, render::api_time);
                    task["tags"] = json!([]);
                    tasks.push(task);
                }
            }
        }
        Ok(object!({ "tasks": tasks, "failures": failures }))
    }

    /// RunTask's work is not visible at once.
    fn is_shown(&self, task: &Task) -> bool {
        let created = task.times.created;
        let age = created.and_then(|at| self.clock.now().duration_since(at).ok());
        age.is_none_or(|age| age >= self.settings.shown_after)
    }

    /// <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ListTasks.html>
    pub fn list_tasks(&self, body: &Value) -> Result<Value, ApiError> {
        let instance = text(body, "containerInstance").map(|given| self.instance_arn(given));
        let (started_by, family) = (text(body, "startedBy"), text(body, "family"));
        let service = text(body, "serviceName").map(|name| format!("service:{name}"));
        let launch = text(body, "launchType");
        // "When you specify startedBy as the filter, it must be the only filter that you use."
        let others = [
            "containerInstance",
            "family",
            "serviceName",
            "desiredStatus",
            "launchType",
        ];
        if started_by.is_some() && others.iter().any(|name| !body[*name].is_null()) {
            return Err(invalid("startedBy must be the only filter."));
        }
        // ECS never sets a task's desired status to PENDING; the filter then finds nothing (API_ListTasks).
        let desired = text(body, "desiredStatus").unwrap_or("RUNNING");
        if !matches!(desired, "RUNNING" | "PENDING" | "STOPPED") {
            return Err(invalid(
                "desiredStatus must be RUNNING, PENDING or STOPPED.",
            ));
        }
        if let Some(arn) = &instance
            && !self.instance_ids.contains_key(arn)
        {
            return Err(invalid("The referenced container instance was not found."));
        }
        let matches = |task: &Task| {
            self.is_shown(task)
                && task.desired_status == desired
                && instance.as_ref().is_none_or(|i| task.instance_arn == *i)
                && started_by.is_none_or(|s| task.launch.started_by.as_deref() == Some(s))
                && family.is_none_or(|f| task.revision.definition.family == f)
                && service.as_ref().is_none_or(|s| task.group == *s)
                && launch.is_none_or(|l| launch_type(&task.instance_id) == l)
        };
        let all = self.tasks.iter();
        let found = all.filter(|(_, task)| matches(task)).map(|(arn, _)| arn);
        page(body, found.collect(), "taskArns")
    }
}
