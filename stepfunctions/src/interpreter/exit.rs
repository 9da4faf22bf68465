//! Leaving a state: Output and Assign, evaluated from the same inputs.

use super::{Left, Moment, Run, Visit, situated};
use crate::{
    definition::{
        model::{Exit, Next},
        template::Template,
    },
    failure::{Failure, FailureKind},
    history::{Details, Failed},
    json::{Json, MAX_BYTES},
};
use serde_json::Value;
use std::sync::Arc;

impl Run {
    /// Evaluates `exit` and leaves the state for `next`; without `Output`, `default` goes on.
    pub(super) fn leave(
        &self,
        visit: &Visit<'_>,
        exit: &Exit,
        default: &Json,
        moment: Moment<'_>,
        next: Next,
    ) -> Result<Left, Failure> {
        let (output, assigned) = if exit.output.is_none() && exit.assign.is_empty() {
            (default.clone(), Vec::new())
        } else {
            self.query(visit, moment, |query| {
                let output = match &exit.output {
                    Some(output) => Json::new(query.template(output)?),
                    None => default.clone(),
                };
                let assigned = exit
                    .assign
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Json::new(query.template(value)?))))
                    .collect::<Result<Vec<(Arc<str>, Json)>, _>>()?;
                Ok((output, assigned))
            })?
        };
        // "The maximum combined size for all variables in a single Assign field is also 256Kib"
        // (https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html).
        let size: usize = assigned.iter().map(|(_, value)| value.text().len()).sum();
        if output.too_large() || size > MAX_BYTES {
            return Err(self.too_large(visit));
        }
        let details = Details::StateExited {
            kind: visit.state.kind.name(),
            name: visit.state.name.clone(),
            output: output.text().clone(),
            assigned: assigned
                .iter()
                .map(|(name, value)| (name.clone(), value.text().clone()))
                .collect(),
        };
        self.push(visit.frame, details)?;
        Ok(Left {
            next,
            output,
            variables: visit.variables.with(&assigned),
        })
    }

    pub(super) fn too_large(&self, visit: &Visit<'_>) -> Failure {
        Failure::data_limit(&visit.state.name, visit.frame.place().last)
    }

    /// A Fail state's failure.
    pub(super) fn fail(
        &self,
        visit: &Visit<'_>,
        error: Option<&Template>,
        cause: Option<&Template>,
    ) -> Failure {
        let text = |template: Option<&Template>| -> Result<Option<Arc<str>>, Failure> {
            let Some(template) = template else {
                return Ok(None);
            };
            self.query(visit, Moment::default(), |query| {
                match (template, query.template(template)?) {
                    (_, Value::String(text)) => Ok(Some(text.into())),
                    (Template::Expression(expression), value) => Err(
                        super::super::query::unexpected(expression, "string", &value),
                    ),
                    _ => Ok(None),
                }
            })
        };
        let failed = text(error).and_then(|error| Ok((error, text(cause)?)));
        match failed {
            Ok((error, cause)) => Failure {
                kind: FailureKind::Ordinary,
                failed: Failed { error, cause },
                event: visit.entered.event,
            },
            Err(failure) => failure,
        }
    }

    /// An error that no Retry and no Catch handles.
    pub(super) fn runtime(&self, visit: &Visit<'_>, what: &str) -> Failure {
        Failure::runtime(situated(visit, what), visit.frame.place().last)
    }
}
