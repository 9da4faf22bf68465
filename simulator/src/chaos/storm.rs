//! The faults of AWS calls: which calls are struck, and how.

use super::{
    dice::Dice,
    errors::{FaultKind, fault_of},
};
use crate::{
    faults::{CallFacts, Fault},
    plan::{Storm, Strike},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Whose calls are never struck: not the system's.
const SPARED: [&str; 5] = ["deploy", "launcher", "report", "person", "chaos"];

/// What was struck, for the report.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Struck {
    pub nth: u64,
    pub caller: String,
    pub call: String,
    pub kind: FaultKind,
    pub code: String,
}

impl fmt::Display for Struck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            nth,
            caller,
            call,
            kind,
            code,
        } = self;
        write!(f, "call {nth} of {caller}: {call} {} {code}", kind.words())
    }
}

/// The plan in force. Clones share it.
#[derive(Clone)]
pub(super) struct Weather(Arc<Mutex<State>>);

struct State {
    dice: Dice,
    rate: f64,
    left: u32,
    at: Vec<Strike>,
    /// Every call, when they are to be known.
    calls: Option<Vec<Strike>>,
    /// Calls of a role and action that meet the same fault again, and how often.
    lasting: BTreeMap<(String, String), (u32, FaultKind, Fault)>,
    strikes: Vec<Struck>,
}

impl Weather {
    pub fn new(seed: u64, storm: &Storm) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: Dice::new(seed, "storm"),
            rate: storm.rate,
            left: storm.budget,
            at: storm.at.clone(),
            calls: None,
            lasting: BTreeMap::new(),
            strikes: Vec::new(),
        })))
    }

    fn with<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on nothing fails.
    pub fn calm(&self) {
        self.with(|state| {
            state.left = 0;
            state.lasting.clear();
        });
    }

    /// From now on every call is written down.
    pub fn record(&self) {
        self.with(|state| state.calls = Some(Vec::new()));
    }

    pub fn calls(&self) -> Vec<Strike> {
        self.with(|state| state.calls.take().unwrap_or_default())
    }

    pub fn strikes(&self) -> Vec<Struck> {
        self.with(|state| state.strikes.clone())
    }

    /// How often each kind struck.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for strike in self.strikes() {
            *counts.entry(strike.kind.words().to_owned()).or_default() += 1;
        }
        counts
    }

    pub fn decide(&self, call: &CallFacts<'_>) -> Fault {
        if SPARED.contains(&call.role()) {
            return Fault::Proceed;
        }
        self.with(|state| {
            let name = format!("{}:{}", call.service, call.action);
            let key = (call.role().to_owned(), name);
            if let Some(calls) = &mut state.calls {
                calls.push(Strike {
                    role: call.role().to_owned(),
                    service: call.service.to_owned(),
                    action: call.action.to_owned(),
                    nth: call.nth,
                    kind: FaultKind::Passing,
                });
            }
            let planned = state.at.iter().position(|s| {
                s.nth == call.nth
                    && s.role == call.role()
                    && s.service == call.service
                    && s.action == call.action
            });
            if let Some(planned) = planned {
                let kind = state.at.swap_remove(planned).kind;
                let fault = fault_of(kind, call, |n| call.nth as usize % n);
                state.strikes.push(struck(call, kind, &fault));
                return fault;
            }
            let (kind, fault) = match state.lasting.get_mut(&key) {
                Some((left, kind, fault)) => {
                    let again = (*kind, fault.clone());
                    *left -= 1;
                    if *left == 0 {
                        state.lasting.remove(&key);
                    }
                    again
                }
                None => {
                    if state.left == 0 || !state.dice.chance(state.rate) {
                        return Fault::Proceed;
                    }
                    state.left -= 1;
                    let (kind, fault) = strike(&state.dice, call);
                    let lasts = matches!(
                        kind,
                        FaultKind::Passing | FaultKind::TimeoutBefore | FaultKind::TimeoutAfter
                    );
                    if lasts && state.dice.chance(0.4) {
                        // Beyond the SDK's five attempts, at times; EventBridge's pauses grow fast.
                        let most = if call.action == "StartExecution" {
                            5
                        } else {
                            14
                        };
                        let times = state.dice.between(1, most);
                        state.lasting.insert(key, (times, kind, fault.clone()));
                    }
                    (kind, fault)
                }
            };
            state.strikes.push(struck(call, kind, &fault));
            fault
        })
    }
}

fn struck(call: &CallFacts<'_>, kind: FaultKind, fault: &Fault) -> Struck {
    let code = match fault {
        Fault::Fail { code, .. } => code.clone(),
        _ => String::new(),
    };
    Struck {
        nth: call.nth_of_all,
        caller: call.caller.to_owned(),
        call: format!("{}:{}", call.service, call.action),
        kind,
        code,
    }
}

fn strike(dice: &Dice, call: &CallFacts<'_>) -> (FaultKind, Fault) {
    let kind = loop {
        let kind = dice.weigh(&[
            (30, FaultKind::Passing),
            (10, FaultKind::Final),
            (14, FaultKind::TimeoutBefore),
            (16, FaultKind::TimeoutAfter),
            (15, FaultKind::KilledBefore),
            (15, FaultKind::KilledAfter),
        ]);
        if kind.strikes(call.role()) {
            break kind;
        }
    };
    (kind, fault_of(kind, call, |n| dice.below(n)))
}
