//! `${Name}` in a definition, as `DefinitionSubstitutions` of CloudFormation
//! (<https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-statemachine.html>).

use super::error::DefinitionError;
use std::collections::BTreeMap;

/// Replaces every `${Name}`.
pub(super) fn substitute(
    text: &str,
    substitutions: &BTreeMap<String, String>,
) -> (String, Vec<DefinitionError>) {
    let mut out = String::with_capacity(text.len() * 2);
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let name: &str = from[2..].split('}').next().unwrap_or_default();
        let is_name =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || from.len() <= name.len() + 2 {
            // Not a substitution: a shell's `${x:-y}`, say.
            out.push_str("${");
            rest = &from[2..];
            continue;
        }
        match substitutions.get(name) {
            Some(value) => out.push_str(value),
            None => errors.push(DefinitionError {
                pointer: String::new(),
                line: 1 + text[..text.len() - from.len()].matches('\n').count(),
                message: format!("no substitution is given for ${{{name}}}"),
            }),
        }
        rest = &from[name.len() + 3..];
    }
    out.push_str(rest);
    (out, errors)
}
