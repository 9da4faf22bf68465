//! AWS SDK clients whose wire ends here.

use super::Wire;
use aws_smithy_async::{
    rt::sleep::{SharedAsyncSleep, TokioSleep},
    time::SharedTimeSource,
};
use aws_smithy_types::retry::RetryConfig;

/// Standard retries, as in production, with five attempts; pauses of 1, 2, 4, 8 s without random jitter, which would
/// come from an unseeded generator.
fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(5)
        .with_use_static_exponential_base(true)
}

/// Every SDK crate has its own types of the same names.
macro_rules! client {
    ($sdk:ident, $wire:expr, $caller:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new(crate::REGION))
            // Nobody here looks at a signature, and it is a sixth of a call's time.
            .allow_no_auth()
            .http_client($wire.client_for($caller))
            .time_source(SharedTimeSource::new($wire.clock()))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(retries())
            // The SDK's own budget of retries is one for the whole process: a sandbox is a process of its own, and an
            // earlier run must not tell on a later one.
            .retry_partition(
                $sdk::config::retry::RetryPartition::custom("sandbox")
                    .token_bucket($sdk::config::retry::TokenBucket::default())
                    .build(),
            )
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl Wire {
    /// An ECS client; its calls are the caller's.
    pub fn ecs(&self, caller: &str) -> aws_sdk_ecs::Client {
        client!(aws_sdk_ecs, self, caller)
    }

    /// A DynamoDB client; its calls are the caller's.
    pub fn dynamodb(&self, caller: &str) -> aws_sdk_dynamodb::Client {
        client!(aws_sdk_dynamodb, self, caller)
    }

    /// A Step Functions client; its calls are the caller's.
    pub fn sfn(&self, caller: &str) -> aws_sdk_sfn::Client {
        client!(aws_sdk_sfn, self, caller)
    }

    /// An SNS client; its calls are the caller's.
    pub fn sns(&self, caller: &str) -> aws_sdk_sns::Client {
        client!(aws_sdk_sns, self, caller)
    }
}
