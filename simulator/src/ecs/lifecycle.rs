//! A task's life (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html>).
//!
//! Two layers: what the processes on the host really do, and what ECS knows of it, through the agent only. While the agent
//! is away nothing starts, no stop order arrives and no end is reported
//! (<https://github.com/aws/containers-roadmap/issues/2040>).

use super::{
    behaviour::{Behaviour, GpuHealth, Run, TaskFacts},
    ending::KILLED,
    model::{ContainerRun, LaunchParameters, Process, Revision, Task, TaskKind, Times},
    state::{Due, State, TaskStep},
};
use crate::{ACCOUNT, REGION};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

impl State {
    /// Puts a task on an instance that has room for it; the answer is its ARN.
    pub fn place(
        &mut self,
        id: &str,
        revision: &Arc<Revision>,
        launch: &LaunchParameters,
    ) -> String {
        let cluster = &self.settings.cluster;
        let arn = format!(
            "arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{}",
            self.dice.hex(32)
        );
        let definition = &revision.definition;
        let containers = self.take_resources(id, revision, &arn);
        let instance_arn = self.instances.get(id).map(|i| i.arn.clone());
        let group = launch
            .group
            .clone()
            .unwrap_or_else(|| format!("family:{}", definition.family));
        let task = Task {
            arn: arn.clone(),
            revision: revision.clone(),
            instance_id: id.to_owned(),
            instance_arn: instance_arn.unwrap_or_default(),
            launch: launch.clone(),
            group,
            attachment_id: self.dice.uuid(),
            last_status: if definition.awsvpc {
                "PROVISIONING"
            } else {
                "PENDING"
            },
            desired_status: "RUNNING",
            process: Process::Waiting(None),
            behaviour: Behaviour::default(),
            gang: None,
            stop_delivered: false,
            containers,
            times: Times {
                created: Some(self.clock.now()),
                ..Times::default()
            },
            stop_code: None,
            stopped_reason: None,
            version: 0,
        };
        self.tasks.insert(arn.clone(), task);
        self.task_changed(&arn);
        self.instance_changed(id);
        if definition.awsvpc {
            let range = self.settings.provisioning.clone();
            self.within(&range, Due::Task(arn.clone(), TaskStep::Provisioned));
        } else {
            self.plan_start(&arn);
        }
        arn
    }

    fn take_resources(&mut self, id: &str, revision: &Revision, arn: &str) -> Vec<ContainerRun> {
        let dice = self.dice.clone();
        let Some(instance) = self.instances.get_mut(id) else {
            return Vec::new();
        };
        instance.tasks.insert(arn.to_owned());
        *instance
            .starts
            .entry(revision.definition.family.clone())
            .or_default() += 1;
        let prefix = arn.replacen(":task/", ":container/", 1);
        revision
            .definition
            .containers
            .iter()
            .map(|container| {
                instance.cpu_free = instance.cpu_free.saturating_sub(container.cpu);
                instance.memory_free = instance.memory_free.saturating_sub(container.memory);
                let free = instance.gpus.iter_mut().filter(|(_, task)| task.is_none());
                let gpu_ids = free
                    .take(container.gpus)
                    .map(|(gpu, task)| {
                        *task = Some(arn.to_owned());
                        gpu.clone()
                    })
                    .collect();
                ContainerRun {
                    arn: format!("{prefix}/{}", dice.uuid()),
                    runtime_id: dice.hex(64),
                    last_status: "PENDING",
                    exit_code: None,
                    reason: None,
                    gpu_ids,
                }
            })
            .collect()
    }

    fn plan_start(&mut self, arn: &str) {
        let range = self.settings.starting.clone();
        let at = self.within(&range, Due::Task(arn.to_owned(), TaskStep::Start));
        if let Some(task) = self.tasks.get_mut(arn) {
            task.process = Process::Waiting(Some(at));
        }
    }

    /// One step of the task, if it is still the one to take.
    pub fn task_step(&mut self, arn: &str, step: TaskStep, at: Instant) {
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        match (step, task.process, task.last_status) {
            (TaskStep::Provisioned, Process::Waiting(_), "PROVISIONING") => {
                task.last_status = "PENDING";
                self.task_changed(arn);
                self.plan_start(arn);
            }
            (TaskStep::Start, Process::Waiting(Some(due)), _) if due == at => self.start(arn),
            (TaskStep::Run, Process::Running(_), "ACTIVATING") => self.now_running(arn),
            (TaskStep::End, Process::Running(Some((due, code))), _) if due == at => {
                self.process_ended(arn, code);
            }
            (TaskStep::StopOrder, ..) => self.stop_order(arn),
            (TaskStep::Reported, Process::Ended(_), _) => self.reported(arn),
            (TaskStep::Deprovisioned, _, "DEPROVISIONING") => self.stopped(arn),
            (TaskStep::Forget, _, "STOPPED") => {
                self.tasks.remove(arn);
            }
            _ => {}
        }
    }

    fn start(&mut self, arn: &str) {
        let Some(task) = self.tasks.get(arn) else {
            return;
        };
        if !self.agent_connected(&task.instance_id) {
            return;
        }
        let (awsvpc, pulling) = (task.awsvpc(), task.times.pull_started.is_some());
        let behaviour = self.behaviour(arn);
        let now = self.clock.now();
        if !behaviour.pulls_for.is_zero() && !pulling {
            return self.pull(arn, behaviour.pulls_for);
        }
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        task.gang = behaviour.gang.clone().or(task.launch.started_by.clone());
        task.times.pull_started = task.times.pull_started.or(task.times.created);
        task.behaviour = behaviour;
        if let Run::NotStarted { reason } = &task.behaviour.run {
            let reason = reason.clone();
            return self.not_started(arn, "TaskFailedToStart", &reason);
        }
        task.times.pull_stopped = Some(now);
        task.process = Process::Running(None);
        if awsvpc {
            task.last_status = "ACTIVATING";
            self.task_changed(arn);
            self.after(
                Duration::from_secs(1),
                Due::Task(arn.to_owned(), TaskStep::Run),
            );
        } else {
            self.now_running(arn);
        }
    }

    /// Comes back to the start when the image is there.
    fn pull(&mut self, arn: &str, how_long: Duration) {
        let now = self.clock.now();
        let at = self.after(how_long, Due::Task(arn.to_owned(), TaskStep::Start));
        if let Some(task) = self.tasks.get_mut(arn) {
            task.times.pull_started = Some(now);
            task.process = Process::Waiting(Some(at));
        }
    }

    fn now_running(&mut self, arn: &str) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        task.last_status = "RUNNING";
        task.times.started = Some(now);
        for container in &mut task.containers {
            container.last_status = "RUNNING";
        }
        let run = task.behaviour.run.clone();
        let gang = task.gang.clone();
        let id = task.instance_id.clone();
        match run {
            Run::Exits { after, code } => self.plan_end(arn, after, Some(code)),
            Run::Interrupted { after, code } => self.plan_end(arn, after, Some(code)),
            Run::OutOfMemory { after } => self.plan_end(arn, after, Some(KILLED)),
            Run::EndsWithoutCode { after } => self.plan_end(arn, after, None),
            Run::AbortsWithGang { .. } => {
                if let Some(gang) = gang {
                    self.gang_watchers
                        .entry(gang)
                        .or_default()
                        .insert(arn.to_owned());
                }
            }
            Run::Forever | Run::NotStarted { .. } => {}
        }
        self.task_changed(arn);
        self.instance_changed(&id);
    }

    pub(super) fn plan_end(&mut self, arn: &str, after: Duration, code: Option<i32>) {
        let at = self.after(after, Due::Task(arn.to_owned(), TaskStep::End));
        if let Some(task) = self.tasks.get_mut(arn) {
            task.process = Process::Running(Some((at, code)));
        }
    }

    /// Asks the scenario, or DCGM's rules.
    fn behaviour(&self, arn: &str) -> Behaviour {
        let Some((task, instance)) = self
            .tasks
            .get(arn)
            .and_then(|t| Some((t, self.instances.get(&t.instance_id)?)))
        else {
            return Behaviour::default();
        };
        let definition = &task.revision.definition;
        match definition.kind {
            TaskKind::Daemon => Behaviour::default(),
            TaskKind::GpuCheck => {
                let starts = instance.starts.get(&definition.family).copied();
                self.check(instance.gpu_health, starts.unwrap_or_default())
            }
            TaskKind::Job => (self.behaviour_of)(&TaskFacts {
                task_arn: task.arn.clone(),
                family: definition.family.clone(),
                instance_id: instance.id.clone(),
                started_by: task.launch.started_by.clone(),
                group: task.group.clone(),
                environment: environment(task),
                starts_on_instance: instance
                    .starts
                    .get(&definition.family)
                    .copied()
                    .unwrap_or_default(),
                gpu_health: instance.gpu_health,
            }),
        }
    }

    /// What the health check does, as the stack's own script or as a bare `dcgmi diag`.
    fn check(&self, health: GpuHealth, starts: u32) -> Behaviour {
        let after = self.dice.within(&self.settings.dcgm);
        let own = self.settings.own_check;
        let coded = |own_code: i32, bare: i32| {
            Behaviour::exits(after, if own.is_some() { own_code } else { bare })
        };
        match health {
            GpuHealth::CheckCrashesOnce if starts > 1 => Behaviour::exits(after, 0),
            GpuHealth::Healthy => Behaviour::exits(after, 0),
            GpuHealth::FaultUntilReboot | GpuHealth::FaultForever | GpuHealth::CannotPlace => {
                coded(1, 226)
            }
            GpuHealth::Isolate => coded(2, 205),
            GpuHealth::Misconfigured => coded(3, 226),
            GpuHealth::DcgmCrashes(code) => Behaviour::exits(after, code),
            GpuHealth::DcgmHangs => match own {
                Some(bound) => Behaviour::exits(bound.saturating_sub(Duration::from_secs(60)), 1),
                None => Behaviour::default().hanging(),
            },
            GpuHealth::CheckCrashes | GpuHealth::CheckCrashesOnce => Behaviour {
                run: Run::EndsWithoutCode { after },
                ..Behaviour::default()
            },
            GpuHealth::ImageUnavailable => Behaviour::not_started(NO_IMAGE),
            GpuHealth::NoExitCode => Behaviour::not_started(NO_DRIVER),
        }
    }
}

/// What a task says whose image the registry does not give (ECS developer guide, stopped-task-error-codes).
const NO_IMAGE: &str = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref \
    nvcr.io/nvidia/cloud-native/dcgm:4.5.2-1-ubuntu22.04: failed to do request: Head: dial tcp: i/o timeout";

/// What a container that asks for a GPU ends with where there is no driver or no GPU (NVIDIA/k8s-device-plugin#98 and
/// others; `TaskFailedToStart`, and no exit code).
const NO_DRIVER: &str = "CannotStartContainerError: Error response from daemon: failed to create task for container: \
    failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error \
    during container init: error running prestart hook #0: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy' \
    nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown";

/// The main container's environment: the definition's under the overrides'.
fn environment(task: &Task) -> BTreeMap<String, String> {
    let definition = &task.revision.definition;
    let main = &definition.containers[definition.main_container()];
    let mut environment = main.environment.clone();
    let overrides = task.launch.overrides["containerOverrides"].as_array();
    for entry in overrides
        .into_iter()
        .flatten()
        .filter(|o| o["name"] == main.name.as_str())
        .filter_map(|o| o["environment"].as_array())
        .flatten()
    {
        if let (Some(name), Some(value)) = (entry["name"].as_str(), entry["value"].as_str()) {
            environment.insert(name.to_owned(), value.to_owned());
        }
    }
    environment
}
