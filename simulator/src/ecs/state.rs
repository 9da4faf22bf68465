//! The fleet's state, its timers, and how a change becomes an event.

use super::{
    behaviour::{BehaviourOf, EcsSettings},
    model::{Instance, Process, Revision, Task},
    render,
};
use crate::{ACCOUNT, REGION, clock::Clock, dice::Dice};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// What is to happen later. Each is checked against the state when it is due, so that nothing has to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Due {
    Task(String, TaskStep),
    Host(String, HostStep),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TaskStep {
    Provisioned,
    Start,
    Run,
    End,
    StopOrder,
    Reported,
    Deprovisioned,
    Forget,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostStep {
    Halted,
    HardReboot,
    Booted,
    SsmUp,
    /// The planned connection of the agent with this number.
    AgentUp(u64),
    Flap,
}

/// What leaves the state when the lock is released.
pub(super) enum Emission {
    Event {
        detail_type: &'static str,
        resource: String,
        detail: Value,
    },
    Stopped(oneshot::Sender<Value>, Value),
    SsmOnline(String),
    /// The host begins to reboot, by this order.
    Rebooting {
        id: String,
        order: String,
    },
}

/// A RunTask that had a client token, and its answer.
pub(super) struct Token {
    pub request: Value,
    pub tasks: Vec<String>,
    pub failures: Vec<Value>,
    pub made: Instant,
}

pub(super) struct State {
    pub settings: EcsSettings,
    pub clock: Clock,
    pub dice: Dice,
    pub behaviour_of: BehaviourOf,
    pub instances: BTreeMap<String, Instance>,
    /// Container instance ARN to instance id.
    pub instance_ids: BTreeMap<String, String>,
    pub families: BTreeMap<String, Vec<Arc<Revision>>>,
    /// As DescribeCapacityProviders shows them.
    pub capacity_providers: Vec<Value>,
    pub tasks: BTreeMap<String, Task>,
    /// The tasks that abort when one of their gang dies.
    pub gang_watchers: BTreeMap<String, BTreeSet<String>>,
    pub tokens: BTreeMap<String, Token>,
    pub stop_watchers: BTreeMap<String, Vec<oneshot::Sender<Value>>>,
    pub timers: BTreeMap<(Instant, u64), Due>,
    pub timers_made: u64,
    pub out: Vec<Emission>,
}

impl State {
    pub fn cluster_arn(&self) -> String {
        format!(
            "arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}",
            self.settings.cluster
        )
    }

    /// Lets something happen after this time; the answer is when.
    pub fn after(&mut self, delay: Duration, due: Due) -> Instant {
        let at = Instant::now() + delay;
        self.timers.insert((at, self.timers_made), due);
        self.timers_made += 1;
        at
    }

    /// The same, after a time of the range.
    pub fn within(&mut self, range: &Range<Duration>, due: Due) -> Instant {
        let delay = self.dice.within(range);
        self.after(delay, due)
    }

    /// Does everything that is due, in the order of its times.
    pub fn run_due(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now
        {
            let at = entry.key().0;
            match entry.remove() {
                Due::Task(arn, step) => self.task_step(&arn, step, at),
                Due::Host(id, step) => self.host_step(&id, step),
            }
        }
    }

    /// When the last of what is scheduled happens: tasks that end by themselves, hosts that boot, agents that come back.
    /// Agents that flap come back for ever and do not count.
    pub fn scheduled_until(&self) -> Option<Instant> {
        let happens = |at: Instant, due: &Due| match due {
            Due::Task(_, TaskStep::Forget) => false,
            Due::Task(arn, TaskStep::End) => self.tasks.get(arn).is_some_and(
                |task| matches!(task.process, Process::Running(Some((end, _))) if end == at),
            ),
            Due::Task(..) => true,
            Due::Host(..) => self.settings.flaps.is_none(),
        };
        let mut timers = self.timers.iter().rev();
        let last = timers.find(|((at, _), due)| happens(*at, due));
        last.map(|((at, _), _)| *at)
    }

    /// The task changed: a new version and an event.
    pub fn task_changed(&mut self, arn: &str) {
        let cluster = self.cluster_arn();
        let now = self.clock.now();
        if let Some(task) = self.tasks.get_mut(arn) {
            task.version += 1;
            self.out.push(Emission::Event {
                detail_type: "ECS Task State Change",
                resource: task.arn.clone(),
                detail: render::task_event(task, &cluster, now),
            });
        }
    }

    /// The container instance changed: a new version and an event.
    pub fn instance_changed(&mut self, id: &str) {
        let cluster = self.cluster_arn();
        let now = self.clock.now();
        if let Some(instance) = self.instances.get_mut(id) {
            instance.version += 1;
            self.out.push(Emission::Event {
                detail_type: "ECS Container Instance State Change",
                resource: instance.arn.clone(),
                detail: render::instance_event(instance, &cluster, now),
            });
        }
    }

    /// True when the agent on the task's instance is connected.
    pub fn agent_connected(&self, instance_id: &str) -> bool {
        self.instances
            .get(instance_id)
            .is_some_and(|i| i.agent_connected)
    }
}
