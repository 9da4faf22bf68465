//! Hosts and their agents: reboots, boots, connections.

use super::{
    behaviour::{GpuHealth, RebootOutcome, SsmAgent},
    model::{LaunchParameters, Power, Process},
    state::{Due, Emission, HostStep, State, TaskStep},
};
use std::time::Duration;

impl State {
    /// The host's own, orderly reboot. Without effect while it is not up.
    pub fn reboot(&mut self, id: &str, order: &str) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        if instance.power == Power::Up {
            instance.power = Power::ShuttingDown;
            self.out.push(Emission::Rebooting {
                id: id.to_owned(),
                order: order.to_owned(),
            });
            let range = self.settings.shutdown.clone();
            self.within(&range, Due::Host(id.to_owned(), HostStep::Halted));
        }
    }

    /// EC2's RebootInstances: asks the host, and resets it when that hangs.
    pub fn ec2_reboot(&mut self, id: &str) {
        self.reboot(id, "ec2");
        let after = self.settings.hard_reboot_after;
        self.after(after, Due::Host(id.to_owned(), HostStep::HardReboot));
    }

    /// One step of the host, if it is still the one to take.
    pub fn host_step(&mut self, id: &str, step: HostStep) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        match (step, instance.power) {
            (HostStep::Halted, Power::ShuttingDown) => self.halted(id),
            (HostStep::HardReboot, Power::Hung) => {
                instance.power = Power::Down;
                self.plan_boot(id);
            }
            (HostStep::Booted, Power::Down) => self.booted(id),
            (HostStep::SsmUp, Power::Up)
                if instance.ssm == SsmAgent::Running && !instance.ssm_up =>
            {
                instance.ssm_up = true;
                self.out.push(Emission::SsmOnline(id.to_owned()));
            }
            (HostStep::AgentUp(plan), Power::Up) if plan == instance.agent_plan => {
                self.agent_up(id);
            }
            (HostStep::Flap, _) => self.flap(id),
            _ => {}
        }
    }

    /// All processes are gone; only ECS does not know yet.
    fn halted(&mut self, id: &str) {
        self.agent_down(id);
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.ssm_up = false;
        let hangs = instance.reboot_outcome == RebootOutcome::HangsInShutdown;
        let returns = !hangs && instance.reboot_outcome != RebootOutcome::NeverReturns;
        instance.power = if hangs { Power::Hung } else { Power::Down };
        let tasks: Vec<String> = instance.tasks.iter().cloned().collect();
        let code = self.settings.reboot_exit_code;
        for arn in tasks {
            match self.tasks.get(&arn).map(|task| task.process) {
                Some(Process::Running(_)) => self.process_ended(&arn, code),
                Some(Process::Waiting(_)) => {
                    if let Some(task) = self.tasks.get_mut(&arn) {
                        task.process = Process::Waiting(None);
                    }
                }
                _ => {}
            }
        }
        if returns {
            self.plan_boot(id);
        }
    }

    fn plan_boot(&mut self, id: &str) {
        let after = match self.instances.get(id).map(|i| i.reboot_outcome) {
            Some(RebootOutcome::ReturnsAfter(after)) => after,
            _ => self.dice.within(&self.settings.boot),
        };
        self.after(after, Due::Host(id.to_owned(), HostStep::Booted));
    }

    fn booted(&mut self, id: &str) {
        let boot_id = self.dice.uuid();
        let now = self.clock.now();
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.power = Power::Up;
        instance.boot_id = boot_id;
        instance.booted_at = now;
        instance.reboots += 1;
        if instance.gpu_health == GpuHealth::FaultUntilReboot {
            instance.gpu_health = GpuHealth::Healthy;
        }
        instance.host.rebooted();
        let outcome = instance.reboot_outcome;
        if outcome != RebootOutcome::SsmAgentStaysAway {
            let range = self.settings.ssm_start.clone();
            self.within(&range, Due::Host(id.to_owned(), HostStep::SsmUp));
        }
        if outcome != RebootOutcome::EcsAgentStaysAway {
            let delay = self.dice.within(&self.settings.agent_start);
            self.plan_agent(id, delay);
        }
    }

    /// Lets the agent connect after this time, unless it is planned anew before.
    pub fn plan_agent(&mut self, id: &str, delay: Duration) {
        if let Some(instance) = self.instances.get_mut(id) {
            instance.agent_plan += 1;
            let step = HostStep::AgentUp(instance.agent_plan);
            self.after(delay, Due::Host(id.to_owned(), step));
        }
    }

    /// The agent's connection is gone, until it is planned again.
    pub fn agent_down(&mut self, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.agent_plan += 1;
        if instance.agent_connected {
            instance.agent_connected = false;
            self.instance_changed(id);
        }
    }

    /// The agent connects: it takes the orders that wait for it and reports what has ended.
    fn agent_up(&mut self, id: &str) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        if instance.agent_connected {
            return;
        }
        instance.agent_connected = true;
        let tasks: Vec<String> = instance.tasks.iter().cloned().collect();
        self.instance_changed(id);
        for arn in tasks {
            let Some(task) = self.tasks.get(&arn) else {
                continue;
            };
            let waits_for_start =
                matches!(task.process, Process::Waiting(_)) && task.last_status == "PENDING";
            let (ended, to_stop) = (
                matches!(task.process, Process::Ended(_)),
                task.desired_status == "STOPPED",
            );
            let range = self.settings.agent_delay.clone();
            if ended {
                self.plan_report(&arn);
            } else if to_stop {
                self.within(&range, Due::Task(arn, TaskStep::StopOrder));
            } else if waits_for_start {
                let at = self.within(&range, Due::Task(arn.clone(), TaskStep::Start));
                if let Some(task) = self.tasks.get_mut(&arn) {
                    task.process = Process::Waiting(Some(at));
                }
            }
        }
        self.keep_daemons(id);
    }

    /// Agents come and go in normal life.
    fn flap(&mut self, id: &str) {
        let Some(flaps) = self.settings.flaps.clone() else {
            return;
        };
        let connected = self
            .instances
            .get(id)
            .is_some_and(|i| i.agent_connected && i.power == Power::Up);
        if connected {
            self.agent_down(id);
            let away = self.dice.within(&flaps.away);
            self.plan_agent(id, away);
        }
        self.within(&flaps.every, Due::Host(id.to_owned(), HostStep::Flap));
    }

    /// The daemon scheduler: one task of each daemon on every ACTIVE instance whose agent is there.
    pub fn keep_daemons(&mut self, id: &str) {
        let Some(instance) = self.instances.get(id) else {
            return;
        };
        if instance.status != "ACTIVE" || !instance.agent_connected {
            return;
        }
        let missing: Vec<String> = instance
            .daemons
            .iter()
            .filter(|family| {
                !instance.tasks.iter().any(|arn| {
                    self.tasks
                        .get(arn)
                        .is_some_and(|t| t.revision.definition.family == **family)
                })
            })
            .cloned()
            .collect();
        for family in missing {
            let Some(revision) = self.families.get(&family).and_then(|r| r.last()).cloned() else {
                continue;
            };
            let launch = LaunchParameters {
                started_by: Some(format!("ecs-svc/{}", self.dice.hex(19))),
                group: Some(format!("service:{family}")),
                ..LaunchParameters::default()
            };
            self.place(id, &revision, &launch);
        }
    }
}
