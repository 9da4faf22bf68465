//! Task tokens (<https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html>).

use super::{ApiError, dice::Dice, failure::Failure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep_until},
};

/// "Maximum length of 2048" (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskSuccess.html>).
const MAX_CHARACTERS: usize = 2048;

/// Tokens of AWS have some hundred characters; whoever stores them should store as much here.
const HEX_DIGITS: usize = 640;
const PREFIX: &str = "AQCM";
/// So many digits tell tokens apart.
const KEY_DIGITS: usize = 32;

/// A task that waits for its token.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingTask {
    /// Whose task it is.
    pub execution_arn: String,
    /// The state's name.
    pub state: String,
    /// Inside a Map: the innermost iteration's index.
    pub map_index: Option<usize>,
    /// What SendTaskSuccess, SendTaskFailure and SendTaskHeartbeat take.
    pub token: String,
    /// When the task was started.
    pub since: SystemTime,
}

/// What ends a wait too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Late {
    Timeout,
    Heartbeat,
}

type Told = Result<Value, Failure>;

#[derive(Clone, Default)]
pub(super) struct Tokens(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the token's key.
    open: BTreeMap<Box<str>, Open>,
    closed: BTreeSet<Box<str>>,
    opened: u64,
}

struct Open {
    number: u64,
    task: WaitingTask,
    told: oneshot::Sender<Told>,
    beat: watch::Sender<Instant>,
}

/// The waiting side of a token; dropping it closes the token.
pub(super) struct Ticket {
    tokens: Tokens,
    key: Box<str>,
    told: oneshot::Receiver<Told>,
    beat: watch::Receiver<Instant>,
    deadline: Option<Instant>,
    heartbeat: Option<Duration>,
}

impl Tokens {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new token.
    pub(super) fn make(dice: &Dice) -> String {
        format!("{PREFIX}{}", dice.hex(HEX_DIGITS))
    }

    pub(super) fn open(
        &self,
        token: &str,
        (execution_arn, state, map_index): (&str, &str, Option<usize>),
        deadline: Option<Instant>,
        heartbeat: Option<Duration>,
        since: SystemTime,
    ) -> Ticket {
        let (told, receiver) = oneshot::channel();
        let (beat, beats) = watch::channel(Instant::now());
        let key: Box<str> = key(token).into();
        let mut tokens = self.state();
        tokens.opened += 1;
        let open = Open {
            number: tokens.opened,
            task: WaitingTask {
                execution_arn: execution_arn.to_owned(),
                state: state.to_owned(),
                map_index,
                token: token.to_owned(),
                since,
            },
            told,
            beat,
        };
        tokens.open.insert(key.clone(), open);
        Ticket {
            tokens: self.clone(),
            key,
            told: receiver,
            beat: beats,
            deadline,
            heartbeat,
        }
    }

    /// In the order in which they began to wait.
    pub(super) fn waiting(&self) -> Vec<WaitingTask> {
        let state = self.state();
        let mut open: Vec<_> = state.open.values().collect();
        open.sort_by_key(|open| open.number);
        open.into_iter().map(|open| open.task.clone()).collect()
    }

    pub(super) fn tell(&self, token: &str, told: Told) -> Result<(), ApiError> {
        let mut state = self.state();
        check(&state, token)?;
        if let Some(open) = state.open.remove(key(token)) {
            state.closed.insert(key(token).into());
            // A ticket that is gone has closed its token before.
            let _ = open.told.send(told);
        }
        Ok(())
    }

    pub(super) fn beat(&self, token: &str) -> Result<(), ApiError> {
        let state = self.state();
        check(&state, token)?;
        if let Some(open) = state.open.get(key(token)) {
            open.beat.send_replace(Instant::now());
        }
        Ok(())
    }
}

fn key(token: &str) -> &str {
    token
        .strip_prefix(PREFIX)
        .and_then(|digits| digits.get(..KEY_DIGITS))
        .unwrap_or_default()
}

fn check(state: &State, token: &str) -> Result<(), ApiError> {
    if token.is_empty() || token.len() > MAX_CHARACTERS {
        let message = format!(
            "1 validation error detected: the length of taskToken must be from 1 to {MAX_CHARACTERS}"
        );
        return Err(ApiError::new("ValidationException", message));
    }
    let key = key(token);
    if state.closed.contains(key) {
        let message = "Task Timed Out: 'Provided task does not exist anymore'";
        return Err(ApiError::new("TaskTimedOut", message));
    }
    match state.open.get(key) {
        Some(open) if open.task.token == token => Ok(()),
        _ => Err(ApiError::new(
            "InvalidToken",
            "Invalid Token: 'Invalid token'",
        )),
    }
}

impl Ticket {
    /// Resolves when the token's holder reports.
    pub(super) async fn told(&mut self) -> Told {
        match (&mut self.told).await {
            Ok(told) => told,
            // The token is told or closed, never dropped untold while its ticket lives.
            Err(_) => std::future::pending().await,
        }
    }

    /// Resolves when the time is over, or no heartbeat came in time.
    pub(super) fn late(&self) -> impl Future<Output = Late> + Send + use<> {
        let (deadline, heartbeat, beat) = (self.deadline, self.heartbeat, self.beat.clone());
        async move {
            loop {
                let next_beat = heartbeat.map(|heartbeat| *beat.borrow() + heartbeat);
                let (at, late) = match (deadline, next_beat) {
                    (Some(deadline), Some(next)) if next < deadline => (next, Late::Heartbeat),
                    (Some(deadline), _) => (deadline, Late::Timeout),
                    (None, Some(next)) => (next, Late::Heartbeat),
                    (None, None) => return std::future::pending().await,
                };
                sleep_until(at).await;
                let beaten = heartbeat.is_some_and(|heartbeat| *beat.borrow() + heartbeat > at);
                if late == Late::Timeout || !beaten {
                    return late;
                }
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.tokens.state();
        if state.open.remove(&self.key).is_some() {
            state.closed.insert(self.key.clone());
        }
    }
}
