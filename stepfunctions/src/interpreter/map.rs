//! Map, inline (<https://docs.aws.amazon.com/step-functions/latest/dg/state-map-inline.html>).

use super::{Moment, Run, Visit, crew::Crew, wait::seconds};
use crate::{
    definition::{model::Map, template::Template},
    failure::Failure,
    frame::{Frame, Item},
    history::Details,
    json::Json,
    query::{Query, QueryError, unexpected},
};
use serde_json::Value;
use std::sync::Arc;

/// "The Inline Map state supports up to 40 concurrent iterations."
const MAX_CONCURRENCY: usize = 40;

impl Run {
    pub(super) async fn map(
        &self,
        visit: &Visit<'_>,
        map: &Map,
        retries: u32,
    ) -> Result<Json, Failure> {
        let limit = self.concurrency(visit, map, retries)?;
        let begun = visit.frame.place().inner.clone();
        let frames = match begun {
            Some(frames) => frames,
            None => self.open_map(visit, map, retries)?,
        };
        let crew = Crew {
            frames: &frames,
            flows: std::slice::from_ref(&map.processor),
            limit,
        };
        self.crew(visit, crew).await
    }

    fn concurrency(&self, visit: &Visit<'_>, map: &Map, retries: u32) -> Result<usize, Failure> {
        let Some(template) = &map.max_concurrency else {
            return Ok(MAX_CONCURRENCY);
        };
        let moment = Moment {
            retries,
            ..Moment::default()
        };
        let limit = self.query(visit, moment, |query| seconds(query, template, 0.0))?;
        Ok(match usize::try_from(limit) {
            Ok(limit @ 1..MAX_CONCURRENCY) => limit,
            // 0 is "as many as possible".
            _ => MAX_CONCURRENCY,
        })
    }

    fn open_map(
        &self,
        visit: &Visit<'_>,
        map: &Map,
        retries: u32,
    ) -> Result<Arc<Vec<Arc<Frame>>>, Failure> {
        let moment = Moment {
            retries,
            ..Moment::default()
        };
        let items = self.query(visit, moment, |query| items(query, visit, map))?;
        let variables = visit.variables.inner();
        let mut frames = Vec::with_capacity(items.len());
        for (index, value) in items.into_iter().enumerate() {
            let item = Item {
                index,
                value: Json::new(value),
            };
            let input = match &map.item_selector {
                None => item.value.clone(),
                Some(selector) => {
                    let moment = Moment {
                        item: Some(&item),
                        ..moment
                    };
                    Json::new(self.query(visit, moment, |query| query.template(selector))?)
                }
            };
            if input.too_large() {
                return Err(self.too_large(visit));
            }
            let start = map.processor.start;
            let frame = Frame::within(start, input, variables.clone(), Some(item));
            frames.push(Arc::new(frame));
        }
        let frames = Arc::new(frames);
        let details = Details::StateStarted {
            kind: visit.state.kind.name(),
            length: Some(frames.len()),
        };
        self.push(visit.frame, details)?;
        visit.frame.place().inner = Some(frames.clone());
        Ok(frames)
    }
}

fn items(query: &Query<'_>, visit: &Visit<'_>, map: &Map) -> Result<Vec<Value>, QueryError> {
    let value = match &map.items {
        None => visit.input.value().clone(),
        Some(template) => query.template(template)?,
    };
    match (value, &map.items) {
        (Value::Array(items), _) => Ok(items),
        (other, Some(Template::Expression(expression))) => {
            Err(unexpected(expression, "array", &other))
        }
        (other, _) => Err(QueryError {
            location: "".into(),
            cause: format!("Map state input must be an array but was: {other}"),
        }),
    }
}
