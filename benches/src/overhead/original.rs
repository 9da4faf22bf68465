//! A model of the design that this system replaces, played in the same simulated account with the same latencies: three
//! functions that events start, each making its calls one after the other. It reads the whole table to find a job.
//!
//! Its first function makes 4 calls a node and 7 more (39 for 8 nodes, 263 for 64). What the calls of a node are is its
//! published flow: stop the task, mark the instance, look at the instance, mark the rank. The third starts each rank and
//! marks it. It does not wait until tasks are stopped, and it does not check the GPUs after the reboot.

use super::{
    ledger::{Ledger, Piece, Spans},
    times::{JobTimes, seconds},
};
use crate::site::{Plan, Site, SiteError, in_virtual_time, instance_id};
use serde_json::{Value, json};
use simulator::{
    cloud::{Cloud, HEALTH_CHECK, TRAINING},
    eventbridge::Target,
    launcher::{GPUS, training},
    ssm::REBOOT,
    wire::ApiError,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::sleep;
use workers::aws::launch_names::started_by;

/// Nothing of this system: every execution ends at once.
const NOTHING: &str =
    r#"{"QueryLanguage":"JSONata","StartAt":"Nothing","States":{"Nothing":{"Type":"Succeed"}}}"#;
/// Each function's first start; the middle of the simulator's own functions' (`simulator/src/lambda.rs`).
const COLD_START: Duration = Duration::from_millis(120);
/// No run of the model takes so long.
const BOUND: Duration = Duration::from_secs(4 * 3600);
const CALLER: &str = "original";

/// What a recovery by the original takes.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub ledger: Ledger,
    /// API calls of each function.
    pub calls: [u64; 3],
    /// DynamoDB read units of the whole recovery.
    pub read_units: f64,
    /// Seconds that each function runs; Lambda ends it after 900.
    pub seconds: [f64; 3],
}

/// Plays the model on a job of so many nodes, beside so many unrelated items.
///
/// # Errors
/// [`SiteError`].
pub fn measure(nodes: u32, unrelated: u32) -> Result<Measured, SiteError> {
    let plan = Plan {
        definition: NOTHING.to_owned(),
        unrelated,
        ..Plan::job(nodes)
    };
    in_virtual_time(async {
        let site = Site::new(&plan).await?;
        let model = Original::new(&site, nodes);
        model.deploy()?;
        let mut waited = Duration::ZERO;
        while !model.done() {
            if waited > BOUND {
                return Err(SiteError::Endless);
            }
            sleep(Duration::from_secs(5)).await;
            waited += Duration::from_secs(5);
        }
        // The last container starts after the last call.
        sleep(Duration::from_secs(60)).await;
        let measured = model.measured(&site);
        site.cloud.clone().dissolve();
        Ok(measured)
    })
}

#[derive(Clone)]
struct Original {
    cloud: Cloud,
    nodes: u32,
    job: workers::ids::JobId,
    /// From each function's call to its start and its end.
    runs: Arc<Mutex<Vec<Run>>>,
    died: std::time::SystemTime,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    function: usize,
    called: f64,
    started: f64,
    ended: f64,
    calls: u64,
}

impl Original {
    fn new(site: &Site, nodes: u32) -> Self {
        Self {
            cloud: site.cloud.clone(),
            nodes,
            job: site.jobs[0].clone(),
            runs: Arc::default(),
            died: site.dies_at,
        }
    }

    fn now(&self) -> f64 {
        let now = self.cloud.clock.now();
        now.duration_since(self.died)
            .unwrap_or_default()
            .as_secs_f64()
    }

    fn runs(&self) -> Vec<Run> {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.clone()
    }

    fn done(&self) -> bool {
        self.runs().iter().any(|run| run.function == 2)
    }

    /// A rule for each function. A task that was stopped on request is none of a failure; an instance's events are of
    /// interest once it was rebooted.
    fn deploy(&self) -> Result<(), SiteError> {
        let stopped = |family: &str| {
            json!({
                "source": ["aws.ecs"],
                "detail-type": ["ECS Task State Change"],
                "detail": {
                    "lastStatus": ["STOPPED"],
                    "stopCode": ["EssentialContainerExited"],
                    "group": [format!("family:{family}")],
                },
            })
        };
        let back = json!({
            "source": ["aws.ecs"],
            "detail-type": ["ECS Container Instance State Change"],
            "detail": { "agentConnected": [true], "ec2InstanceId": [self.bad_instance()] },
        });
        let rules = [stopped(TRAINING), stopped(HEALTH_CHECK), back];
        for (function, pattern) in rules.iter().enumerate() {
            let model = self.clone();
            let target: Target = Arc::new(move |event| {
                tokio::spawn(model.clone().run(function, event));
                Box::pin(async { Ok(()) })
            });
            let name = format!("original-{function}");
            let added = self.cloud.bus.rule(&name, pattern, target);
            added.map_err(|e| SiteError::Cloud(e.into()))?;
        }
        Ok(())
    }

    fn bad_instance(&self) -> String {
        instance_id(0, 3.min(self.nodes - 1))
    }

    async fn run(self, function: usize, event: Value) {
        let rebooted = self
            .cloud
            .fleet
            .instance(&self.bad_instance())
            .is_some_and(|view| view.reboots > 0);
        // Its own tables keep it from acting twice.
        let again = self.runs().iter().any(|run| run.function == function);
        if again || (function == 2 && !rebooted) {
            return;
        }
        let called = self.now();
        sleep(COLD_START).await;
        let started = self.now();
        let mut calls = Calls {
            model: &self,
            made: 0,
        };
        match function {
            0 => calls.task_failed(&event["detail"]).await,
            1 => calls.check_ended(&event["detail"]).await,
            _ => calls.instance_back().await,
        }
        let run = Run {
            function,
            called,
            started,
            ended: self.now(),
            calls: calls.made,
        };
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.push(run);
    }

    fn measured(&self, site: &Site) -> Measured {
        let seen = JobTimes::read(site);
        let mut spans: Spans = seen.physics();
        let mut measured = Measured::default();
        let check_told = seen.checks.iter().find_map(|check| check.end_told);
        let back = seen.agents_back.iter().copied().reduce(f64::min);
        let told = [Some(seen.told()), check_told, back];
        for run in self.runs() {
            if let Some(told) = told[run.function] {
                spans.add(Piece::EventDelivery, told, run.called);
            }
            spans.add(Piece::LambdaStart, run.called, run.started);
            spans.add(Piece::Handlers, run.started, run.ended);
            measured.calls[run.function] = run.calls;
            measured.seconds[run.function] = run.ended - run.started;
        }
        for call in self.cloud.wire.calls() {
            if call.caller == CALLER && matches!(call.action.as_str(), "Scan" | "GetItem") {
                measured.read_units += call.units;
            }
            if call.caller == CALLER
                && call.action == "SendCommand"
                && let Some((begin, _)) = seen.reboots.first()
            {
                spans.add(Piece::CommandDelivery, seconds(site, call.at), *begin);
            }
        }
        measured.ledger = spans.share_out(seen.begin(), seen.end());
        measured
    }
}

/// One run's calls, one after the other.
struct Calls<'a> {
    model: &'a Original,
    made: u64,
}

impl Calls<'_> {
    async fn call(&mut self, service: &str, action: &str, body: Value) -> Result<Value, ApiError> {
        self.made += 1;
        let wire = &self.model.cloud.wire;
        wire.internal_call(CALLER, service, action, body).await
    }

    /// The same where the original goes on whatever comes of it.
    async fn attempt(&mut self, service: &str, action: &str, body: Value) {
        let _ = self.call(service, action, body).await;
    }

    async fn describe(&mut self, task: &Value) {
        let cluster = self.model.cloud.fleet.cluster_arn();
        let body = json!({ "cluster": cluster, "tasks": [task] });
        self.attempt("ecs", "DescribeTasks", body).await;
    }

    /// Reads the whole table, page by page.
    async fn scan(&mut self) {
        let mut start = Value::Null;
        loop {
            let table = &self.model.cloud.settings.training_job_table;
            let mut body = json!({ "TableName": table });
            if !start.is_null() {
                body["ExclusiveStartKey"] = start;
            }
            start = match self.call("dynamodb", "Scan", body).await {
                Ok(mut page) => page["LastEvaluatedKey"].take(),
                Err(_) => Value::Null,
            };
            if start.is_null() {
                return;
            }
        }
    }

    async fn mark(&mut self, rank: u32, status: &str) {
        let table = &self.model.cloud.settings.container_instance_table;
        let body = json!({
            "TableName": table,
            "Key": { "instance_id": { "S": instance_id(0, rank) } },
            "UpdateExpression": "SET #s = :s",
            "ExpressionAttributeNames": { "#s": "status" },
            "ExpressionAttributeValues": { ":s": { "S": status } },
        });
        self.attempt("dynamodb", "UpdateItem", body).await;
    }

    async fn look_at(&mut self, rank: u32) {
        let cluster = self.model.cloud.fleet.cluster_arn();
        let body = json!({ "cluster": cluster, "containerInstances": [self.instance_arn(rank)] });
        self.attempt("ecs", "DescribeContainerInstances", body)
            .await;
    }

    fn instance_arn(&self, rank: u32) -> String {
        let view = self.model.cloud.fleet.instance(&instance_id(0, rank));
        view.map(|view| view.arn).unwrap_or_default()
    }

    /// The first function: 4 calls a node and 7.
    async fn task_failed(&mut self, task: &Value) {
        let nodes = self.model.nodes;
        let cluster = self.model.cloud.fleet.cluster_arn();
        self.describe(&task["taskArn"]).await;
        self.scan().await;
        self.scan().await;
        let attempt = started_by(&self.model.job, 1);
        let tasks = self.model.cloud.fleet.tasks();
        let of_job = tasks.iter().filter(|t| t["startedBy"] == attempt.as_str());
        for task in of_job {
            let body = json!({ "cluster": cluster, "task": task["taskArn"] });
            self.attempt("ecs", "StopTask", body).await;
        }
        for rank in 0..nodes {
            self.mark(rank, "PENDING").await;
            self.look_at(rank).await;
        }
        self.describe(&task["taskArn"]).await;
        let bad = 3.min(nodes - 1);
        self.mark(bad, "PENDING_HEALTHCHECK").await;
        let body = json!({
            "cluster": cluster,
            "taskDefinition": HEALTH_CHECK,
            "containerInstances": [self.instance_arn(bad)],
        });
        self.attempt("ecs", "StartTask", body).await;
        for rank in 0..nodes {
            self.mark(rank, "STOPPED").await;
        }
        self.mark(bad, "PENDING_HEALTHCHECK").await;
    }

    /// The second: DCGM has found a fault.
    async fn check_ended(&mut self, task: &Value) {
        let bad = 3.min(self.model.nodes - 1);
        self.describe(&task["taskArn"]).await;
        self.scan().await;
        self.look_at(bad).await;
        // It sends a shell's `reboot`. The simulated nodes have no shell; this order reboots as soon.
        let boot = self.model.cloud.fleet.instance(&instance_id(0, bad));
        let body = json!({
            "DocumentName": REBOOT,
            "InstanceIds": [instance_id(0, bad)],
            "Parameters": { "BootId": [boot.map(|view| view.boot_id).unwrap_or_default()], "UntilUptime": ["999999999"] },
        });
        self.attempt("ssm", "SendCommand", body).await;
        self.mark(bad, "REBOOTING").await;
        self.mark(bad, "PENDING_RESTART").await;
    }

    /// The third: the instance is back.
    async fn instance_back(&mut self) {
        let nodes = self.model.nodes;
        let cluster = self.model.cloud.fleet.cluster_arn();
        self.look_at(3.min(nodes - 1)).await;
        self.scan().await;
        let attempt = started_by(&self.model.job, 2);
        for rank in 0..nodes {
            let environment = training(GPUS, rank, nodes).overrides;
            let entries = environment.iter().flat_map(|o| &o.container_overrides);
            let overrides: Vec<Value> = entries
                .map(|c| {
                    let environment = c.environment.iter();
                    let environment: Vec<Value> = environment
                        .map(|(name, value)| json!({ "name": name, "value": value }))
                        .collect();
                    json!({ "name": c.name, "environment": environment })
                })
                .collect();
            let body = json!({
                "cluster": cluster,
                "taskDefinition": TRAINING,
                "containerInstances": [self.instance_arn(rank)],
                "startedBy": attempt,
                "overrides": { "containerOverrides": overrides },
            });
            self.attempt("ecs", "StartTask", body).await;
            self.mark(rank, "IN_PROGRESS").await;
        }
    }
}
