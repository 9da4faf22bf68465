//! Everything that a simulated account says and hears, told to whoever records it: what an independent judge reads
//! (`.ci/judges/`).
//!
//! As with a `tracing` subscriber, a recording belongs to a thread. An account is played on one thread, so nothing that
//! makes or plays accounts needs to know of it.

use crate::wire::ApiError;
use serde_json::Value;
use std::{cell::RefCell, rc::Rc};

/// One thing that happened.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A call that reached its service, and what the service answered, though the answer may be lost on its way.
    Call {
        caller: &'a str,
        service: &'a str,
        action: &'a str,
        request: &'a Value,
        answer: Result<&'a Value, &'a ApiError>,
        /// The fault plan answered, not the service.
        injected: bool,
    },
    /// An event on the bus, and the names of the rules that it matches.
    Event {
        event: &'a Value,
        rules: &'a [&'a str],
    },
    /// An event in the history of an execution.
    History(&'a Value),
}

type Sink = Rc<dyn Fn(Seen<'_>)>;

thread_local! {
    static SINK: RefCell<Option<Sink>> = const { RefCell::new(None) };
}

/// Runs `play` and tells `sink` of everything that happens meanwhile in the accounts of this thread.
pub fn record<T>(sink: impl Fn(Seen<'_>) + 'static, play: impl FnOnce() -> T) -> T {
    /// Recording ends when `play` does, also by a panic.
    struct Restore(Option<Sink>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SINK.set(self.0.take());
        }
    }
    let _restore = Restore(SINK.replace(Some(Rc::new(sink))));
    play()
}

/// False: telling is for nothing.
pub(crate) fn is_on() -> bool {
    SINK.with_borrow(Option::is_some)
}

pub(crate) fn tell(seen: Seen<'_>) {
    let sink = SINK.with_borrow(Clone::clone);
    if let Some(sink) = sink {
        sink(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{PlayOptions, builtin, play};
    use std::cell::Cell;

    #[test]
    fn a_recording_holds_calls_events_and_histories_of_what_is_played_within_it() {
        let counts = Rc::new(Cell::new([0; 3]));
        let seen = counts.clone();
        let count = move |what: Seen<'_>| {
            let mut all = seen.get();
            all[match what {
                Seen::Call { .. } => 0,
                Seen::Event { .. } => 1,
                Seen::History(_) => 2,
            }] += 1;
            seen.set(all);
        };
        let scenario = builtin("clean-completion").unwrap().unwrap();
        let report = record(count, || play(&scenario, &PlayOptions::default())).unwrap();
        let [calls, events, histories] = counts.get();
        // The functions' invocations are told, and are no calls on the wire.
        assert!(calls > report.wire_calls.len() && events > 0 && histories > 0);
        play(&scenario, &PlayOptions::default()).unwrap();
        assert_eq!(counts.get(), [calls, events, histories]);
    }
}
