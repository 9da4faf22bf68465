//! The Lambda function `stop-siblings`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::stop_siblings::StopSiblings>()
}
