//! ECS: a cluster of GPU instances and the tasks on them, in virtual time.
//!
//! What happens by itself is decided by the scenario: [`Behaviour`] of a job's tasks, [`GpuHealth`] and
//! [`RebootOutcome`] of an instance, [`EcsSettings`] for how long things take.

mod api;
mod attribute_api;
mod behaviour;
mod cluster_api;
mod ending;
mod expression;
mod host;
mod instance_api;
mod launch;
mod lifecycle;
mod model;
mod render;
mod run_task_sync;
mod state;
mod task_api;
#[cfg(test)]
mod tests;
mod view;
mod words;

pub use behaviour::{
    Behaviour, BehaviourOf, EcsSettings, Flaps, GpuHealth, Host, OnSigterm, RebootOutcome, Run,
    SsmAgent, TaskFacts,
};
pub use model::{Container, TaskDefinition, TaskKind};
pub use run_task_sync::run_task_sync;
pub use view::{InstanceView, NewInstance};

use crate::{
    clock::Clock,
    dice::Dice,
    eventbridge::Bus,
    wire::{ApiError, Handler},
};
use model::{Instance, Power, Process};
use serde_json::Value;
use state::{Due, Emission, HostStep, State};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::sleep_until,
};
use view::view;

/// ECS, with one cluster. Clones are the same one.
#[derive(Clone)]
pub struct Ecs(Arc<Inner>);

type OnSsmOnline = Arc<dyn Fn(&str) + Send + Sync>;
type OnReboot = Arc<dyn Fn(&str, &str) + Send + Sync>;

struct Inner {
    bus: Bus,
    state: Mutex<State>,
    on_ssm_online: Mutex<Vec<OnSsmOnline>>,
    on_reboot: Mutex<Vec<OnReboot>>,
    wake: Arc<Notify>,
}

/// Lets the timers' task end with the fleet.
impl Drop for Inner {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Ecs {
    /// An empty cluster. To be called within a tokio runtime: one task there runs all its timers.
    pub fn new(clock: Clock, seed: u64, bus: Bus, settings: EcsSettings) -> Self {
        let state = State {
            settings,
            clock,
            dice: Dice::new(seed, "ecs"),
            behaviour_of: Arc::new(|_| Behaviour::default()),
            instances: BTreeMap::new(),
            instance_ids: BTreeMap::new(),
            families: BTreeMap::new(),
            capacity_providers: Vec::new(),
            tasks: BTreeMap::new(),
            gang_watchers: BTreeMap::new(),
            tokens: BTreeMap::new(),
            stop_watchers: BTreeMap::new(),
            timers: BTreeMap::new(),
            timers_made: 0,
            out: Vec::new(),
        };
        let wake = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            bus,
            state: Mutex::new(state),
            on_ssm_online: Mutex::default(),
            on_reboot: Mutex::default(),
            wake: wake.clone(),
        });
        tokio::spawn(run_timers(Arc::downgrade(&inner), wake));
        Self(inner)
    }

    /// Works on the state; then, unlocked, sends what came of it and wakes the timers if they are due earlier now.
    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let (result, out, earlier) = {
            let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
            let first = |state: &State| state.timers.keys().next().copied();
            let before = first(&state);
            let result = work(&mut state);
            let earlier = first(&state) != before;
            (result, std::mem::take(&mut state.out), earlier)
        };
        if earlier {
            self.0.wake.notify_one();
        }
        for emission in out {
            match emission {
                Emission::Event {
                    detail_type,
                    resource,
                    detail,
                } => self.0.bus.put("aws.ecs", detail_type, &[&resource], detail),
                // Nobody waits any more: fine.
                Emission::Stopped(watcher, task) => drop(watcher.send(task)),
                Emission::SsmOnline(id) => {
                    let hooks = self.0.on_ssm_online.lock();
                    let hooks = hooks.unwrap_or_else(PoisonError::into_inner).clone();
                    hooks.iter().for_each(|hook| hook(&id));
                }
                Emission::Rebooting { id, order } => {
                    let hooks = self.0.on_reboot.lock();
                    let hooks = hooks.unwrap_or_else(PoisonError::into_inner).clone();
                    hooks.iter().for_each(|hook| hook(&id, &order));
                }
            }
        }
        result
    }

    /// Decides what job tasks do, when their containers start. The closure must not call the fleet.
    pub fn on_job_task(&self, behaviour: impl Fn(&TaskFacts) -> Behaviour + Send + Sync + 'static) {
        self.with(|state| state.behaviour_of = Arc::new(behaviour));
    }

    /// Gives the cluster these capacity providers, as DescribeCapacityProviders shows them. They do nothing here.
    pub fn set_capacity_providers(&self, providers: Vec<Value>) {
        self.with(|state| state.capacity_providers = providers);
    }

    /// Registers a task definition; the answer is its ARN.
    pub fn define(&self, definition: TaskDefinition) -> String {
        self.with(|state| state.define(definition))
    }

    /// Adds an instance: ACTIVE, agents connected, booted a day ago. The answer is its container instance ARN.
    pub fn add_instance(&self, new: NewInstance) -> String {
        self.with(|state| {
            let id = new.id;
            let arn = state.instance_arn(&state.dice.hex(32));
            let gpus: Vec<(String, Option<String>)> = (0..new.gpus)
                .map(|_| (format!("GPU-{}", state.dice.uuid()), None))
                .collect();
            let host = Host {
                gpus: gpus.iter().map(|(id, _)| id.clone()).collect(),
                ..Host::default()
            };
            let instance = Instance {
                id: id.clone(),
                arn: arn.clone(),
                instance_type: new.instance_type,
                zone: new.zone,
                attributes: BTreeMap::new(),
                status: "ACTIVE",
                agent_connected: true,
                registered_at: state.clock.now(),
                version: 0,
                cpu: new.cpu,
                cpu_free: new.cpu,
                memory: new.memory,
                memory_free: new.memory,
                gpus,
                tasks: BTreeSet::new(),
                starts: BTreeMap::new(),
                daemons: Vec::new(),
                gpu_health: GpuHealth::default(),
                reboot_outcome: RebootOutcome::default(),
                host,
                power: Power::Up,
                boot_id: state.dice.uuid(),
                booted_at: state.clock.now() - Duration::from_secs(24 * 3600),
                reboots: 0,
                ssm: SsmAgent::default(),
                ssm_up: true,
                agent_plan: 0,
            };
            state.instance_ids.insert(arn.clone(), id.clone());
            state.instances.insert(id.clone(), instance);
            state.instance_changed(&id);
            if let Some(flaps) = state.settings.flaps.clone() {
                state.within(&flaps.every, Due::Host(id, HostStep::Flap));
            }
            arn
        })
    }

    /// Deregisters an instance by force: INACTIVE, its tasks stopped, the agent gone.
    pub fn deregister(&self, instance_id: &str) {
        self.with(|state| {
            let Some(instance) = state.instances.get_mut(instance_id) else {
                return;
            };
            instance.status = "INACTIVE";
            let tasks: Vec<String> = instance.tasks.iter().cloned().collect();
            for arn in tasks {
                state.lose(&arn, "The Container Instance was deregistered.");
            }
            state.agent_down(instance_id);
        });
    }

    /// Adds an attribute to an instance, as PutAttributes does.
    pub fn set_attribute(&self, instance_id: &str, name: &str, value: &str) {
        self.change(instance_id, |instance| {
            let value = Some(value.to_owned());
            instance.attributes.insert(name.to_owned(), value);
        });
    }

    /// Runs one task of the daemon on this instance from now on.
    pub fn add_daemon(&self, instance_id: &str, family: &str) {
        self.change(instance_id, |instance| {
            instance.daemons.push(family.to_owned())
        });
        self.with(|state| state.keep_daemons(instance_id));
    }

    fn change(&self, instance_id: &str, change: impl FnOnce(&mut Instance)) {
        self.with(|state| {
            if let Some(instance) = state.instances.get_mut(instance_id) {
                change(instance);
            }
        });
    }

    /// From now on DCGM sees this.
    pub fn set_gpu_health(&self, instance_id: &str, health: GpuHealth) {
        self.change(instance_id, |instance| instance.gpu_health = health);
    }

    /// Changes what the probe finds on the node.
    pub fn change_host(&self, instance_id: &str, change: impl FnOnce(&mut Host)) {
        self.change(instance_id, |instance| change(&mut instance.host));
    }

    /// What becomes of the host's next reboots.
    pub fn set_reboot_outcome(&self, instance_id: &str, outcome: RebootOutcome) {
        self.change(instance_id, |instance| instance.reboot_outcome = outcome);
    }

    /// What Systems Manager knows of the node; an agent that starts to run says hello at once.
    pub fn set_ssm_agent(&self, instance_id: &str, agent: SsmAgent) {
        self.with(|state| {
            let Some(instance) = state.instances.get_mut(instance_id) else {
                return;
            };
            instance.ssm = agent;
            instance.ssm_up = false;
            state.after(
                Duration::ZERO,
                Due::Host(instance_id.to_owned(), HostStep::SsmUp),
            );
        });
    }

    /// The ECS agent loses its connection; for good, or until [`connect_agent`](Self::connect_agent), without a time.
    pub fn disconnect_agent(&self, instance_id: &str, back_after: Option<Duration>) {
        self.with(|state| {
            state.agent_down(instance_id);
            if let Some(after) = back_after {
                state.plan_agent(instance_id, after);
            }
        });
    }

    /// The ECS agent connects, if its host is up.
    pub fn connect_agent(&self, instance_id: &str) {
        self.with(|state| state.plan_agent(instance_id, Duration::ZERO));
    }

    /// The host reboots in order, as by `reboot` in its shell; `order` says by whose word.
    pub fn reboot(&self, instance_id: &str, order: &str) {
        self.with(|state| state.reboot(instance_id, order));
    }

    /// EC2's RebootInstances: in order, or hard when the shutdown hangs.
    pub fn ec2_reboot(&self, instance_id: &str) {
        self.with(|state| state.ec2_reboot(instance_id));
    }

    /// Called with the instance id whenever a node's SSM agent says hello.
    pub fn on_ssm_online(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        let hooks = self.0.on_ssm_online.lock();
        hooks
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(hook));
    }

    /// Called with the instance id and the order whenever a host begins to reboot; EC2's order is `ec2`.
    pub fn on_reboot(&self, hook: impl Fn(&str, &str) + Send + Sync + 'static) {
        let hooks = self.0.on_reboot.lock();
        hooks
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::new(hook));
    }

    /// Nobody is called any more.
    pub(crate) fn forget_hooks(&self) {
        let online = std::mem::take(
            &mut *self
                .0
                .on_ssm_online
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let reboot = std::mem::take(
            &mut *self
                .0
                .on_reboot
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        drop((online, reboot));
    }

    /// An instance as it is now.
    pub fn instance(&self, instance_id: &str) -> Option<InstanceView> {
        self.with(|state| state.instances.get(instance_id).map(|i| view(state, i)))
    }

    /// All instances, by id.
    pub fn instances(&self) -> Vec<InstanceView> {
        self.with(|state| state.instances.values().map(|i| view(state, i)).collect())
    }

    /// The tasks that ECS still describes, as DescribeTasks with tags shows them, by ARN.
    pub fn tasks(&self) -> Vec<Value> {
        self.with(|state| {
            let cluster = state.cluster_arn();
            let all = state.tasks.values();
            all.map(|task| render::with_tags(task, &cluster, render::api_time))
                .collect()
        })
    }

    /// A task as DescribeTasks shows it.
    pub fn task(&self, arn: &str) -> Option<Value> {
        self.with(|state| {
            let cluster = state.cluster_arn();
            let task = state.tasks.get(arn)?;
            Some(render::with_tags(task, &cluster, render::api_time))
        })
    }

    /// When the last of what is scheduled in tasks and on hosts happens.
    pub fn scheduled_until(&self) -> Option<tokio::time::Instant> {
        self.with(|state| state.scheduled_until())
    }

    /// Somebody stops a task; as StopTask, but from outside the wire.
    pub fn stop(&self, arn: &str, reason: &str) {
        self.with(|state| state.stop(arn, "UserInitiated", reason));
    }

    /// From now on the task's main container answers SIGTERM like this.
    pub fn set_on_sigterm(&self, arn: &str, on_sigterm: OnSigterm) {
        self.with(|state| {
            if let Some(task) = state.tasks.get_mut(arn) {
                task.behaviour.on_sigterm = on_sigterm;
            }
        });
    }

    /// Kills a running task's processes on the host: the main container ends with this code.
    pub fn kill_process(&self, arn: &str, code: Option<i32>) {
        self.with(|state| {
            let running = state
                .tasks
                .get(arn)
                .is_some_and(|t| matches!(t.process, Process::Running(_)));
            if running {
                state.process_ended(arn, code);
            }
        });
    }

    /// Resolves with the task, times in milliseconds, when it is STOPPED; `None` when ECS does not know it.
    pub fn stopped(&self, arn: &str) -> impl Future<Output = Option<Value>> + Send + 'static {
        let (sender, receiver) = oneshot::channel();
        self.with(|state| {
            let cluster = state.cluster_arn();
            match state.tasks.get(arn) {
                None => {}
                Some(task) if task.is_stopped() => {
                    let json = render::task(task, &cluster, render::sfn_time);
                    state.out.push(Emission::Stopped(sender, json));
                }
                Some(_) => {
                    let watchers = state.stop_watchers.entry(arn.to_owned());
                    watchers.or_default().push(sender);
                }
            }
        });
        async move { receiver.await.ok() }
    }

    /// The cluster's ARN.
    pub fn cluster_arn(&self) -> String {
        self.with(|state| state.cluster_arn())
    }

    /// The operation as on the wire, without latency and throttling.
    ///
    /// # Errors
    /// ECS's own.
    pub fn api(&self, operation: &str, body: &Value) -> Result<Value, ApiError> {
        self.with(|state| state.api(operation, body))
    }

    /// For [`Wire::register`](crate::wire::Wire::register).
    pub fn handler(&self) -> Handler {
        let fleet = self.clone();
        Arc::new(move |operation, body| {
            let answer = fleet.api(operation, &body);
            Box::pin(async move { answer })
        })
    }
}

/// One task runs everything that is due, and sleeps until the next is.
async fn run_timers(fleet: Weak<Inner>, wake: Arc<Notify>) {
    loop {
        let next = {
            let Some(inner) = fleet.upgrade() else {
                return;
            };
            let fleet = Ecs(inner);
            fleet.with(|state| {
                state.run_due();
                state.timers.keys().next().map(|(at, _)| *at)
            })
        };
        match next {
            None => wake.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = wake.notified() => {}
                () = sleep_until(at) => {}
            },
        }
    }
}
