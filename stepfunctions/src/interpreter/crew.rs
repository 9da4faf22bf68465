//! Flows side by side: a Map's iterations, a Parallel's branches. The first failure aborts the others.

use super::{Run, Visit};
use crate::{
    definition::model::{Flow, Kind},
    failure::Failure,
    frame::Frame,
    history::{Details, Phase},
    json::Json,
};
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::Value;
use std::sync::Arc;

/// What plays side by side in one state.
pub(super) struct Crew<'a> {
    pub(super) frames: &'a [Arc<Frame>],
    /// A Map's processor, or a Parallel's branches.
    pub(super) flows: &'a [Flow],
    pub(super) limit: usize,
}

impl<'a> Crew<'a> {
    fn flow(&self, index: usize) -> &'a Flow {
        // A Map has one flow for all.
        &self.flows[index.min(self.flows.len() - 1)]
    }
}

impl Run {
    /// Plays all that have not ended yet. The answer is their outputs, in order.
    pub(super) async fn crew(&self, visit: &Visit<'_>, crew: Crew<'_>) -> Result<Json, Failure> {
        let frames = crew.frames;
        let mut waiting = (0..frames.len()).filter(|index| frames[*index].place().output.is_none());
        let mut running = FuturesUnordered::new();
        let mut before = visit.frame.place().last;
        loop {
            while running.len() < crew.limit
                && let Some(index) = waiting.next()
            {
                self.begin(visit, index, &frames[index], before)?;
                let (frame, flow) = (&frames[index], crew.flow(index));
                let item = frame.item.as_ref().or(visit.item);
                running.push(async move { (index, self.flow(flow, frame, item).await) });
            }
            match running.next().await {
                None => break,
                Some((index, Ok(_))) => {
                    before = frames[index].place().last;
                    let last = match self.iteration(
                        visit,
                        index,
                        &frames[index],
                        Phase::Succeeded,
                        before,
                    )? {
                        Some(event) => event,
                        None => before,
                    };
                    visit.frame.place().last = last;
                }
                Some((index, Err(failure))) => {
                    // Dropping what still runs is what cancels its tasks.
                    drop(running);
                    self.abort_crew(visit, &crew, index, &failure);
                    visit.frame.place().last = failure.event;
                    return Err(failure);
                }
            }
        }
        let outputs = frames.iter().map(|frame| {
            let output = frame.place().output.clone();
            output.map_or(Value::Null, |output| output.value().clone())
        });
        let result = Json::new(outputs.collect());
        if result.too_large() {
            return Err(self.too_large(visit));
        }
        let last = visit.frame.place().last;
        self.push_after(last, Details::StateSucceeded(visit.state.kind.name()))?;
        Ok(result)
    }

    /// An iteration that a redrive goes on with is told as started again; AWS documents nothing of it.
    fn begin(
        &self,
        visit: &Visit<'_>,
        index: usize,
        frame: &Frame,
        before: u64,
    ) -> Result<(), Failure> {
        let started = self.iteration(visit, index, frame, Phase::Started, before)?;
        let mut place = frame.place();
        place.begun = true;
        place.last = started.unwrap_or(before);
        Ok(())
    }

    /// An iteration's event; branches have none.
    fn iteration(
        &self,
        visit: &Visit<'_>,
        index: usize,
        frame: &Frame,
        phase: Phase,
        previous: u64,
    ) -> Result<Option<u64>, Failure> {
        if frame.item.is_none() {
            return Ok(None);
        }
        let details = Details::Iteration {
            phase,
            name: visit.state.name.clone(),
            index,
        };
        self.push_after(previous, details).map(Some)
    }

    /// Tells of the failed flow and of those that it aborts, in the order recorded on AWS: all follow the failure.
    fn abort_crew(&self, visit: &Visit<'_>, crew: &Crew<'_>, failed: usize, failure: &Failure) {
        let others = (0..crew.frames.len()).filter(|index| *index != failed);
        for index in std::iter::once(failed).chain(others) {
            let frame = &crew.frames[index];
            let place = frame.place().clone();
            if !place.begun || place.output.is_some() {
                continue;
            }
            let phase = if index == failed {
                Phase::Failed
            } else {
                Phase::Aborted
            };
            // What does not fit into the history any more is not told.
            let _ = self.iteration(visit, index, frame, phase, failure.event);
            self.abort_state(crew.flow(index), frame, index == failed, failure.event);
        }
    }

    /// A failed Task is told as aborted, too; a failed Map or Parallel is not, having told of its failure.
    fn abort_state(&self, flow: &Flow, frame: &Frame, failed: bool, event: u64) {
        let place = frame.place().clone();
        if place.entered.is_none() {
            return;
        }
        let kind = &flow.states[place.state].kind;
        let told = match kind {
            Kind::Task(_) => true,
            Kind::Wait(_) | Kind::Map(_) | Kind::Parallel(_) => !failed,
            _ => false,
        };
        if told {
            let _ = self.push_after(event, Details::StateAborted(kind.name()));
        }
        let flows = match kind {
            Kind::Map(map) if !failed => std::slice::from_ref(&map.processor),
            Kind::Parallel(parallel) if !failed => parallel.branches.as_slice(),
            _ => return,
        };
        let frames = place.inner.unwrap_or_default();
        for (index, inner) in frames.iter().enumerate() {
            let begun = {
                let place = inner.place();
                place.begun && place.output.is_none()
            };
            if begun {
                if inner.item.is_some() {
                    let details = Details::Iteration {
                        phase: Phase::Aborted,
                        name: flow.states[place.state].name.clone(),
                        index,
                    };
                    let _ = self.push_after(event, details);
                }
                self.abort_state(&flows[index.min(flows.len() - 1)], inner, false, event);
            }
        }
    }
}
