//! What is wrong with a scenario beside its form.

use super::spec::{Action, RankSpec, Scenario, Throttle};
use crate::{ecs::GpuHealth, stepfunctions::nearest, throttle};

/// The largest job that is promised (design, promise 7).
const MAX_NODES: u32 = 1024;

/// What the operators are told of: the attribute `event` of a message.
const EVENTS: [&str; 7] = [
    "JobRecovered",
    "JobFailed",
    "JobStopped",
    "Told",
    "InstanceChecked",
    "InstanceQuarantined",
    "ExecutionEndedBadly",
];

impl Scenario {
    /// The nodes that it names, and in which field; a rank is on the node of its number.
    pub(super) fn named(&self) -> Vec<(&'static str, u32)> {
        let mut named: Vec<(&str, u32)> = Vec::new();
        named.extend(self.ranks.keys().map(|n| ("ranks", *n)));
        named.extend(self.instances.keys().map(|n| ("instances", *n)));
        named.extend(self.expect.reboots.keys().map(|n| ("expect.reboots", *n)));
        named.extend(
            self.expect
                .quarantined
                .iter()
                .map(|n| ("expect.quarantined", *n)),
        );
        for (rank, node) in &self.expect.places {
            named.extend([("ranks", *rank), ("expect.places", *node)]);
        }
        let marked = self.expect.spares.iter().flatten();
        named.extend(marked.map(|n| ("expect.spares", *n)));
        for action in &mut self.actions.clone() {
            named.extend(action.named().map(|(field, node)| (field, *node)));
        }
        named
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !(1..=MAX_NODES).contains(&self.nodes) {
            return Err(format!("nodes is {}; give 1 to {MAX_NODES}", self.nodes));
        }
        for (i, action) in self.actions.iter().enumerate() {
            let kinds = action.does().count();
            if kinds != 1 {
                return Err(format!(
                    "actions[{i}] must do one thing; it does {kinds}: give one of stopTask, repeatStopEvents, cordon, \
                     quarantine, check, breakGpu, occupy, disconnectAgent, abortExecution, redriveExecution"
                ));
            }
        }
        for (field, node) in self.named() {
            let there = match field {
                "ranks" | "actions.stopTask" => self.nodes,
                _ => self.nodes + self.spares,
            };
            if node >= there {
                let spares = match self.spares {
                    0 => String::new(),
                    spares => format!(" and {spares} spares"),
                };
                return Err(format!(
                    "{field} names {node}, but in a job of {}{spares} the last is {}; give at least {} nodes",
                    self.nodes,
                    there - 1,
                    node + 1
                ));
            }
        }
        let ranks = self.ranks.iter().map(|(n, r)| (format!("ranks.{n}"), r));
        for (field, rank) in ranks.chain([("others".to_owned(), &self.others)]) {
            rank.check(&field)?;
            rank.check_later(&field)?;
        }
        for (node, instance) in &self.instances {
            if instance.kernel.iter().any(|line| line.xid == 154) {
                return Err(format!(
                    "instances.{node}.kernel names Xid 154, which tells the driver's action; give driverAction"
                ));
            }
            if let Some(action) = instance.driver_action.filter(|action| *action > 9) {
                return Err(format!(
                    "instances.{node}.driverAction is {action}; give NVML's number, 0 to 9"
                ));
            }
            if let GpuHealth::DcgmCrashes(code) = instance.gpu {
                exit_code(&format!("instances.{node}.gpu.dcgm-exits"), code)?;
            }
        }
        for (field, chance) in [
            ("delivery.duplicates", self.delivery.duplicates),
            ("delivery.lost", self.delivery.lost),
            ("delivery.late", self.delivery.late),
        ] {
            if !(0.0..=1.0).contains(&chance) {
                return Err(format!("{field} is {chance}; give a chance from 0 to 1"));
            }
        }
        for (i, throttle) in self.throttle.iter().enumerate() {
            throttle.check(i)?;
        }
        for event in &self.expect.notifications {
            if !EVENTS.contains(&event.as_str()) {
                let hint = nearest::hint(event, EVENTS);
                return Err(format!(
                    "expect.notifications names {event}{hint}; the events are {}",
                    EVENTS.join(", ")
                ));
            }
        }
        Ok(())
    }
}

/// A process ends with a byte (wait(2)).
fn exit_code(field: &str, code: i32) -> Result<(), String> {
    match u8::try_from(code) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!(
            "{field} is {code}; give an exit code from 0 to 255"
        )),
    }
}

impl RankSpec {
    fn check(&self, field: &str) -> Result<(), String> {
        if self.kinds() > 1 {
            return Err(format!(
                "{field} can end in one way only; give one of exits, abortsWithGang, endsWithoutCode, \
                 interrupted, outOfMemory, doesNotStart"
            ));
        }
        let ends = [
            ("exits", &self.exits),
            ("abortsWithGang", &self.aborts_with_gang),
            ("interrupted", &self.interrupted),
        ];
        for (how, end) in ends {
            if let Some(end) = end {
                exit_code(&format!("{field}.{how}.code"), end.code)?;
            }
        }
        Ok(())
    }

    fn check_later(&self, field: &str) -> Result<(), String> {
        if self.attempts.is_some() && !self.later.is_empty() {
            return Err(format!(
                "{field} has attempts and later; give one: later says what each launch does, attempts repeats the first"
            ));
        }
        for (i, later) in self.later.iter().enumerate() {
            let field = format!("{field}.later[{i}]");
            if later.attempts.is_some() || !later.later.is_empty() {
                return Err(format!(
                    "{field} is one launch; give attempts and later beside the rank's first"
                ));
            }
            later.check(&field)?;
        }
        Ok(())
    }

    fn kinds(&self) -> usize {
        usize::from(self.exits.is_some())
            + usize::from(self.aborts_with_gang.is_some())
            + usize::from(self.ends_without_code.is_some())
            + usize::from(self.interrupted.is_some())
            + usize::from(self.out_of_memory.is_some())
            + usize::from(self.does_not_start.is_some())
    }
}

impl Action {
    /// The node or rank that it names, and in which field.
    pub(super) fn named(&mut self) -> impl Iterator<Item = (&'static str, &mut u32)> {
        let (stop, cut) = (&mut self.stop_task, &mut self.disconnect_agent);
        let named = [
            ("actions.stopTask", stop.as_mut().map(|stop| &mut stop.rank)),
            ("actions.cordon", self.cordon.as_mut()),
            ("actions.quarantine", self.quarantine.as_mut()),
            ("actions.check", self.check.as_mut()),
            ("actions.breakGpu", self.break_gpu.as_mut()),
            ("actions.occupy", self.occupy.as_mut()),
            (
                "actions.disconnectAgent",
                cut.as_mut().map(|cut| &mut cut.node),
            ),
        ];
        let named = named.into_iter();
        named.filter_map(|(field, node)| Some((field, node?)))
    }

    /// What it does, by the fields' names.
    fn does(&self) -> impl Iterator<Item = &'static str> {
        let kinds = [
            ("stopTask", self.stop_task.is_some()),
            ("repeatStopEvents", self.repeat_stop_events),
            ("cordon", self.cordon.is_some()),
            ("quarantine", self.quarantine.is_some()),
            ("check", self.check.is_some()),
            ("breakGpu", self.break_gpu.is_some()),
            ("occupy", self.occupy.is_some()),
            ("disconnectAgent", self.disconnect_agent.is_some()),
            ("abortExecution", self.abort_execution),
            ("redriveExecution", self.redrive_execution),
        ];
        kinds
            .into_iter()
            .filter(|(_, does)| *does)
            .map(|(name, _)| name)
    }

    /// What it does, by its field's name.
    pub fn name(&self) -> &'static str {
        self.does().next().unwrap_or_default()
    }
}

impl Throttle {
    fn check(&self, i: usize) -> Result<(), String> {
        let Self {
            service, action, ..
        } = self;
        let known = |known: &(&str, &str)| known.0 == service && known.1 == action;
        if throttle::limited().any(|limited| known(&limited)) {
            return Ok(());
        }
        let actions = throttle::limited().map(|(_, action)| action);
        let hint = nearest::hint(action, actions);
        let all: Vec<String> = throttle::limited()
            .map(|(service, action)| format!("{service} {action}"))
            .collect();
        Err(format!(
            "throttle[{i}] names {service} {action}{hint}; give one of {}",
            all.join(", ")
        ))
    }
}
