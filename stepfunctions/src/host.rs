//! What the engine's user gives it: who does the tasks, the time, the seed, who hears of events.

use super::{StatusChange, TaskRunner};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// 2026-01-01T00:00:00Z.
const DEFAULT_START: Duration = Duration::from_secs(1_767_225_600);

type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;
type Events = Arc<dyn Fn(StatusChange) + Send + Sync>;

/// The world around a [`StepFunctions`](crate::StepFunctions): only the tasks have no default.
#[derive(Clone)]
pub struct Host {
    pub(crate) tasks: TaskRunner,
    pub(crate) clock: Clock,
    pub(crate) seed: u64,
    pub(crate) events: Events,
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Host {
    /// `tasks` does the work of all Task states. Time begins on 2026-01-01 and goes as tokio's does, the seed is 1, events
    /// go nowhere, and ARNs name account 123456789012 in us-east-1.
    pub fn new(tasks: TaskRunner) -> Self {
        let origin = Instant::now();
        Self {
            tasks,
            clock: Arc::new(move || UNIX_EPOCH + DEFAULT_START + origin.elapsed()),
            seed: 1,
            events: Arc::new(|_| {}),
            account: "123456789012".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    /// What time it is. It should go as tokio's clock does, by which the engine waits.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(now);
        self
    }

    /// One seed gives one history: ids, task tokens, jitter and `$random` come from it.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Who hears of each change of an execution's status, as EventBridge does.
    pub fn events(mut self, sink: impl Fn(StatusChange) + Send + Sync + 'static) -> Self {
        self.events = Arc::new(sink);
        self
    }

    /// Where the machines are: for their ARNs.
    pub fn place(mut self, account: &str, region: &str) -> Self {
        (self.account, self.region) = (account.to_owned(), region.to_owned());
        self
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.clock)()
    }

    /// `arn:aws:states:us-east-1:123456789012:stateMachine:name`
    pub(crate) fn arn(&self, kind: &str, name: &str) -> String {
        format!(
            "arn:aws:states:{}:{}:{kind}:{name}",
            self.region, self.account
        )
    }

    /// The role that every execution has.
    pub(crate) fn role_arn(&self) -> String {
        format!("arn:aws:iam::{}:role/StepFunctionsRole", self.account)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("seed", &self.seed)
            .field("account", &self.account)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
