//! The Lambda function `quarantine-instance`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::quarantine_instance::QuarantineInstance>()
}
