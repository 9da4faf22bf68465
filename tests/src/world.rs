//! An account with the system in it, whose events go nowhere: a test calls the workers itself.

use serde_json::{Value, json};
use simulator::{
    cloud::{Cloud, CloudOptions, HEALTH_CHECK, TRAINING},
    ecs::NewInstance,
    eventbridge::Delivery,
    lambda::WORKERS,
    wire::{Handler, Wire},
};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{sleep, timeout};
use workers::{
    Context, Worker, WorkerError,
    desk::submit::{Submission, SubmitError, submit},
    ids::{ExecutionArn, InstanceId, JobId},
    records::{
        InstanceRecord, JobRecord, RankRecord,
        launch::{ContainerOverrides, LaunchSpec, Overrides},
    },
};

/// The job that most tests have.
pub const JOB: &str = "llama-7b";

/// Executions that stay RUNNING, wait for a token, or fail at once, as their input says.
const EXECUTIONS: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Kind?",
  "States": {
    "Kind?": {
      "Type": "Choice",
      "Choices": [
        { "Condition": "{% $states.input.kind = 'waits' %}", "Next": "WaitForInstanceActive" },
        { "Condition": "{% $states.input.kind = 'fails' %}", "Next": "ClaimJob" }
      ],
      "Default": "Run"
    },
    "Run": { "Type": "Wait", "Seconds": 864000, "End": true },
    "ClaimJob": {
      "Type": "Task",
      "Resource": "arn:aws:states:::lambda:invoke",
      "Arguments": { "FunctionName": "${ClaimJobFunctionArn}", "Payload": {} },
      "End": true
    },
    "WaitForInstanceActive": {
      "Type": "Task",
      "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
      "Arguments": {
        "FunctionName": "${InstanceEventsFunctionArn}",
        "Payload": {
          "detail-type": "EC2 Command Invocation Status-change Notification",
          "detail": { "command-id": "{% $states.context.Task.Token %}", "instance-id": "none", "status": "Pending" }
        }
      },
      "End": true
    }
  }
}"#;

/// Something that takes its time.
pub type Doing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The account, and what a test does with them.
pub struct World {
    pub cloud: Cloud,
    named: AtomicUsize,
}

/// The execution that recovers a job.
#[derive(Debug, Clone)]
pub struct Recovery {
    pub execution: String,
    pub job: String,
    pub attempt: u32,
    /// What ClaimJob answered.
    pub claimed: Value,
}

impl Recovery {
    /// The input of a worker: what all have, and more.
    pub fn input(&self, more: Value) -> Value {
        let mut input =
            json!({ "execution": self.execution, "jobId": self.job, "attempt": self.attempt });
        if let (Some(members), Value::Object(more)) = (input.as_object_mut(), more) {
            members.extend(more);
        }
        input
    }
}

impl Recovery {
    /// What the workers of one instance get: the rank's own, and more.
    pub fn on(&self, rank: u32, more: Value) -> Value {
        let mut input = self.input(json!({ "instance": instance_id(rank as usize), "rank": rank }));
        if let (Some(members), Value::Object(more)) = (input.as_object_mut(), more) {
            members.extend(more);
        }
        input
    }

    /// CordonInstance's input.
    pub fn cordon(&self, rank: u32) -> Value {
        self.on(
            rank,
            json!({ "exitCode": 226, "startedAt": "2026-01-05T00:00:00Z" }),
        )
    }
}

/// Settings over the defaults.
pub fn settings(pairs: &[(&str, &str)]) -> CloudOptions {
    CloudOptions {
        settings: pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..CloudOptions::default()
    }
}

/// The nth instance's id.
pub fn instance_id(nth: usize) -> String {
    format!("i-{nth:017x}")
}

/// How a rank of a test's job is started.
pub fn launch(rank: usize) -> LaunchSpec {
    LaunchSpec {
        task_definition: TRAINING.to_owned(),
        overrides: Some(Overrides {
            container_overrides: vec![ContainerOverrides {
                name: TRAINING.to_owned(),
                command: vec!["torchrun".to_owned(), "train.py".to_owned()],
                environment: vec![("RANK".to_owned(), rank.to_string())],
                ..ContainerOverrides::default()
            }],
            ..Overrides::default()
        }),
        tags: BTreeMap::from([("team".to_owned(), "vision".to_owned())]),
        group: Some("llama".to_owned()),
        network: None,
        enable_execute_command: true,
        managed_tags: false,
    }
}

/// Starts a job as `gpu-recovery submit` does.
pub async fn start_job(
    context: &Context,
    job: &str,
    instances: impl IntoIterator<Item = String>,
) -> Result<JobRecord, SubmitError> {
    let ranks = instances
        .into_iter()
        .enumerate()
        .map(|(rank, instance)| (InstanceId::new(instance), launch(rank)))
        .collect();
    let submission = Submission {
        job_id: JobId::new(job),
        ranks,
        recovery_attempts: None,
        policies: workers::settings::JobPolicies::default(),
    };
    submit(context, &submission).await
}

impl World {
    pub async fn new() -> Self {
        Self::with(CloudOptions::default()).await
    }

    pub async fn with(options: CloudOptions) -> Self {
        let options = CloudOptions {
            definition: EXECUTIONS.to_owned(),
            ..options
        };
        let cloud = Cloud::new(options).await.expect("the account can be made");
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        cloud.bus.set_delivery(Delivery {
            latency: YEAR..YEAR,
            ..Delivery::default()
        });
        Self {
            cloud,
            named: AtomicUsize::new(0),
        }
    }

    /// A world with a job of so many nodes, one instance each, that has run for a while.
    pub async fn with_job(nodes: usize) -> Self {
        let world = Self::new().await;
        world.job(nodes).await;
        world
    }

    pub fn wire(&self) -> &Wire {
        &self.cloud.wire
    }

    /// What a worker or a launcher of this name works with.
    pub fn context(&self, caller: &str) -> Context {
        self.cloud.lambda.context(caller)
    }

    fn next(&self) -> usize {
        self.named.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds instances; p5.48xlarge each.
    pub fn instances(&self, count: usize) {
        for nth in 0..count {
            self.cloud
                .fleet
                .add_instance(NewInstance::p5(&instance_id(nth)));
        }
    }

    /// Adds instances and runs a job on them, until all its tasks are RUNNING and old enough to be known.
    pub async fn job(&self, nodes: usize) {
        self.instances(nodes);
        self.submit(JOB, (0..nodes).map(instance_id))
            .await
            .expect("the job starts");
        self.pass(90).await;
    }

    /// Starts a job as `gpu-recovery submit` does.
    pub async fn submit(
        &self,
        job: &str,
        instances: impl IntoIterator<Item = String>,
    ) -> Result<JobRecord, SubmitError> {
        start_job(&self.context("launcher"), job, instances).await
    }

    /// Does something once, just before ECS takes the next call of this action.
    pub fn before_ecs(&self, action: &'static str, first: impl FnOnce() -> Doing + Send + 'static) {
        let ecs = self.cloud.fleet.handler();
        let first = Mutex::new(Some(first));
        let handler: Handler = Arc::new(move |operation, body| {
            let mut first = first.lock().expect("nobody panics here");
            let first = first.take_if(|_| operation == action);
            let (ecs, operation) = (ecs.clone(), operation.to_owned());
            Box::pin(async move {
                if let Some(first) = first {
                    first().await;
                }
                ecs(&operation, body).await
            })
        });
        self.wire().register("ecs", handler);
    }

    /// Changes what ECS answers to each call of this action.
    pub fn change_answers(
        &self,
        action: &'static str,
        change: impl Fn(&mut Value) + Send + Sync + 'static,
    ) {
        let ecs = self.cloud.fleet.handler();
        let change = Arc::new(change);
        let handler: Handler = Arc::new(move |operation, body| {
            let (ecs, change) = (ecs.clone(), change.clone());
            let operation = operation.to_owned();
            Box::pin(async move {
                let mut answer = ecs(&operation, body).await?;
                if operation == action {
                    change(&mut answer);
                }
                Ok(answer)
            })
        });
        self.wire().register("ecs", handler);
    }

    /// Lets seconds pass.
    pub async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    /// Calls a worker as Lambda does, and gives it no longer than Lambda does.
    pub async fn call(&self, worker: &str, input: Value) -> Result<Value, WorkerError> {
        let answer = self.call_or_die(worker, input).await;
        answer.unwrap_or_else(|| panic!("{worker} was killed"))
    }

    /// The same; `None` when the worker was killed.
    pub async fn call_or_die(
        &self,
        worker: &str,
        input: Value,
    ) -> Option<Result<Value, WorkerError>> {
        self.call_as(&self.next().to_string(), worker, input).await
    }

    /// The same; the invocation's calls are those of `worker#name`.
    pub async fn call_as(
        &self,
        name: &str,
        worker: &str,
        input: Value,
    ) -> Option<Result<Value, WorkerError>> {
        let caller = format!("{worker}#{name}");
        let worker = &WORKERS[worker];
        let killed = self.wire().faults().killed(&caller);
        let context = self.context(&caller);
        let bound = Duration::from_secs(worker.timeout_seconds.into());
        tokio::select! {
            biased;
            () = killed => None,
            answer = timeout(bound, worker.invoke(&context, input)) => {
                Some(answer.unwrap_or_else(|_| panic!("{} takes longer than Lambda allows", worker.name)))
            }
        }
    }

    /// The outcome, which must have this name.
    pub async fn outcome(&self, worker: &str, input: Value, outcome: &str) -> Value {
        let answer = self.call(worker, input).await;
        let answer =
            answer.unwrap_or_else(|e| panic!("{worker} failed instead of {outcome}: {e:?}"));
        assert_eq!(answer["outcome"], outcome, "{worker}: {answer}");
        answer
    }

    /// The same, called again as the state machine does while AWS has not settled yet.
    pub async fn settled_outcome(&self, worker: &str, input: Value, outcome: &str) -> Value {
        for _ in 0..8 {
            match self.call(worker, input.clone()).await {
                Err(WorkerError::NotSettledYet(_) | WorkerError::OutOfTime(_)) => {
                    self.pass(30).await;
                }
                _ => break,
            }
        }
        self.outcome(worker, input, outcome).await
    }

    /// A worker of this name, for its schemas and checks.
    pub fn worker(&self, name: &str) -> &Worker {
        &WORKERS[name]
    }

    /// The ARN of a rank's task in the job's first attempt.
    pub async fn task(&self, rank: u32) -> String {
        self.task_of(JOB, 1, rank).await
    }

    /// The ARN of a rank's task.
    pub async fn task_of(&self, job: &str, attempt: u32, rank: u32) -> String {
        let ranks = self.ranks_of(job, attempt).await;
        ranks
            .into_iter()
            .find(|r| r.rank == rank)
            .expect("the rank is recorded")
            .task_arn
            .as_str()
            .to_owned()
    }

    /// Lets a rank's main container exit, and waits until ECS knows; the answer is the event.
    pub async fn exit(&self, rank: u32, code: i32) -> Value {
        let task = self.task(rank).await;
        self.exit_task(&task, Some(code)).await
    }

    /// The same by task.
    pub async fn exit_task(&self, task: &str, code: Option<i32>) -> Value {
        self.cloud.fleet.kill_process(task, code);
        self.pass(15).await;
        self.stop_event(task)
    }

    /// The event that told of the task's end.
    pub fn stop_event(&self, task: &str) -> Value {
        let events = self.cloud.bus.record();
        let event = events.iter().rev().find(|event| {
            event["detail-type"] == "ECS Task State Change"
                && event["detail"]["taskArn"] == task
                && event["detail"]["lastStatus"] == "STOPPED"
        });
        (**event.unwrap_or_else(|| panic!("{task} has not stopped"))).clone()
    }

    /// Starts an execution; `kind` as in the definition above.
    pub fn start(&self, kind: &str, input: Value) -> String {
        let name = format!("e-{}", self.next());
        let input = json!({ "kind": kind, "input": input });
        let machine = &self.cloud.state_machine_arn;
        self.cloud
            .stepfunctions
            .start(machine, Some(&name), input)
            .expect("the execution starts")
    }

    /// An execution that runs.
    pub fn running_execution(&self) -> String {
        self.start("runs", Value::Null)
    }

    /// An execution that an operator has stopped.
    pub fn ended_execution(&self) -> String {
        let execution = self.running_execution();
        self.end(&execution);
        execution
    }

    /// Stops an execution.
    pub fn end(&self, execution: &str) {
        self.cloud
            .stepfunctions
            .stop(execution, None, None)
            .expect("the execution stops");
    }

    /// An execution that waits for its token; the answer is both.
    pub async fn waiting_execution(&self) -> (String, String) {
        let execution = self.start("waits", Value::Null);
        self.pass(5).await;
        let waiting = self.cloud.stepfunctions.waiting();
        let task = waiting
            .into_iter()
            .find(|task| task.execution_arn == execution);
        (execution, task.expect("the execution waits").token)
    }

    /// A rank of the job fails with exit 1, and an execution of its own claims the job.
    pub async fn claim(&self, rank: u32) -> Recovery {
        let event = self.exit(rank, 1).await;
        self.claim_with(event).await
    }

    /// An execution claims the job of the event's task.
    pub async fn claim_with(&self, event: Value) -> Recovery {
        let execution = self.running_execution();
        let input = json!({ "execution": execution, "event": event });
        let claimed = self.outcome("claim-job", input, "Claimed").await;
        Recovery {
            execution,
            job: claimed["jobId"].as_str().unwrap_or_default().to_owned(),
            attempt: claimed["attempt"].as_u64().unwrap_or_default() as u32,
            claimed,
        }
    }

    /// The same, and every task of the job is stopped.
    pub async fn claim_and_stop(&self, rank: u32) -> Recovery {
        let recovery = self.claim(rank).await;
        self.outcome("stop-siblings", recovery.input(json!({})), "Stopped")
            .await;
        recovery
    }

    /// The same, and the rank's instance is cordoned for a reboot.
    pub async fn claim_and_cordon(&self, rank: u32) -> Recovery {
        let recovery = self.claim_and_stop(rank).await;
        self.outcome("cordon-instance", recovery.cordon(rank), "Cordoned")
            .await;
        recovery
    }

    /// The job's item.
    pub async fn job_record(&self) -> JobRecord {
        self.job_record_of(JOB).await
    }

    pub async fn job_record_of(&self, job: &str) -> JobRecord {
        let found = self.context("person").jobs.get(&JobId::new(job)).await;
        found
            .expect("the item can be read")
            .expect("the job is recorded")
    }

    /// The rank items of one of the job's attempts.
    pub async fn ranks(&self, attempt: u32) -> Vec<RankRecord> {
        self.ranks_of(JOB, attempt).await
    }

    pub async fn ranks_of(&self, job: &str, attempt: u32) -> Vec<RankRecord> {
        self.context("person")
            .jobs
            .ranks(&JobId::new(job), attempt)
            .await
            .expect("the ranks can be read")
    }

    /// The nth instance's item.
    pub async fn instance_record(&self, nth: usize) -> InstanceRecord {
        let found = self
            .context("person")
            .instances
            .get(&InstanceId::new(instance_id(nth)))
            .await;
        found
            .expect("the item can be read")
            .expect("the instance is recorded")
    }

    /// Adds the nth instance as a spare of a pool, checked and free.
    pub fn stand_by(&self, nth: usize, pool: &str) {
        let id = instance_id(nth);
        self.cloud.fleet.add_instance(NewInstance::p5(&id));
        simulator::stand_by::stand_by(&self.cloud, &id, pool);
    }

    /// The pool whose spare the nth instance is.
    pub fn mark(&self, nth: usize) -> Option<String> {
        let view = self.cloud.fleet.instance(&instance_id(nth));
        let view = view.expect("the instance is there");
        view.attributes.get("gpu-recovery.spare").cloned().flatten()
    }

    /// The nth instance's status in ECS.
    pub fn ecs_status(&self, nth: usize) -> String {
        self.cloud
            .fleet
            .instance(&instance_id(nth))
            .expect("the instance is there")
            .status
    }

    /// Sets an instance's status in ECS, as an operator does.
    pub fn set_ecs_status(&self, nth: usize, status: &str) {
        let arn = self
            .cloud
            .fleet
            .instance(&instance_id(nth))
            .expect("the instance is there")
            .arn;
        let body = json!({ "cluster": self.cloud.settings.cluster, "containerInstances": [arn], "status": status });
        self.cloud
            .fleet
            .api("UpdateContainerInstancesState", &body)
            .expect("ECS takes it");
    }

    /// Starts a task of no job on an instance; its ARN.
    pub async fn run_alone(&self, definition: &str, nth: usize) -> String {
        self.run_task(definition, nth, "an operator").await
    }

    /// Starts the health check on an instance as Step Functions does; its ARN.
    pub async fn run_check(&self, nth: usize) -> String {
        self.run_task(HEALTH_CHECK, nth, "AWS Step Functions").await
    }

    async fn run_task(&self, definition: &str, nth: usize, by: &str) -> String {
        let body = json!({
            "cluster": self.cloud.settings.cluster,
            "taskDefinition": definition,
            "startedBy": by,
            "placementConstraints": [
                { "type": "memberOf", "expression": format!("ec2InstanceId == '{}'", instance_id(nth)) }
            ],
        });
        let answer = self.wire().internal_call("person", "ecs", "RunTask", body);
        let answer = answer.await.unwrap();
        answer["tasks"][0]["taskArn"].as_str().unwrap().to_owned()
    }

    /// The tasks that have not stopped, by ARN.
    pub fn running_tasks(&self) -> BTreeMap<String, Value> {
        let tasks = self
            .cloud
            .fleet
            .tasks()
            .into_iter()
            .filter(|task| task["lastStatus"] != "STOPPED");
        tasks
            .map(|task| {
                (
                    task["taskArn"].as_str().unwrap_or_default().to_owned(),
                    task,
                )
            })
            .collect()
    }

    /// Instances' items and ECS statuses: what a refusal leaves as it was.
    pub async fn instances_as_they_are(&self) -> (Vec<Value>, Vec<String>) {
        let mut items = self
            .items(&self.cloud.settings.container_instance_table)
            .await;
        for item in &mut items {
            item["updated_at"] = Value::Null;
        }
        let fleet = self.cloud.fleet.instances().into_iter();
        (
            items,
            fleet.map(|i| format!("{} {}", i.id, i.status)).collect(),
        )
    }

    /// An execution's ARN as the workers take it.
    pub fn arn(execution: &str) -> ExecutionArn {
        ExecutionArn::new(execution)
    }
}
