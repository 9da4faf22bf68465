//! How a task ends: asked by StopTask, by itself, or with its host; and how ECS hears of it.

use super::{
    behaviour::{OnSigterm, Run},
    model::Process,
    render,
    state::{Due, Emission, State, TaskStep},
};
use tokio::time::Instant;

/// The exit code of a container that got SIGKILL.
pub(super) const KILLED: i32 = 137;

impl State {
    /// Stops a task as StopTask does, once; a stopped or stopping one stays as it is.
    pub fn stop(&mut self, arn: &str, code: &'static str, reason: &str) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        if task.desired_status == "STOPPED" {
            return;
        }
        task.desired_status = "STOPPED";
        task.stop_code = Some(code);
        task.stopped_reason = Some(reason.to_owned());
        task.times.stopping = Some(now);
        let id = task.instance_id.clone();
        self.task_changed(arn);
        self.instance_changed(&id);
        let range = self.settings.agent_delay.clone();
        self.within(&range, Due::Task(arn.to_owned(), TaskStep::StopOrder));
    }

    /// The agent gets the order, if it is there.
    pub(super) fn stop_order(&mut self, arn: &str) {
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        let id = &task.instance_id;
        let connected = self.instances.get(id).is_some_and(|i| i.agent_connected);
        if !connected || task.stop_delivered || task.desired_status != "STOPPED" {
            return;
        }
        task.stop_delivered = true;
        match task.process {
            Process::Waiting(_) => {
                task.process = Process::Ended(None);
                self.reported(arn);
            }
            Process::Running(own_end) => {
                task.last_status = "DEACTIVATING";
                let main = task.revision.definition.main_container();
                let stop_timeout = task.revision.definition.containers[main].stop_timeout;
                let on_sigterm = task.behaviour.on_sigterm;
                self.task_changed(arn);
                if let Some(task) = self.tasks.get_mut(arn) {
                    task.last_status = "STOPPING";
                }
                self.task_changed(arn);
                let (after, code) = match on_sigterm {
                    OnSigterm::Unkillable => return,
                    OnSigterm::Exits { after, code } if after < stop_timeout => (after, code),
                    _ => (stop_timeout, KILLED),
                };
                // It may end by itself before the signal does its work.
                if own_end.is_none_or(|(at, _)| at > Instant::now() + after) {
                    self.plan_end(arn, after, Some(code));
                }
            }
            Process::Ended(_) => {}
        }
    }

    /// The main container ended on the host. ECS hears of it when the agent is there.
    pub fn process_ended(&mut self, arn: &str, code: Option<i32>) {
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        task.process = Process::Ended(code);
        let gang = task.gang.clone();
        let stopped_by_ecs = task.stop_delivered;
        match task.behaviour.run {
            _ if task.stop_code.is_some() => {}
            // Words of the ECS developer guide, stopped-task-error-codes.
            Run::Interrupted { .. } => {
                task.stop_code = Some("SpotInterruption");
                task.stopped_reason = Some("Your Spot Task was interrupted.".to_owned());
            }
            Run::OutOfMemory { .. } => {
                let main = task.revision.definition.main_container();
                task.containers[main].reason =
                    Some("OutOfMemoryError: Container killed due to memory usage".to_owned());
            }
            _ => {}
        }
        self.plan_report(arn);
        if let Some(gang) = gang {
            if let Some(watchers) = self.gang_watchers.get_mut(&gang) {
                watchers.remove(arn);
            }
            // A rank that ECS stops takes its gang down too, but those are being stopped themselves as a rule; only
            // an unasked end aborts the others. The list is taken, so a gang of n costs n, not n squared.
            if !stopped_by_ecs {
                self.abort_gang(&gang);
            }
        }
    }

    fn abort_gang(&mut self, gang: &str) {
        for arn in self.gang_watchers.remove(gang).unwrap_or_default() {
            let Some(task) = self.tasks.get(&arn) else {
                continue;
            };
            if let (Process::Running(None), Run::AbortsWithGang { after, code }) =
                (task.process, &task.behaviour.run)
            {
                let (after, code) = (*after, *code);
                self.plan_end(&arn, after, Some(code));
            }
        }
    }

    /// Lets the agent report the task's end, if it is there.
    pub fn plan_report(&mut self, arn: &str) {
        let Some(task) = self.tasks.get(arn) else {
            return;
        };
        if self.agent_connected(&task.instance_id) {
            let range = self.settings.agent_delay.clone();
            self.within(&range, Due::Task(arn.to_owned(), TaskStep::Reported));
        }
    }

    /// The agent's report of the end arrives at ECS.
    pub(super) fn reported(&mut self, arn: &str) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        let Process::Ended(code) = task.process else {
            return;
        };
        let connected = self
            .instances
            .get(&task.instance_id)
            .is_some_and(|i| i.agent_connected);
        if !connected || matches!(task.last_status, "STOPPED" | "DEPROVISIONING") {
            return;
        }
        let ran = task.times.started.is_some();
        let main = task.revision.definition.main_container();
        for (index, container) in task.containers.iter_mut().enumerate() {
            container.last_status = "STOPPED";
            if ran {
                container.exit_code = if index == main {
                    code
                } else {
                    Some(task.behaviour.sidecar_code)
                };
            }
        }
        if task.stop_code.is_none() {
            task.stop_code = Some("EssentialContainerExited");
            task.stopped_reason = Some("Essential container in task exited".to_owned());
        }
        task.desired_status = "STOPPED";
        task.times.stopping.get_or_insert(now);
        task.times.execution_stopped = Some(now);
        if task.awsvpc() {
            task.last_status = "DEPROVISIONING";
            self.task_changed(arn);
            let range = self.settings.deprovisioning.clone();
            self.within(&range, Due::Task(arn.to_owned(), TaskStep::Deprovisioned));
        } else {
            self.stopped(arn);
        }
    }

    pub(super) fn not_started(&mut self, arn: &str, code: &'static str, reason: &str) {
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        task.process = Process::Ended(None);
        task.stop_code = Some(code);
        task.stopped_reason = Some(reason.to_owned());
        let main = task.revision.definition.main_container();
        task.containers[main].reason = Some(reason.to_owned());
        self.reported(arn);
    }

    /// ECS gives the task up without its agent: STOPPED at once, no exit codes.
    pub fn lose(&mut self, arn: &str, reason: &str) {
        let now = self.clock.now();
        if let Some(task) = self.tasks.get_mut(arn) {
            task.process = Process::Ended(None);
            task.desired_status = "STOPPED";
            task.stopped_reason.get_or_insert(reason.to_owned());
            task.times.stopping.get_or_insert(now);
            for container in &mut task.containers {
                container.last_status = "STOPPED";
            }
            self.stopped(arn);
        }
    }

    pub(super) fn stopped(&mut self, arn: &str) {
        let now = self.clock.now();
        let Some(task) = self.tasks.get_mut(arn) else {
            return;
        };
        task.last_status = "STOPPED";
        task.times.stopped = Some(now);
        let id = task.instance_id.clone();
        let revision = task.revision.clone();
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.tasks.remove(arn);
            for container in &revision.definition.containers {
                instance.cpu_free += container.cpu;
                instance.memory_free += container.memory;
            }
            for (_, holder) in &mut instance.gpus {
                if holder.as_deref() == Some(arn) {
                    *holder = None;
                }
            }
        }
        self.task_changed(arn);
        self.instance_changed(&id);
        let keep = self.settings.keep_stopped;
        self.after(keep, Due::Task(arn.to_owned(), TaskStep::Forget));
        if let Some(watchers) = self.stop_watchers.remove(arn)
            && let Some(task) = self.tasks.get(arn)
        {
            let json = render::task(task, &self.cluster_arn(), render::sfn_time);
            for watcher in watchers {
                self.out.push(Emission::Stopped(watcher, json.clone()));
            }
        }
        self.keep_daemons(&id);
    }
}
