//! The Lambda function `record-user-stop`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::record_user_stop::RecordUserStop>()
}
