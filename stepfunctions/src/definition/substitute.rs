//! `${Name}` in a definition, as `DefinitionSubstitutions` of CloudFormation
//! (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-statemachine.html>).

use super::error::DefinitionError;
use crate::nearest;
use std::collections::BTreeMap;

/// Every `${Name}` and the byte where it begins. A shell's `${x:-y}`, say, is none.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("${").filter_map(|(at, opening)| {
        let (name, _) = text[at + opening.len()..].split_once('}')?;
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        is_name.then_some((at, name))
    })
}

/// Replaces every `${Name}`.
pub(super) fn substitute(
    text: &str,
    substitutions: &BTreeMap<String, String>,
) -> (String, Vec<DefinitionError>) {
    let mut out = String::with_capacity(text.len() * 2);
    let mut errors = Vec::new();
    let mut copied = 0;
    for (at, name) in placeholders(text) {
        out.push_str(&text[copied..at]);
        copied = at + "${}".len() + name.len();
        match substitutions.get(name) {
            Some(value) => out.push_str(value),
            None => {
                let hint = nearest::hint(name, substitutions.keys().map(String::as_str));
                errors.push(DefinitionError {
                    pointer: String::new(),
                    line: 1 + text[..at].matches('\n').count(),
                    message: format!("no substitution is given for ${{{name}}}{hint}"),
                });
            }
        }
    }
    out.push_str(&text[copied..]);
    (out, errors)
}
