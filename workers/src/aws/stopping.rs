//! Stopping tasks until they ARE stopped, whatever ECS forgets, throttles or shows late.

use crate::{
    WorkerError,
    aws::fleet::{Fleet, Stop, end_of},
    decisions::exit::TaskEnd,
    ids::TaskArn,
};
use aws_sdk_ecs::types::Task;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Tasks on their way to STOPPED.
pub(crate) struct Stopping<'a> {
    fleet: &'a Fleet,
    /// The stop reason that ECS keeps.
    why: &'static str,
    left: BTreeSet<TaskArn>,
    /// Those that were told to stop in this call.
    told: BTreeSet<TaskArn>,
}

/// A task that does not run any more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Ended {
    /// STOPPED, as ECS describes it.
    Stopped(Box<Task>),
    /// ECS does not know it any more: it stopped more than an hour ago.
    Gone(TaskArn),
}

impl Ended {
    /// Which task.
    pub fn task(&self) -> TaskArn {
        match self {
            Self::Stopped(task) => TaskArn::new(task.task_arn().unwrap_or_default()),
            Self::Gone(task) => task.clone(),
        }
    }

    /// How it ended, if ECS still tells.
    pub fn task_end(&self) -> Option<TaskEnd> {
        match self {
            Self::Stopped(task) => Some(end_of(task)),
            Self::Gone(_) => None,
        }
    }
}

/// What one look came to.
pub(crate) struct Look {
    /// What ended since the last look: to be written down before anything else.
    pub ended: Vec<Ended>,
    /// Why some could not be told to stop.
    pub trouble: Option<WorkerError>,
}

impl<'a> Stopping<'a> {
    pub fn new(
        fleet: &'a Fleet,
        why: &'static str,
        tasks: impl IntoIterator<Item = TaskArn>,
    ) -> Self {
        Self {
            fleet,
            why,
            left: tasks.into_iter().collect(),
            told: BTreeSet::new(),
        }
    }

    /// Those that may still run.
    pub fn left(&self) -> &BTreeSet<TaskArn> {
        &self.left
    }

    /// Adds tasks that were found later. One that has ended already is looked at once more.
    pub fn add(&mut self, tasks: impl IntoIterator<Item = TaskArn>) {
        self.left.extend(tasks);
    }

    /// Looks at every task that may still run, and tells those to stop that nobody has told yet. No StopTask begins
    /// after `until`.
    pub async fn look(&mut self, until: Instant) -> Result<Look, WorkerError> {
        let left: Vec<TaskArn> = self.left.iter().cloned().collect();
        let mut tasks = self.fleet.tasks(&left).await?;
        let mut ended = Vec::new();
        let mut to_stop = Vec::new();
        for arn in left {
            match tasks.remove(&arn) {
                Some(task) if task.last_status() == Some("STOPPED") => {
                    self.left.remove(&arn);
                    ended.push(Ended::Stopped(Box::new(task)));
                }
                // A task that is stopping already keeps its reason: only a running one is ours to stop.
                Some(task) if task.desired_status() == Some("STOPPED") => {}
                // Not described: forgotten an hour after it stopped, or not visible yet. StopTask tells for certain.
                _ if !self.told.contains(&arn) => to_stop.push(arn),
                _ => {}
            }
        }
        let answers = self.fleet.stop_all(&to_stop, self.why, until).await;
        let mut troubles = Vec::new();
        for (arn, answer) in to_stop.into_iter().zip(answers) {
            match answer {
                Ok(Stop::Asked) => {
                    self.told.insert(arn);
                }
                Ok(Stop::Gone) => {
                    self.left.remove(&arn);
                    ended.push(Ended::Gone(arn));
                }
                Err(error) => troubles.push(error),
            }
        }
        let trouble = WorkerError::worst(troubles);
        Ok(Look { ended, trouble })
    }
}
