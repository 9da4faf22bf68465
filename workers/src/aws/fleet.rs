//! ECS, in the recovery's words.

use crate::{
    WorkerError,
    aws::pace,
    decisions::exit::{ContainerEnd, OUR_STOP, TaskEnd},
    error::{AwsFailure, code_of},
    ids::{ContainerInstanceArn, InstanceId, TaskArn},
    records::launch::LaunchSpec,
};
use aws_sdk_ecs::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::run_task::RunTaskError,
    types::{
        ContainerInstance, ContainerInstanceField, ContainerInstanceStatus, DesiredStatus,
        LaunchType, PlacementConstraint, PlacementConstraintType, Task, TaskField,
    },
};
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// DescribeTasks and DescribeContainerInstances take so many at once (ECS API reference).
const DESCRIBE_BATCH: usize = 100;

/// How long ECS may take to show a task that RunTask has started: "an exponential backoff algorithm ... starting with a
/// couple of seconds of wait time, and increases gradually up to about five minutes" (API_RunTask, eventual consistency).
/// Until then an empty list proves nothing.
pub const SHOWN_WITHIN_SECONDS: u32 = 300;

/// ECS describes a stopped task for at least an hour (API_DescribeTasks).
pub const FORGOTTEN_AFTER_SECONDS: i64 = 3600;

/// The one cluster.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) client: Client,
    pub(crate) cluster: String,
}

/// What came of a StopTask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// ECS stops it, or had stopped it already.
    Asked,
    /// ECS does not know the task any more.
    Gone,
}

/// What came of a RunTask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Run {
    /// With the container instance, which RunTask tells at once and DescribeTasks perhaps minutes later.
    Started(TaskArn, Option<ContainerInstanceArn>),
    /// The client token was used before, and the task that it started then has ended since (ECS API reference, "Ensuring
    /// idempotency": the answer is that of the first request).
    Ended(TaskArn),
    /// ECS answered 200 with this reason in `failures[]`, or the cluster has lost its last instance.
    NotPlaced(String),
}

/// Step Functions starts the checks' tasks so (developer guide, connect-ecs).
pub const CHECKS_STARTED_BY: &str = "AWS Step Functions";

impl Fleet {
    pub fn new(client: Client, cluster: &str) -> Self {
        Self {
            client,
            cluster: cluster.to_owned(),
        }
    }

    /// The tasks that ECS still describes (a stopped one for about an hour); the others are left out.
    pub async fn tasks(&self, arns: &[TaskArn]) -> Result<BTreeMap<TaskArn, Task>, WorkerError> {
        let answers = pace::ECS_READ
            .each(arns.chunks(DESCRIBE_BATCH), |chunk| {
                self.client
                    .describe_tasks()
                    .cluster(&self.cluster)
                    .set_tasks(Some(chunk.iter().map(|a| a.as_str().to_owned()).collect()))
                    .include(TaskField::Tags)
                    .send()
            })
            .await;
        let mut found = BTreeMap::new();
        for answer in answers {
            let answer = answer.map_err(WorkerError::aws("ecs:DescribeTasks"))?;
            for task in answer.tasks.unwrap_or_default() {
                if let Some(arn) = task.task_arn() {
                    found.insert(TaskArn::new(arn), task);
                }
            }
        }
        Ok(found)
    }

    /// Stops a task. The reason carries our mark, so that its own stop event starts nothing.
    pub async fn stop(&self, task: &TaskArn, why: &str) -> Result<Stop, WorkerError> {
        let sent = self
            .client
            .stop_task()
            .cluster(&self.cluster)
            .task(task.as_str())
            .reason(format!("{OUR_STOP} {why}"))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Stop::Asked),
            // "The referenced task was not found." (ECS API reference, StopTask)
            Err(e)
                if code_of(&e) == "InvalidParameterException"
                    && e.message().is_some_and(|m| m.contains("not found")) =>
            {
                Ok(Stop::Gone)
            }
            Err(e) => Err(WorkerError::aws("ecs:StopTask")(e)),
        }
    }

    /// Stops many tasks, all at once within the API's rate; the answers come in the tasks' order. No call begins after
    /// `until`.
    pub async fn stop_all(
        &self,
        tasks: &[TaskArn],
        why: &str,
        until: Instant,
    ) -> Vec<Result<Stop, WorkerError>> {
        pace::ECS_MODIFY
            .patiently(tasks.iter().collect(), until, |task| self.stop(task, why))
            .await
    }

    /// The container instances that the cluster knows; the others are left out.
    pub async fn container_instances(
        &self,
        arns: &[ContainerInstanceArn],
    ) -> Result<BTreeMap<ContainerInstanceArn, ContainerInstance>, WorkerError> {
        let unique: BTreeSet<&ContainerInstanceArn> = arns.iter().collect();
        let unique: Vec<String> = unique.iter().map(|a| a.as_str().to_owned()).collect();
        let answers = pace::ECS_READ
            .each(unique.chunks(DESCRIBE_BATCH), |chunk| {
                self.client
                    .describe_container_instances()
                    .cluster(&self.cluster)
                    .set_container_instances(Some(chunk.to_vec()))
                    .set_include(None::<Vec<ContainerInstanceField>>)
                    .send()
            })
            .await;
        let mut found = BTreeMap::new();
        for answer in answers {
            let answer = answer.map_err(WorkerError::aws("ecs:DescribeContainerInstances"))?;
            for instance in answer.container_instances.unwrap_or_default() {
                if let Some(arn) = instance.container_instance_arn() {
                    found.insert(ContainerInstanceArn::new(arn), instance);
                }
            }
        }
        Ok(found)
    }

    /// One container instance, if the cluster knows it.
    pub async fn container_instance(
        &self,
        arn: &ContainerInstanceArn,
    ) -> Result<Option<ContainerInstance>, WorkerError> {
        Ok(self
            .container_instances(std::slice::from_ref(arn))
            .await?
            .remove(arn))
    }

    /// The container instance of an EC2 instance or hybrid node, if the cluster knows it.
    pub async fn find(
        &self,
        instance: &InstanceId,
    ) -> Result<Option<ContainerInstance>, WorkerError> {
        let found = self
            .client
            .list_container_instances()
            .cluster(&self.cluster)
            .filter(format!("ec2InstanceId == '{instance}'"))
            .send()
            .await
            .map_err(WorkerError::aws("ecs:ListContainerInstances"))?;
        match found.container_instance_arns().first() {
            Some(arn) => {
                self.container_instance(&ContainerInstanceArn::new(arn))
                    .await
            }
            None => Ok(None),
        }
    }

    /// Sets an instance DRAINING: nothing new is placed on it, over a reboot too.
    pub async fn drain(&self, arn: &ContainerInstanceArn) -> Result<(), WorkerError> {
        self.set_status(arn, ContainerInstanceStatus::Draining)
            .await
    }

    /// Sets an instance ACTIVE. One that has left the cluster stays as it is: nothing can be placed on it anyway.
    pub async fn activate(&self, arn: &ContainerInstanceArn) -> Result<(), WorkerError> {
        unless_gone(self.set_status(arn, ContainerInstanceStatus::Active).await)
    }

    /// Sets an instance DRAINING that is meant to be so already. One that has left the cluster stays as it is.
    pub async fn keep_drained(&self, arn: &ContainerInstanceArn) -> Result<(), WorkerError> {
        unless_gone(self.drain(arn).await)
    }

    async fn set_status(
        &self,
        arn: &ContainerInstanceArn,
        status: ContainerInstanceStatus,
    ) -> Result<(), WorkerError> {
        const CALL: &str = "ecs:UpdateContainerInstancesState";
        let answer = self
            .client
            .update_container_instances_state()
            .cluster(&self.cluster)
            .container_instances(arn.as_str())
            .status(status)
            .send()
            .await
            .map_err(WorkerError::aws(CALL))?;
        match answer.failures().first() {
            None => Ok(()),
            Some(failure) => Err(WorkerError::AwsRejected(AwsFailure {
                call: CALL,
                code: failure.reason().unwrap_or("Unknown").to_owned(),
                message: format!("{arn} {}", failure.detail().unwrap_or_default()),
            })),
        }
    }

    /// The tasks on an instance that have not stopped yet, those that are stopping too.
    pub async fn unstopped_tasks_on(
        &self,
        arn: &ContainerInstanceArn,
    ) -> Result<BTreeMap<TaskArn, Task>, WorkerError> {
        let mut arns = Vec::new();
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let call = self
                .client
                .list_tasks()
                .container_instance(arn.as_str())
                .desired_status(desired);
            arns.extend(self.list(call).await?);
        }
        let mut tasks = self.tasks(&arns).await?;
        tasks.retain(|_, task| task.last_status() != Some("STOPPED"));
        Ok(tasks)
    }

    /// The newest health check on this instance that ECS still shows: it lists a stopped task for about an hour
    /// (API_ListTasks).
    pub async fn last_check(
        &self,
        arn: &ContainerInstanceArn,
        definition: &str,
    ) -> Result<Option<Task>, WorkerError> {
        let family = definition.rsplit('/').next().unwrap_or(definition);
        let family = family.split(':').next().unwrap_or(family);
        let mut arns = Vec::new();
        for desired in [DesiredStatus::Running, DesiredStatus::Stopped] {
            let call = self
                .client
                .list_tasks()
                .container_instance(arn.as_str())
                .family(family)
                .desired_status(desired);
            arns.extend(self.list(call).await?);
        }
        let tasks = self.tasks(&arns).await?;
        Ok(tasks
            .into_values()
            .filter(|task| task.started_by() == Some(CHECKS_STARTED_BY))
            .max_by_key(|task| task.created_at().map(|at| at.secs())))
    }

    /// The tasks started with this `startedBy` that are meant to run, as far as ECS shows them yet. It is the only
    /// filter: "When you specify startedBy as the filter, it must be the only filter that you use." (API_ListTasks);
    /// without desiredStatus ECS lists those whose desired status is RUNNING.
    pub async fn tasks_started_by(&self, started_by: &str) -> Result<Vec<TaskArn>, WorkerError> {
        self.list(self.client.list_tasks().started_by(started_by))
            .await
    }

    async fn list(
        &self,
        call: aws_sdk_ecs::operation::list_tasks::builders::ListTasksFluentBuilder,
    ) -> Result<Vec<TaskArn>, WorkerError> {
        let pages = call
            .cluster(&self.cluster)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<String>, _>>()
            .await
            .map_err(WorkerError::aws("ecs:ListTasks"))?;
        Ok(pages.into_iter().map(TaskArn::new).collect())
    }

    /// Starts one task on one instance. The same `client_token` never starts a second one
    /// (ECS API reference, "Ensuring idempotency").
    pub async fn run(
        &self,
        launch: &LaunchSpec,
        instance: &InstanceId,
        client_token: &str,
        started_by: &str,
    ) -> Result<Run, WorkerError> {
        let pin = PlacementConstraint::builder()
            .r#type(PlacementConstraintType::MemberOf)
            .expression(format!("ec2InstanceId == '{instance}'"))
            .build();
        let answer = self
            .client
            .run_task()
            .cluster(&self.cluster)
            .task_definition(&launch.task_definition)
            .count(1)
            .launch_type(if instance.is_hybrid() {
                LaunchType::External
            } else {
                LaunchType::Ec2
            })
            .placement_constraints(pin)
            .client_token(client_token)
            .started_by(started_by)
            .set_overrides(launch.ecs_overrides())
            .set_tags(launch.ecs_tags())
            .set_group(launch.group.clone())
            .set_network_configuration(launch.ecs_network())
            .enable_execute_command(launch.enable_execute_command)
            .set_enable_ecs_managed_tags(launch.managed_tags.then_some(true))
            .send()
            .await;
        let answer = match answer {
            Err(SdkError::ServiceError(e)) if leaves_no_instance(e.err()) => {
                return Ok(Run::NotPlaced("the cluster has no instances".to_owned()));
            }
            answer => answer.map_err(WorkerError::aws("ecs:RunTask"))?,
        };
        let started = answer.tasks().first();
        let ended =
            |t: &Task| t.last_status() == Some("STOPPED") || t.desired_status() == Some("STOPPED");
        Ok(match started.and_then(|t| Some((t, t.task_arn()?))) {
            Some((task, arn)) if ended(task) => Run::Ended(TaskArn::new(arn)),
            Some((task, arn)) => Run::Started(
                TaskArn::new(arn),
                task.container_instance_arn().map(ContainerInstanceArn::new),
            ),
            None => Run::NotPlaced(
                answer
                    .failures()
                    .iter()
                    .map(|f| f.reason().unwrap_or("unknown reason"))
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
        })
    }
}

/// How a task ended, as far as ECS tells.
pub fn end_of(task: &Task) -> TaskEnd {
    TaskEnd {
        stop_code: task.stop_code().map(|c| c.as_str().to_owned()),
        stopped_reason: task.stopped_reason().map(str::to_owned),
        containers: task
            .containers()
            .iter()
            .map(|c| ContainerEnd {
                name: c.name().unwrap_or_default().to_owned(),
                exit_code: c.exit_code(),
                reason: c.reason().map(str::to_owned),
                has_gpus: !c.gpu_ids().is_empty(),
            })
            .collect(),
    }
}

/// An instance that has left the cluster is no error (reasons: ECS developer guide, api_failures_messages).
fn unless_gone(done: Result<(), WorkerError>) -> Result<(), WorkerError> {
    match done {
        Err(WorkerError::AwsRejected(gone))
            if matches!(gone.code.as_str(), "INACTIVE" | "MISSING") =>
        {
            Ok(())
        }
        done => done,
    }
}

/// "No Container Instances were found in your cluster.": the one refusal of RunTask that is about the instances, not the
/// request (ECS developer guide, "API failure reasons": `InvalidParameterException`).
fn leaves_no_instance(error: &RunTaskError) -> bool {
    matches!(error, RunTaskError::InvalidParameterException(e)
        if e.message().is_some_and(|m| m.contains("No Container Instances were found")))
}
