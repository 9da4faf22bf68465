//! Wait (<https://docs.aws.amazon.com/step-functions/latest/dg/state-wait.html>).

use super::{Moment, Run, Visit};
use crate::{
    definition::{
        model::Wait,
        template::{Expression, Template},
    },
    failure::Failure,
    query::{Query, QueryError, unexpected},
    time::parse_rfc3339,
};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

/// The longest wait and time-out, in seconds.
const MAX_SECONDS: f64 = 99_999_999.0;

/// The longest wait until a timestamp; recorded on AWS: 24,855 days are waited for, 24,856 are not.
const MAX_DELAY: Duration = Duration::from_secs(i32::MAX as u64);

impl Run {
    pub(super) async fn wait(&self, visit: &Visit<'_>, wait: &Wait) -> Result<(), Failure> {
        let moment = Moment::default();
        let pause = match wait {
            Wait::Seconds(template) => {
                let seconds = self.query(visit, moment, |query| seconds(query, template, 0.0))?;
                Duration::from_secs(seconds)
            }
            Wait::Timestamp(template) => {
                let until = self.query(visit, moment, |query| {
                    let value = query.template(template)?;
                    let text = value.as_str().unwrap_or_default();
                    parse_rfc3339(text).ok_or_else(|| QueryError {
                        location: "Timestamp".into(),
                        cause: format!(
                            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: \
                             {text}"
                        ),
                    })
                })?;
                // A time in the past, after a redrive, too: "causes the Wait state to be exited".
                until
                    .duration_since(self.service.host.now())
                    .unwrap_or_default()
            }
        };
        if pause > MAX_DELAY {
            return Err(self.runtime(visit, "Wait state delay is too long."));
        }
        sleep(pause).await;
        Ok(())
    }
}

/// A field that counts seconds (or, by the same rules, concurrency).
pub(super) fn seconds(
    query: &Query<'_>,
    template: &Template,
    least: f64,
) -> Result<u64, QueryError> {
    let value = query.template(template)?;
    let number = value
        .as_f64()
        .filter(|number| number.fract() == 0.0 && (least..=MAX_SECONDS).contains(number));
    number
        .map(|number| number as u64)
        .ok_or_else(|| out_of_range(template, &value))
}

fn out_of_range(template: &Template, value: &Value) -> QueryError {
    let Template::Expression(expression) = template else {
        // Literals were checked when the definition was read.
        return QueryError {
            location: "".into(),
            cause: format!("{value} is out of range."),
        };
    };
    if value.is_number() {
        let Expression {
            source, location, ..
        } = &**expression;
        return QueryError {
            location: location.clone(),
            cause: format!(
                "The JSONata expression '{source}' specified for the field '{location}' returned a value outside of \
                 the field's range: {value}"
            ),
        };
    }
    unexpected(expression, "number", value)
}
