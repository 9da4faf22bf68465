//! The Lambda function `uncordon-instance`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::uncordon_instance::UncordonInstance>()
}
