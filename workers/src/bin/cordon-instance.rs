//! The Lambda function `cordon-instance`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::cordon_instance::CordonInstance>()
}
