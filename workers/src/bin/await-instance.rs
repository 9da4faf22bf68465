//! The Lambda function `await-instance`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::await_instance::AwaitInstance>()
}
