//! The Lambda function `record-completion`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::record_completion::RecordCompletion>()
}
