//! A Lambda function that does nothing: the reference for the cold start of those that do.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> Result<(), Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(lambda_runtime::run(service_fn(
            async |_: LambdaEvent<Value>| Ok::<(), Error>(()),
        )))
}
