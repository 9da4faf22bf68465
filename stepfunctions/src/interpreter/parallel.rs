//! Parallel (<https://docs.aws.amazon.com/step-functions/latest/dg/state-parallel.html>).

use super::{Moment, Run, Visit, crew::Crew};
use crate::{
    definition::model::Parallel, failure::Failure, frame::Frame, history::Details, json::Json,
};
use std::sync::Arc;

impl Run {
    pub(super) async fn parallel(
        &self,
        visit: &Visit<'_>,
        parallel: &Parallel,
        retries: u32,
    ) -> Result<Json, Failure> {
        let begun = visit.frame.place().inner.clone();
        let frames = match begun {
            Some(frames) => frames,
            None => self.open_parallel(visit, parallel, retries)?,
        };
        let crew = Crew {
            frames: &frames,
            flows: &parallel.branches,
            limit: usize::MAX,
        };
        self.crew(visit, crew).await
    }

    fn open_parallel(
        &self,
        visit: &Visit<'_>,
        parallel: &Parallel,
        retries: u32,
    ) -> Result<Arc<Vec<Arc<Frame>>>, Failure> {
        let input = match &parallel.arguments {
            None => visit.input.clone(),
            Some(arguments) => {
                let moment = Moment {
                    retries,
                    ..Moment::default()
                };
                Json::new(self.query(visit, moment, |query| query.template(arguments))?)
            }
        };
        if input.too_large() {
            return Err(self.too_large(visit));
        }
        let variables = visit.variables.inner();
        let branches = parallel.branches.iter().map(|branch| {
            let frame = Frame::within(branch.start, input.clone(), variables.clone(), None);
            Arc::new(frame)
        });
        let frames: Arc<Vec<Arc<Frame>>> = Arc::new(branches.collect());
        let details = Details::StateStarted {
            kind: visit.state.kind.name(),
            length: None,
        };
        self.push(visit.frame, details)?;
        visit.frame.place().inner = Some(frames.clone());
        Ok(frames)
    }
}
