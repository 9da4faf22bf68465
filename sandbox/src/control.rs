//! What is asked of the sandbox itself, beside AWS: its time, and what is to happen.

use crate::deed::{Deed, words};
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

/// No operation of AWS that is offered has a path like this.
pub const PATH: &str = "/_sandbox/";

/// How time is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "turn", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Turn {
    /// It stands still.
    Pause,
    /// It runs, at this speed from now on.
    Go { speed: Option<f64> },
    /// It goes on to the next event, and stands still there.
    Step,
    /// So much of it passes at once.
    Pass { seconds: f64 },
}

/// Virtual seconds a real second, at the most and at the least.
pub const SPEEDS: std::ops::RangeInclusive<f64> = 0.1..=3600.0;

/// At once.
pub const PASS: std::ops::RangeInclusive<f64> = 0.001..=7.0 * 86_400.0;

#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// What it offers.
    Operations,
    /// What the operators were told.
    Messages,
    Time,
    Turn(Turn),
    Do(Deed),
}

/// A deed by its members, as a desk sends it, or in the words of the command line, as the page does.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Words(Vec<String>),
    Deed(Deed),
}

impl Order {
    /// # Errors
    /// The status, and what is wrong.
    pub fn read(method: &Method, path: &str, body: &[u8]) -> Result<Self, (StatusCode, String)> {
        let bad = |error: serde_json::Error| (StatusCode::BAD_REQUEST, error.to_string());
        match (method, path) {
            (&Method::GET, "operations") => Ok(Self::Operations),
            (&Method::GET, "messages") => Ok(Self::Messages),
            (&Method::GET, "time") => Ok(Self::Time),
            (&Method::POST, "time") => {
                let turn: Turn = serde_json::from_slice(body).map_err(bad)?;
                match turn.problem() {
                    Some(why) => Err((StatusCode::BAD_REQUEST, why)),
                    None => Ok(Self::Turn(turn)),
                }
            }
            (&Method::POST, "do") => match serde_json::from_slice(body).map_err(bad)? {
                Wanted::Deed(deed) => Ok(Self::Do(deed)),
                Wanted::Words(line) => words::deed(&line)
                    .map(Self::Do)
                    .map_err(|why| (StatusCode::BAD_REQUEST, why)),
            },
            _ => Err((
                StatusCode::NOT_FOUND,
                format!(
                    "the sandbox has GET {PATH}operations, {PATH}messages and {PATH}time, and POST {PATH}time and {PATH}do"
                ),
            )),
        }
    }
}

impl Turn {
    /// What is wrong with it.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Go { speed: Some(speed) } if !SPEEDS.contains(speed) => Some(format!(
                "the speed is {} to {}, not {speed}",
                SPEEDS.start(),
                SPEEDS.end()
            )),
            Self::Pass { seconds } if !PASS.contains(seconds) => Some(format!(
                "{} seconds to 7 days pass at once, not {seconds} s",
                PASS.start()
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_and_mistakes_named() {
        let read = |method, path, body: &str| Order::read(&method, path, body.as_bytes());
        assert_eq!(read(Method::GET, "time", ""), Ok(Order::Time));
        assert_eq!(
            read(Method::POST, "time", r#"{"turn":"go","speed":60}"#),
            Ok(Order::Turn(Turn::Go { speed: Some(60.0) }))
        );
        for (body, says) in [
            (r#"{"turn":"go","speed":0}"#, "0.1 to 3600"),
            (r#"{"turn":"pass","seconds":-1}"#, "7 days"),
            (r#"{"turn":"back"}"#, "unknown variant"),
            ("", "EOF"),
        ] {
            let (status, why) = read(Method::POST, "time", body).unwrap_err();
            assert_eq!(status, StatusCode::BAD_REQUEST);
            assert!(why.contains(says), "{why}");
        }
        let (status, _) = read(Method::DELETE, "time", "").unwrap_err();
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
}
