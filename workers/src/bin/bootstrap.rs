//! The program of every Lambda function.

fn main() -> std::process::ExitCode {
    workers::lambda::serve()
}
