//! The Lambda function `notify-operators`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::notify_operators::NotifyOperators>()
}
