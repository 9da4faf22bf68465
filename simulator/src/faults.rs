//! Faults on purpose: a plan is asked at every call on the wire and at every Lambda invocation.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    Proceed,
    /// AWS answers with this error; nothing took effect. `status` is the HTTP status.
    Fail {
        code: String,
        status: u16,
        message: String,
    },
    /// The call takes effect, but the answer is lost: the caller sees its connection time out.
    FailAfterEffect,
    /// The request is lost: no effect, and the caller sees its connection time out.
    TimeoutBefore,
    /// The caller's process dies at this call, before or after the call's effect. The call never returns, and
    /// [`Faults::killed`] resolves for the caller.
    KillCaller { after_effect: bool },
}

impl Fault {
    /// A fault of AWS that passes: HTTP 500.
    pub fn server_error() -> Self {
        Self::Fail {
            code: "InternalServerError".to_owned(),
            status: 500,
            message: "The request processing has failed because of an unknown error.".to_owned(),
        }
    }
}

/// A call, as a plan sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFacts<'a> {
    /// Who calls. What stands before a `#` is the role, what follows tells its invocations apart: `ClaimJob#3`.
    pub caller: &'a str,
    /// As in IAM actions: `ecs`, `dynamodb`, `states`, `sns`, `ssm`, `ec2`, `lambda`.
    pub service: &'a str,
    /// `RunTask`; for `lambda` the function's name.
    pub action: &'a str,
    /// How many calls of this role, service and action there were, this one included: 1, 2, ...
    pub nth: u64,
    /// How many calls there were at all, this one included.
    pub nth_of_all: u64,
}

impl CallFacts<'_> {
    /// The caller without what tells its invocations apart.
    pub fn role(&self) -> &str {
        role(self.caller)
    }
}

/// The part of a caller's name before `#`.
pub fn role(caller: &str) -> &str {
    caller.split('#').next().unwrap_or(caller)
}

/// Decides on every call. Any closure is one.
pub type FaultPlan = Arc<dyn Fn(&CallFacts<'_>) -> Fault + Send + Sync>;

/// The plan in force and what it has counted. Clones share it.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

struct State {
    plan: FaultPlan,
    counts: BTreeMap<(String, String, String), u64>,
    all: u64,
    kills: BTreeMap<String, watch::Sender<u64>>,
}

/// Everything proceeds.
impl Default for Faults {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            plan: Arc::new(|_| Fault::Proceed),
            counts: BTreeMap::new(),
            all: 0,
            kills: BTreeMap::new(),
        })))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults").finish_non_exhaustive()
    }
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a plan in force. The counts go on.
    pub fn set_plan(&self, plan: impl Fn(&CallFacts<'_>) -> Fault + Send + Sync + 'static) {
        self.state().plan = Arc::new(plan);
    }

    /// Counts the call and asks the plan; on [`Fault::KillCaller`] before the effect, kills the caller at once.
    pub fn decide(&self, caller: &str, service: &str, action: &str) -> Fault {
        let (plan, nth, nth_of_all) = {
            let mut state = self.state();
            state.all += 1;
            let key = (
                role(caller).to_owned(),
                service.to_owned(),
                action.to_owned(),
            );
            let count = state.counts.entry(key).or_default();
            *count += 1;
            let nth = *count;
            (state.plan.clone(), nth, state.all)
        };
        let fault = plan(&CallFacts {
            caller,
            service,
            action,
            nth,
            nth_of_all,
        });
        if matches!(
            fault,
            Fault::KillCaller {
                after_effect: false
            }
        ) {
            self.kill(caller);
        }
        fault
    }

    /// Kills a caller: whoever waits on [`killed`](Self::killed) for it is told.
    pub fn kill(&self, caller: &str) {
        let mut state = self.state();
        let kills = state.kills.entry(caller.to_owned()).or_default();
        kills.send_modify(|n| *n += 1);
    }

    /// Resolves when this very caller is killed after this call. The invoker selects on it, first, beside the
    /// invocation, and drops the invocation.
    pub fn killed(&self, caller: &str) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = {
            let mut state = self.state();
            let kills = state.kills.entry(caller.to_owned()).or_default();
            kills.subscribe()
        };
        async move {
            if receiver.changed().await.is_err() {
                // The plan is gone; so is everything that could kill.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Duration, timeout};

    #[tokio::test(start_paused = true)]
    async fn a_plan_counts_per_role_and_kills_one_invocation() {
        let faults = Faults::default();
        faults.set_plan(|call| match (call.role(), call.action, call.nth) {
            ("ClaimJob", "UpdateItem", 2) => Fault::KillCaller {
                after_effect: false,
            },
            _ => Fault::Proceed,
        });
        let second = faults.killed("ClaimJob#2");
        let other = faults.killed("ClaimJob#1");
        assert_eq!(
            faults.decide("ClaimJob#1", "dynamodb", "UpdateItem"),
            Fault::Proceed
        );
        assert_eq!(
            faults.decide("ClaimJob#2", "dynamodb", "UpdateItem"),
            Fault::KillCaller {
                after_effect: false
            }
        );
        second.await;
        assert!(timeout(Duration::from_secs(1), other).await.is_err());
    }
}
