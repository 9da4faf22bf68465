//! `sandbox do` and `sandbox time`: a running sandbox by hand.

use crate::{
    Failure, account,
    output::{HEADING, Output, paint, span},
};
use clap::{Args, Subcommand};
use sandbox::{
    Turn,
    client::{Client, ClientError, Time},
    deed::Deed,
};
use std::time::Duration;

/// What a running sandbox is told.
#[derive(Subcommand)]
pub enum Order {
    /// Lets something happen in a running sandbox: a GPU breaks, a rank hangs, an agent goes away.
    Do(Do),
    /// Shows what the operators of a running sandbox were told, by the topic.
    Messages(Messages),
    /// Shows a running sandbox's time; lets it stand still, go, step or pass.
    Time(Hand),
}

#[derive(Args)]
pub struct Do {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    deed: Deed,
}

#[derive(Args)]
pub struct Messages {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub struct Hand {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    way: Option<Way>,
}

#[derive(Args)]
struct Place {
    /// Where the sandbox answers.
    #[arg(
        long,
        env = "AWS_ENDPOINT_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:4566",
        hide_env_values = true,
        global = true
    )]
    endpoint_url: String,
}

/// How its time goes on.
#[derive(Subcommand)]
enum Way {
    /// It stands still.
    Pause,
    /// It runs.
    Go {
        /// Virtual seconds a real second, from now on.
        #[arg(long, value_name = "N", value_parser = super::speed)]
        speed: Option<f64>,
    },
    /// It runs as fast as real time.
    Real,
    /// It goes on to the next event, and stands still there.
    Step,
    /// So much of it passes at once, such as 10m or 2h.
    Pass {
        #[arg(value_name = "DURATION", value_parser = duration)]
        time: Duration,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    let known = |suffix: char| match suffix {
        's' => Some(1.0),
        'm' => Some(60.0),
        'h' => Some(3600.0),
        'd' => Some(86_400.0),
        _ => None,
    };
    let (number, suffix) =
        text.split_at(text.len() - text.chars().last().map_or(0, char::len_utf8));
    let unit = suffix.chars().next().and_then(known);
    let seconds = number
        .parse::<f64>()
        .ok()
        .zip(unit)
        .map(|(n, unit)| n * unit);
    match seconds.filter(|seconds| sandbox::PASS.contains(seconds)) {
        Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
        None => Err("give a number and s, m, h or d, 7 days at the most".to_owned()),
    }
}

impl Way {
    fn turn(&self) -> Turn {
        match self {
            Self::Pause => Turn::Pause,
            Self::Go { speed } => Turn::Go { speed: *speed },
            Self::Real => Turn::Go { speed: Some(1.0) },
            Self::Step => Turn::Step,
            Self::Pass { time } => Turn::Pass {
                seconds: time.as_secs_f64(),
            },
        }
    }
}

/// Tells it.
///
/// # Errors
/// When there is no sandbox, or it refuses.
pub fn run(order: &Order) -> Result<u8, Failure> {
    account::run(async {
        let output = Output::new();
        match order {
            Order::Do(Do { place, deed }) => {
                let done = Client::new(&place.endpoint_url)?.act(deed).await?;
                output.text("", &done);
            }
            Order::Messages(Messages { place }) => {
                let messages = Client::new(&place.endpoint_url)?.messages().await?;
                for message in &messages {
                    let subject = message.subject.as_deref().unwrap_or("(no subject)");
                    output.line(&paint(HEADING, format!("{} {subject}", message.at)));
                    // As they came, so that commands can be copied.
                    output.lines(message.message.lines());
                    output.line("");
                }
                if messages.is_empty() {
                    output.line("nobody was told anything yet");
                }
            }
            Order::Time(Hand { place, way }) => {
                let client = Client::new(&place.endpoint_url)?;
                let time = match way {
                    Some(way) => client.turn(way.turn()).await?,
                    None => client.time().await?,
                };
                output.text("", &told(&time));
            }
        }
        Ok(0)
    })
}

fn told(time: &Time) -> String {
    let now = simulator::clock::rfc3339_seconds(
        std::time::UNIX_EPOCH + Duration::from_secs_f64(time.epoch),
    );
    let pace = match time.paused {
        true => "stands still".to_owned(),
        false => format!("runs at {} to 1", time.speed),
    };
    let behind = match time.behind {
        behind if behind < 0.05 => String::new(),
        behind => format!("; this machine was too slow by {}", span(behind)),
    };
    format!(
        "{now}, {} since it was made; it {pace}{behind}",
        span(time.since_start)
    )
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Address { .. } | ClientError::Refused(_) => {
                Self::BadInput(error.to_string())
            }
            ClientError::Away { .. } => Self::Broken(error.to_string()),
        }
    }
}
