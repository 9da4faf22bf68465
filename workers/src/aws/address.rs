//! Where rank 0 is reached: looked up at every launch, because it may have moved.

use crate::{
    WorkerError,
    aws::fleet::{Fleet, end_of},
    aws::marks::attribute,
    ids::{InstanceId, TaskArn},
    records::launch::LaunchSpec,
};
use aws_sdk_ecs::types::Task;
use std::{ops::RangeInclusive, time::Duration};
use tokio::time::{Instant, sleep};

/// The attribute that says at which address tasks on other instances reach one on this.
pub const ADDRESS: &str = "gpu-recovery.address";

/// What rank 0 itself is told where its address is known only when it has started.
pub const ITSELF: &str = "localhost";

/// A network interface is attached within so long, or rank 0 has not started: ECS may take half of it to show the task.
const INTERFACE_WITHIN: Duration = Duration::from_secs(600);
/// Looks again after a tenth of the time that it has waited.
const POLL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(10);

/// How the ranks of a launch are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Master {
    /// None asks.
    Unasked,
    /// Its instance's address.
    At(String),
    /// Its task has a network interface of its own (awsvpc): it is started first.
    OfItsTask,
}

impl Master {
    /// For ranks that are about to start, rank 0 on `first`. `None` where they ask, and nothing says the address.
    ///
    /// # Errors
    /// When ECS cannot be asked.
    pub async fn find(
        fleet: &Fleet,
        first: &InstanceId,
        launches: &[&LaunchSpec],
    ) -> Result<Option<Self>, WorkerError> {
        if !launches.iter().any(|launch| launch.names_master()) {
            return Ok(Some(Self::Unasked));
        }
        if launches[0].network.is_some() {
            return Ok(Some(Self::OfItsTask));
        }
        Ok(fleet.address_of(first).await?.map(Self::At))
    }

    /// What the other ranks are told; `first` is rank 0's task, once it has started.
    ///
    /// # Errors
    /// As [`Fleet::address_of_task`]'s.
    pub async fn address(
        self,
        fleet: &Fleet,
        first: Option<&TaskArn>,
    ) -> Result<Option<String>, WorkerError> {
        match (self, first) {
            (Self::At(address), _) => Ok(Some(address)),
            (Self::OfItsTask, Some(first)) => fleet.address_of_task(first).await.map(Some),
            (Self::OfItsTask, None) | (Self::Unasked, _) => Ok(None),
        }
    }

    /// How many ranks start before the others: rank 0, or none.
    pub fn ahead(&self) -> usize {
        usize::from(*self == Self::OfItsTask)
    }
}

impl Fleet {
    /// The address of an instance, as its attribute says.
    pub async fn address_of(&self, instance: &InstanceId) -> Result<Option<String>, WorkerError> {
        let found = self.find(instance).await?;
        Ok(found.and_then(|found| attribute(&found, ADDRESS).map(str::to_owned)))
    }

    /// The address of a task's own network interface, as soon as it has one.
    ///
    /// # Errors
    /// [`WorkerError::NotStarted`] when the task has ended, or has none in time.
    pub async fn address_of_task(&self, task: &TaskArn) -> Result<String, WorkerError> {
        let since = Instant::now();
        loop {
            let mut tasks = self.tasks(std::slice::from_ref(task)).await?;
            let found = tasks.remove(task);
            if let Some(address) = found.as_ref().and_then(interface) {
                return Ok(address);
            }
            let ended = found.filter(|task| task.last_status() == Some("STOPPED"));
            if let Some(ended) = ended {
                let why = end_of(&ended).stopped_reason.unwrap_or_default();
                return Err(WorkerError::NotStarted(format!("rank 0 ended: {why}")));
            }
            if since.elapsed() >= INTERFACE_WITHIN {
                return Err(WorkerError::NotStarted(format!(
                    "rank 0's task {task} has no network interface after {} min",
                    INTERFACE_WITHIN.as_secs() / 60
                )));
            }
            sleep((since.elapsed() / 10).clamp(*POLL.start(), *POLL.end())).await;
        }
    }
}

/// "For elastic network interfaces, this includes the network interface ID, the MAC address, the subnet ID, and the private
/// IPv4 address." (API_Attachment, details)
fn interface(task: &Task) -> Option<String> {
    let attachments = task.attachments().iter();
    let mut details = attachments.flat_map(|attachment| attachment.details());
    let address = details.find(|detail| detail.name() == Some("privateIPv4Address"))?;
    address.value().map(str::to_owned)
}
