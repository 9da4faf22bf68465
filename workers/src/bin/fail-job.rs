//! The Lambda function `fail-job`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::fail_job::FailJob>()
}
