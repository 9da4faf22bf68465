//! The Lambda function `claim-job`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::claim_job::ClaimJob>()
}
