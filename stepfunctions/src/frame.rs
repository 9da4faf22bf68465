//! Where a flow stands: the state, its input and variables, and the flows inside it. It outlives a run, so that a redrive
//! goes on from it.

use super::json::{Json, Variables};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// One flow's place: the machine's, a Map iteration's, or a Parallel branch's.
#[derive(Debug)]
pub(super) struct Frame {
    place: Mutex<Place>,
    /// Of a Map's iteration.
    pub(super) item: Option<Item>,
}

/// What a Map's iteration is for.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) index: usize,
    pub(super) value: Json,
}

#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) state: usize,
    pub(super) input: Json,
    pub(super) variables: Variables,
    /// Set while the flow stands in the state.
    pub(super) entered: Option<Entered>,
    /// Of a Map or Parallel that has started: its iterations or branches.
    pub(super) inner: Option<Arc<Vec<Arc<Frame>>>>,
    /// The flow's output once it has ended.
    pub(super) output: Option<Json>,
    /// The flow's last event: the next one's `previousEventId`.
    pub(super) last: u64,
    pub(super) begun: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entered {
    /// The event of the entry.
    pub(super) event: u64,
    /// What came before it.
    pub(super) previous: u64,
    pub(super) at: SystemTime,
}

impl Frame {
    pub(super) fn new(start: usize, input: Json) -> Self {
        Self::within(start, input, Variables::default(), None)
    }

    /// A flow in a scope.
    pub(super) fn within(
        start: usize,
        input: Json,
        variables: Variables,
        item: Option<Item>,
    ) -> Self {
        let place = Mutex::new(Place {
            state: start,
            input,
            variables,
            entered: None,
            inner: None,
            output: None,
            last: 0,
            begun: false,
        });
        Self { place, item }
    }

    pub(super) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
