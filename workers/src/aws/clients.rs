//! Clients of the real AWS, for the functions and for the command line.

use crate::context::Clients;
use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::{ProvideCredentials as _, SharedHttpClient};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use std::time::Duration;

pub use aws_config;

/// One try of one call. RunTask, the slowest, answers within a second or two.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Throttled and failed calls are tried so often before the state machine tries the whole step again.
const CALL_ATTEMPTS: u32 = 5;

/// The configuration of this machine: rustls, standard retries, a bound on every call.
pub fn defaults() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http())
        .retry_config(RetryConfig::standard().with_max_attempts(CALL_ATTEMPTS))
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(CALL_TIMEOUT)
                .build(),
        )
}

fn http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// The credentials of a profile and no others: those of the environment, which come first by default, belong to another
/// account as likely as not.
pub fn credentials_of(profile: &str, region: Option<Region>) -> ProfileFileCredentialsProvider {
    let config = ProviderConfig::default()
        .with_http_client(http())
        .with_region(region);
    ProfileFileCredentialsProvider::builder()
        .configure(&config)
        .profile_name(profile)
        .build()
}

/// Whether this machine has credentials.
///
/// # Errors
/// Why it has none that can be used, in one line.
pub async fn has_credentials(config: &SdkConfig) -> Result<(), String> {
    let provider = config
        .credentials_provider()
        .ok_or_else(|| "none are configured".to_owned())?;
    let found = provider.provide_credentials().await;
    found.map(drop).map_err(|error| {
        let source = std::error::Error::source(&error);
        source.map_or_else(|| error.to_string(), |why| format!("{error}: {why}"))
    })
}

/// One client per service.
pub fn clients(config: &SdkConfig) -> Clients {
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::new(config),
        ecs: aws_sdk_ecs::Client::new(config),
        sfn: aws_sdk_sfn::Client::new(config),
        sns: aws_sdk_sns::Client::new(config),
    }
}
