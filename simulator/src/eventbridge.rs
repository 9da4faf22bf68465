//! EventBridge's default bus: rules, at-least-once delivery, retries, a record of every event.

mod pattern;

pub use pattern::{Pattern, PatternError};

use crate::{
    ACCOUNT, REGION,
    clock::{Clock, rfc3339_seconds},
    dice::Dice,
    object::object,
    tap::{self, Seen},
};
use futures::future::BoxFuture;
use serde_json::Value;
use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, sleep, sleep_until};

/// What a rule calls with the event. An `Err` is delivered again.
pub type Target = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

type Hook = Arc<dyn Fn(&Value) + Send + Sync>;

/// How events travel. Default: in order, once.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// From the service to the target. AWS publishes no figure but "about half a second"
    /// (<https://aws.amazon.com/eventbridge/faqs/>).
    pub latency: Range<Duration>,
    /// How likely an event is delivered twice (at-least-once delivery).
    pub duplicates: f64,
    /// How likely an event is late by `late_by`.
    pub late: f64,
    pub late_by: Range<Duration>,
    /// How likely an event is lost for good: services send events "on a best-effort basis" (EventBridge user guide,
    /// eb-service-event).
    pub lost: f64,
    /// False: each event travels by itself, so a later one may overtake it.
    pub in_order: bool,
    /// Retries of a failing target; EventBridge's default and maximum is 185 within 24 hours
    /// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html>).
    pub retries: u32,
    pub retry_for: Duration,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(300)..Duration::from_millis(1000),
            duplicates: 0.0,
            late: 0.0,
            lost: 0.0,
            late_by: Duration::from_secs(5)..Duration::from_secs(90),
            in_order: true,
            retries: 185,
            retry_for: Duration::from_secs(24 * 3600),
        }
    }
}

/// An event that a target did not take within the retries.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    pub rule: String,
    pub event: Value,
    pub error: String,
}

/// The bus. Clones are the same bus.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    clock: Clock,
    dice: Dice,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    delivery: Delivery,
    rules: Vec<Arc<Rule>>,
    record: Vec<(SystemTime, Arc<Value>)>,
    keeps: Option<usize>,
    hooks: Vec<Hook>,
    dead_letters: Vec<DeadLetter>,
}

struct Rule {
    name: String,
    text: Value,
    pattern: Pattern,
    target: Target,
    queue: Mutex<VecDeque<(Instant, Arc<Value>)>>,
}

impl Bus {
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self(Arc::new(Inner {
            clock,
            dice: Dice::new(seed, "eventbridge"),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on events travel like this.
    pub fn set_delivery(&self, delivery: Delivery) {
        self.state().delivery = delivery;
    }

    /// Adds a rule.
    ///
    /// # Errors
    /// [`PatternError`] when EventBridge would refuse the pattern.
    pub fn rule(&self, name: &str, pattern: &Value, target: Target) -> Result<(), PatternError> {
        let rule = Rule {
            name: name.to_owned(),
            text: pattern.clone(),
            pattern: Pattern::parse(pattern)?,
            target,
            queue: Mutex::default(),
        };
        self.state().rules.push(Arc::new(rule));
        Ok(())
    }

    /// The rules, each with its pattern, in the order in which they were added.
    pub fn rules(&self) -> Vec<(String, Value)> {
        let state = self.state();
        let rules = state.rules.iter();
        rules
            .map(|rule| (rule.name.clone(), rule.text.clone()))
            .collect()
    }

    /// Events go nowhere any more.
    pub(crate) fn forget_rules(&self) {
        let (rules, hooks) = {
            let mut state = self.state();
            (
                std::mem::take(&mut state.rules),
                std::mem::take(&mut state.hooks),
            )
        };
        drop((rules, hooks));
    }

    /// Puts an event of an AWS service on the bus: wraps it into the envelope
    /// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html>), records it, and sends it
    /// to the targets of all matching rules.
    pub fn put(&self, source: &str, detail_type: &str, resources: &[&str], detail: Value) {
        let event = object!({
            "version": "0",
            "id": self.0.dice.uuid(),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT,
            "time": rfc3339_seconds(self.0.clock.now()),
            "region": REGION,
            "resources": resources.to_vec(),
            "detail": detail,
        });
        self.put_event(event);
    }

    /// Puts an event that has its envelope already.
    pub fn put_event(&self, event: Value) {
        let event = Arc::new(event);
        let hooks = self.state().hooks.clone();
        hooks.iter().for_each(|hook| hook(&event));
        let (rules, delivery) = {
            let mut state = self.state();
            state.record.push((self.0.clock.now(), event.clone()));
            if let Some(keeps) = state.keeps
                && state.record.len() > 2 * keeps
            {
                state.record.drain(..keeps);
            }
            let rules: Vec<_> = state
                .rules
                .iter()
                .filter(|rule| rule.pattern.matches(&event))
                .cloned()
                .collect();
            (rules, state.delivery.clone())
        };
        if tap::is_on() {
            let rules: Vec<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
            tap::tell(Seen::Event {
                event: &event,
                rules: &rules,
            });
        }
        // ECS's and SSM's are best effort; what Step Functions says of itself is, too, but nobody else would tell of it
        // (the alarm on its metrics does, which are not simulated).
        let may_be_lost = event["source"] != "aws.states";
        for rule in rules {
            if !(may_be_lost && self.0.dice.chance(delivery.lost)) {
                self.send(rule, event.clone(), &delivery);
            }
        }
    }

    fn send(&self, rule: Arc<Rule>, event: Arc<Value>, delivery: &Delivery) {
        let dice = &self.0.dice;
        let due = |extra| Instant::now() + dice.within(&delivery.latency) + extra;
        if dice.chance(delivery.duplicates) {
            let at = due(dice.within(&delivery.late_by));
            self.send_alone(rule.clone(), event.clone(), at);
        }
        if dice.chance(delivery.late) {
            let at = due(dice.within(&delivery.late_by));
            self.send_alone(rule, event, at);
        } else if delivery.in_order {
            self.send_in_order(rule, event, due(Duration::ZERO));
        } else {
            self.send_alone(rule, event, due(Duration::ZERO));
        }
    }

    fn send_alone(&self, rule: Arc<Rule>, event: Arc<Value>, at: Instant) {
        let bus = self.clone();
        tokio::spawn(async move {
            sleep_until(at).await;
            bus.invoke(rule, event).await;
        });
    }

    /// One task empties the rule's queue and ends; so the order holds, and an idle rule costs nothing.
    fn send_in_order(&self, rule: Arc<Rule>, event: Arc<Value>, at: Instant) {
        let idle = {
            let mut queue = rule.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push_back((at, event));
            queue.len() == 1
        };
        if !idle {
            return;
        }
        let bus = self.clone();
        tokio::spawn(async move {
            let head = |pop: bool| {
                let mut queue = rule.queue.lock().unwrap_or_else(PoisonError::into_inner);
                if pop {
                    queue.pop_front();
                }
                queue.front().cloned()
            };
            let mut next = head(false);
            while let Some((at, event)) = next {
                sleep_until(at).await;
                tokio::spawn(bus.clone().invoke(rule.clone(), event));
                next = head(true);
            }
        });
    }

    /// Calls the target until it takes the event; the pauses double from a second to 15 minutes.
    async fn invoke(self, rule: Arc<Rule>, event: Arc<Value>) {
        let delivery = self.state().delivery.clone();
        let start = Instant::now();
        let mut pause = Duration::from_secs(1);
        let mut retries = 0;
        while let Err(error) = (rule.target)((*event).clone()).await {
            let half = pause / 2;
            let wait = self.0.dice.within(&(half..pause));
            if retries >= delivery.retries || start.elapsed() + wait > delivery.retry_for {
                self.state().dead_letters.push(DeadLetter {
                    rule: rule.name.clone(),
                    event: (*event).clone(),
                    error,
                });
                return;
            }
            sleep(wait).await;
            retries += 1;
            pause = (pause * 2).min(Duration::from_secs(900));
        }
    }

    /// Keeps a record of this many events at least, and of twice as many at most; of all of them without this.
    pub fn keep(&self, events: usize) {
        self.state().keeps = Some(events);
    }

    /// Calls `hook` with every event from now on, when it is put.
    pub fn on_put(&self, hook: impl Fn(&Value) + Send + Sync + 'static) {
        self.state().hooks.push(Arc::new(hook));
    }

    /// Every event so far, in the order of the causes.
    pub fn record(&self) -> Vec<Arc<Value>> {
        self.state().record.iter().map(|(_, e)| e.clone()).collect()
    }

    /// The same with the time at which each was put: an event's own `time` has whole seconds only.
    pub fn timed_record(&self) -> Vec<(SystemTime, Arc<Value>)> {
        self.state().record.clone()
    }

    /// What no target took.
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.state().dead_letters.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Seen = Arc<Mutex<Vec<(u64, Instant)>>>;

    fn recorder(seen: &Seen, fail_first: usize) -> Target {
        let seen = seen.clone();
        let failures = Arc::new(Mutex::new(fail_first));
        Arc::new(move |event| {
            let (seen, failures) = (seen.clone(), failures.clone());
            Box::pin(async move {
                let mut left = failures.lock().unwrap();
                if *left > 0 {
                    *left -= 1;
                    return Err("not now".to_owned());
                }
                let n = event["detail"]["n"].as_u64().unwrap();
                seen.lock().unwrap().push((n, Instant::now()));
                Ok(())
            })
        })
    }

    async fn deliver(delivery: Delivery, fail_first: usize, seed: u64) -> (Bus, Vec<u64>) {
        let bus = Bus::new(Clock::default(), seed);
        bus.set_delivery(delivery);
        let seen = Seen::default();
        bus.rule(
            "test",
            &json!({"source": ["aws.ecs"]}),
            recorder(&seen, fail_first),
        )
        .unwrap();
        for n in 0..50 {
            bus.put("aws.ecs", "Test", &[], json!({ "n": n }));
            bus.put("aws.ssm", "Test", &[], json!({ "n": 1000 + n }));
        }
        sleep(Duration::from_secs(48 * 3600)).await;
        let numbers = seen.lock().unwrap().iter().map(|(n, _)| *n).collect();
        (bus, numbers)
    }

    #[tokio::test(start_paused = true)]
    async fn events_come_once_and_in_order_by_default() {
        let (bus, seen) = deliver(Delivery::default(), 0, 1).await;
        assert_eq!(seen, (0..50).collect::<Vec<_>>());
        let event = &bus.record()[0];
        assert_eq!(event["time"], "2026-01-05T03:00:00Z");
        assert_eq!(bus.record().len(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_day_duplicates_and_reorders_but_loses_nothing_and_repeats_by_seed() {
        let bad = Delivery {
            duplicates: 0.3,
            late: 0.3,
            in_order: false,
            ..Delivery::default()
        };
        let (_, seen) = deliver(bad.clone(), 5, 9).await;
        assert!(seen.len() > 50);
        assert!(!seen.is_sorted());
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique, (0..50).collect::<Vec<_>>());
        assert_eq!(deliver(bad, 5, 9).await.1, seen);
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_that_never_works_ends_in_a_dead_letter() {
        let (bus, seen) = deliver(Delivery::default(), usize::MAX, 1).await;
        assert!(seen.is_empty());
        assert_eq!(bus.dead_letters().len(), 50);
        assert_eq!(bus.dead_letters()[0].error, "not now");
    }
}
