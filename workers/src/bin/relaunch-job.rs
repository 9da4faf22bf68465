//! The Lambda function `relaunch-job`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::relaunch_job::RelaunchJob>()
}
