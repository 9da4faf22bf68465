//! What every worker works with: the settings, one client per AWS service, and a clock.

use crate::{
    Settings,
    aws::{
        executions::Executions, fleet::Fleet, history::History, instances::Instances, jobs::Jobs,
        topic::Topic,
    },
};
use aws_smithy_async::time::SharedTimeSource;
use aws_smithy_types::{DateTime, date_time::Format};
use std::sync::Arc;

/// Shared by all invocations of one function. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub settings: Arc<Settings>,
    pub jobs: Jobs,
    pub instances: Instances,
    pub history: History,
    pub fleet: Fleet,
    pub executions: Executions,
    pub topic: Topic,
    pub clock: Clock,
}

/// The AWS clients that a worker may use.
pub struct Clients {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub sfn: aws_sdk_sfn::Client,
    pub sns: aws_sdk_sns::Client,
}

impl Context {
    pub fn new(settings: Settings, clients: Clients, time: SharedTimeSource) -> Self {
        let settings = Arc::new(settings);
        let clock = Clock(time);
        Self {
            jobs: Jobs::new(
                clients.dynamodb.clone(),
                &settings.training_job_table,
                clock.clone(),
            ),
            history: History::new(
                clients.dynamodb.clone(),
                &settings.training_job_table,
                clock.clone(),
            ),
            instances: Instances::new(
                clients.dynamodb,
                &settings.container_instance_table,
                clock.clone(),
            ),
            fleet: Fleet::new(clients.ecs, &settings.cluster),
            executions: Executions::new(clients.sfn),
            topic: Topic::new(
                clients.sns,
                &settings.topic_arn,
                settings.chat_topic_arn.as_deref(),
            ),
            settings,
            clock,
        }
    }
}

/// Wall-clock time; virtual in the simulator.
#[derive(Clone, Debug)]
pub struct Clock(SharedTimeSource);

impl Clock {
    /// Seconds since the Unix epoch.
    pub fn epoch_seconds(&self) -> i64 {
        DateTime::from(self.0.now()).secs()
    }

    /// Now as RFC 3339, UTC, whole milliseconds at the most.
    pub fn rfc3339(&self) -> String {
        let now = DateTime::from(self.0.now());
        DateTime::from_millis(now.to_millis().unwrap_or_default())
            .fmt(Format::DateTime)
            .unwrap_or_default()
    }
}

/// A time of whole seconds since the Unix epoch as RFC 3339, UTC.
pub fn as_time(seconds: i64) -> Option<String> {
    DateTime::from_secs(seconds).fmt(Format::DateTime).ok()
}

/// Reads an RFC 3339 time as seconds since the Unix epoch.
pub fn parse_time(text: &str) -> Option<i64> {
    DateTime::from_str(text, Format::DateTimeWithOffset)
        .ok()
        .map(|t| t.secs())
}
