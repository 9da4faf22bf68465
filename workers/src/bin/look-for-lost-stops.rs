//! The Lambda function `look-for-lost-stops`.

fn main() -> std::process::ExitCode {
    workers::lambda::serve::<workers::steps::look_for_lost_stops::LookForLostStops>()
}
