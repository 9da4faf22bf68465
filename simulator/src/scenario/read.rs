//! Reading a scenario file: a mistake is one error that names the line or field, and what was expected.

use super::spec::{Scenario, ScenarioError};
use crate::stepfunctions::nearest;
use serde_saphyr::{DefaultMessageFormatter, MessageFormatter};
use std::borrow::Cow;

/// Words errors of YAML so that they say what was expected.
struct Plain;

impl MessageFormatter for Plain {
    fn format_message<'a>(&self, error: &'a serde_saphyr::Error) -> Cow<'a, str> {
        use serde_saphyr::Error;
        let expected = match error {
            Error::InvalidScalar { ty, .. } => ty,
            Error::SerdeUnknownField {
                field: name,
                expected,
                ..
            }
            | Error::SerdeUnknownVariant {
                variant: name,
                expected,
                ..
            } => {
                let usual = DefaultMessageFormatter.format_message(error);
                let hint = nearest::hint(name, expected.iter().copied());
                return Cow::Owned(format!("{usual}{hint}"));
            }
            other => return DefaultMessageFormatter.format_message(other),
        };
        Cow::Borrowed(match *expected {
            "f64" => "expected a number",
            "bool" => "expected true or false",
            ty if ty.starts_with(['i', 'u']) => "expected a whole number",
            _ => return DefaultMessageFormatter.format_message(error),
        })
    }
}

impl Scenario {
    /// Reads a scenario from YAML or JSON.
    ///
    /// # Errors
    /// The line and field that is wrong, and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let error = |message: String| ScenarioError {
            file: file.to_owned(),
            message,
        };
        let options = serde_saphyr::options! { with_snippet: false };
        let scenario: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|e| error(e.render_with_formatter(&Plain)))?;
        scenario.check().map_err(error)?;
        Ok(scenario)
    }
}
