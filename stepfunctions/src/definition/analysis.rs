//! What a JSONata expression reads and calls, found once, from its syntax tree.

mod members;
mod walk;

use crate::nearest;
use jsonata_core::ast::AstNode;
use std::sync::Arc;
use walk::Analysis;

/// What an expression reads.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Reads {
    /// `$states.input`, `.result`, `.errorOutput`, `.context`.
    pub(crate) input: bool,
    pub(crate) result: bool,
    pub(crate) error_output: bool,
    pub(crate) context: bool,
    /// `$states.context.Execution.Input`, which may be large.
    pub(crate) execution_input: bool,
    /// Variables of the state machine.
    pub(crate) variables: Vec<Arc<str>>,
    /// Functions that the engine itself provides.
    pub(crate) functions: Vec<HostFunction>,
}

/// Functions that Step Functions adds
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>), and those of JSONata that would read
/// the real clock or real chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostFunction {
    Parse,
    Partition,
    Range,
    Random,
    Uuid,
    Now,
    Millis,
    Shuffle,
    Hash,
    ToMillis,
}

impl HostFunction {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "parse" => Self::Parse,
            "partition" => Self::Partition,
            "range" => Self::Range,
            "random" => Self::Random,
            "uuid" => Self::Uuid,
            "now" => Self::Now,
            "millis" => Self::Millis,
            "shuffle" => Self::Shuffle,
            "hash" => Self::Hash,
            "toMillis" => Self::ToMillis,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Partition => "partition",
            Self::Range => "range",
            Self::Random => "random",
            Self::Uuid => "uuid",
            Self::Now => "now",
            Self::Millis => "millis",
            Self::Shuffle => "shuffle",
            Self::Hash => "hash",
            Self::ToMillis => "toMillis",
        }
    }
}

/// Which members of `$states` a field has: `result` and `errorOutput` only where they exist, "caught at creation"
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>); `context.Task` only in a state with
/// a task token, `context.Map` only inside a Map.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Available {
    pub(crate) result: bool,
    pub(crate) error_output: bool,
    pub(crate) task_token: bool,
    pub(crate) map_item: bool,
}

/// The functions of JSONata 2.0.6, but `$eval`, which Step Functions does not have.
const FUNCTIONS: [&str; 58] = [
    "string",
    "length",
    "substring",
    "substringBefore",
    "substringAfter",
    "uppercase",
    "lowercase",
    "trim",
    "pad",
    "contains",
    "split",
    "join",
    "match",
    "replace",
    "base64encode",
    "base64decode",
    "encodeUrlComponent",
    "encodeUrl",
    "decodeUrlComponent",
    "decodeUrl",
    "number",
    "abs",
    "floor",
    "ceil",
    "round",
    "power",
    "sqrt",
    "formatNumber",
    "formatBase",
    "formatInteger",
    "parseInteger",
    "sum",
    "max",
    "min",
    "average",
    "boolean",
    "not",
    "exists",
    "count",
    "append",
    "sort",
    "reverse",
    "distinct",
    "zip",
    "keys",
    "lookup",
    "spread",
    "merge",
    "sift",
    "each",
    "error",
    "assert",
    "type",
    "map",
    "filter",
    "single",
    "reduce",
    "fromMillis",
];

/// Whether the name is a function's, of JSONata or of Step Functions.
pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name) || HostFunction::named(name).is_some()
}

/// The name of a function that is written almost so.
fn meant(name: &str) -> String {
    let added = [
        "parse",
        "partition",
        "range",
        "random",
        "uuid",
        "hash",
        "now",
        "millis",
    ];
    let known = FUNCTIONS
        .into_iter()
        .chain(added)
        .chain(["toMillis", "shuffle"]);
    nearest::nearest(name, known)
        .map_or_else(String::new, |known| format!(" (did you mean ${known}?)"))
}

/// What was found in an expression.
pub(crate) struct Found {
    pub(crate) reads: Reads,
    /// What AWS accepts, but may not be meant.
    pub(crate) warnings: Vec<String>,
}

/// What the expression reads; or everything that Step Functions would refuse in it, or that is not simulated.
pub(crate) fn analyse(ast: &AstNode, available: Available) -> Result<Found, Vec<String>> {
    let mut analysis = Analysis::new(available);
    analysis.node(ast);
    if analysis.problems.is_empty() {
        Ok(analysis.found)
    } else {
        Err(analysis.problems)
    }
}
