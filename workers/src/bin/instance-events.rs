//! The Lambda function `instance-events`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::instance_events::InstanceEvents>()
}
