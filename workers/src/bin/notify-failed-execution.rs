//! The Lambda function `notify-failed-execution`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::notify_failed_execution::NotifyFailedExecution>()
}
