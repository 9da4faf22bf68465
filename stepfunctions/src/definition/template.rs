//! Fields that take a JSONata string or a literal, compiled once.

use super::{
    analysis::{Available, Found, Reads, analyse},
    syntax,
};
use jsonata_core::ast::AstNode;
use serde_json::Value;
use std::sync::Arc;

/// A field's value: JSON in which strings `{% … %}` are JSONata
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>).
#[derive(Debug)]
pub(crate) enum Template {
    /// Nothing in it is JSONata.
    Literal(Value),
    Expression(Box<Expression>),
    Object(Vec<(String, Template)>),
    Array(Vec<Template>),
}

/// A compiled JSONata expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// Without the `{% %}`.
    pub(crate) source: Arc<str>,
    pub(crate) ast: AstNode,
    /// Where it stands in its state, as AWS writes it: `Output/a/b[0]`.
    pub(crate) location: Arc<str>,
    pub(crate) reads: Reads,
}

/// `Assign`: variable and value, in the order of the text.
pub(crate) type Assignments = Vec<(Arc<str>, Template)>;

/// What compiling found, each with its JSON pointer.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<(String, String)>,
    pub(crate) warnings: Vec<(String, String)>,
    /// Variables that are read.
    pub(crate) uses: Vec<(String, Arc<str>)>,
}

/// Compiles a field's value. `location` is the field's name, `pointer` its JSON pointer.
pub(crate) fn compile(
    value: &Value,
    location: &str,
    pointer: &str,
    available: Available,
    findings: &mut Findings,
) -> Template {
    match value {
        Value::String(text) => match expression(text, location, available) {
            Ok(Some((expression, warnings))) => {
                let warnings = warnings.into_iter();
                findings
                    .warnings
                    .extend(warnings.map(|warning| (pointer.to_owned(), warning)));
                let read = expression.reads.variables.iter();
                findings
                    .uses
                    .extend(read.map(|name| (pointer.to_owned(), name.clone())));
                Template::Expression(Box::new(expression))
            }
            Ok(None) => {
                let warning = doubt(text).map(|doubt| (pointer.to_owned(), doubt.to_owned()));
                findings.warnings.extend(warning);
                Template::Literal(value.clone())
            }
            Err(messages) => {
                let messages = messages.into_iter();
                findings
                    .problems
                    .extend(messages.map(|message| (pointer.to_owned(), message)));
                Template::Literal(value.clone())
            }
        },
        Value::Object(members) => {
            let compiled: Vec<_> = members
                .iter()
                .map(|(name, value)| {
                    let location = format!("{location}/{name}");
                    let pointer = super::error::join(pointer, name);
                    if name.ends_with(".$") {
                        let message = format!(
                            "'{name}' stays as it is: `.$` is JSONPath; with JSONata write \"{{% … %}}\" in the value"
                        );
                        findings.warnings.push((pointer.clone(), message));
                    }
                    let value = compile(value, &location, &pointer, available, findings);
                    (name.clone(), value)
                })
                .collect();
            if compiled
                .iter()
                .all(|(_, t)| matches!(t, Template::Literal(_)))
            {
                Template::Literal(value.clone())
            } else {
                Template::Object(compiled)
            }
        }
        Value::Array(items) => {
            let compiled: Vec<_> = items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    let location = format!("{location}[{index}]");
                    let pointer = format!("{pointer}/{index}");
                    compile(item, &location, &pointer, available, findings)
                })
                .collect();
            if compiled.iter().all(|t| matches!(t, Template::Literal(_))) {
                Template::Literal(value.clone())
            } else {
                Template::Array(compiled)
            }
        }
        other => Template::Literal(other.clone()),
    }
}

/// The expression in a string, and warnings; `None` for a string that is none. "The string must start with `{%` with no leading
/// spaces, and must end with `%}` with no trailing spaces. Improperly opening or closing the expression will result in a
/// validation error."
pub(crate) fn expression(
    text: &str,
    location: &str,
    available: Available,
) -> Result<Option<(Expression, Vec<String>)>, Vec<String>> {
    if !text.starts_with("{%") && !text.ends_with("%}") {
        return Ok(None);
    }
    let Some(source) = text
        .strip_prefix("{%")
        .and_then(|text| text.strip_suffix("%}"))
    else {
        return Err(vec![
            "a JSONata string must start with `{%` and end with `%}`, without spaces around them"
                .to_owned(),
        ]);
    };
    let source = source.trim();
    let ast =
        syntax::parse(source).map_err(|error| vec![format!("JSONata does not parse: {error}")])?;
    let Found { reads, warnings } = analyse(&ast, available)?;
    let expression = Expression {
        source: source.into(),
        ast,
        location: location.into(),
        reads,
    };
    Ok(Some((expression, warnings)))
}

/// What a literal may have been meant to be. AWS warns of some as well
/// (<https://docs.aws.amazon.com/step-functions/latest/apireference/API_ValidateStateMachineDefinitionDiagnostic.html>,
/// NO_DOLLAR).
fn doubt(text: &str) -> Option<&'static str> {
    let text = text.trim();
    if text.starts_with("{%") && text.ends_with("%}") {
        Some(
            "a literal: JSONata must start with `{%` and end with `%}`, without spaces around them",
        )
    } else if text.starts_with("States.") && text.ends_with(')') && text.contains('(') {
        Some("a literal: JSONata states have no intrinsic functions; use JSONata's")
    } else {
        None
    }
}
