//! Fields that take a JSONata string or a literal, compiled once.

use super::analysis::{Available, Reads, analyse};
use jsonata_core::{ast::AstNode, parser};
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
            Ok(Some(expression)) => {
                let read = expression.reads.variables.iter();
                findings
                    .uses
                    .extend(read.map(|name| (pointer.to_owned(), name.clone())));
                Template::Expression(Box::new(expression))
            }
            Ok(None) => Template::Literal(value.clone()),
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
                            "'{name}': `.$` is JSONPath; with JSONata write \"{{% … %}}\" in the value"
                        );
                        findings.problems.push((pointer.clone(), message));
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

/// The expression in a string; `None` for a string that is none. "The string must start with `{%` with no leading
/// spaces, and must end with `%}` with no trailing spaces. Improperly opening or closing the expression will result in a
/// validation error."
pub(crate) fn expression(
    text: &str,
    location: &str,
    available: Available,
) -> Result<Option<Expression>, Vec<String>> {
    let trimmed = text.trim();
    if !trimmed.starts_with("{%") && !trimmed.ends_with("%}") {
        if is_intrinsic(trimmed) {
            return Err(vec![format!(
                "'{trimmed}' is an intrinsic function; JSONata states have none, use JSONata's functions"
            )]);
        }
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
    let ast = parser::parse(source).map_err(|error| {
        vec![format!(
            "JSONata does not parse: {}",
            error.display_message()
        )]
    })?;
    let reads = analyse(&ast, available)?;
    Ok(Some(Expression {
        source: source.into(),
        ast,
        location: location.into(),
        reads,
    }))
}

fn is_intrinsic(text: &str) -> bool {
    text.starts_with("States.") && text.ends_with(')') && text.contains('(')
}
