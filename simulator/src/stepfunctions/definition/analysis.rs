//! What a JSONata expression reads and calls, found once, from its syntax tree.

use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};
use std::sync::Arc;

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
    "string", "length", "substring", "substringBefore", "substringAfter", "uppercase", "lowercase", "trim", "pad",
    "contains", "split", "join", "match", "replace", "base64encode", "base64decode", "encodeUrlComponent", "encodeUrl",
    "decodeUrlComponent", "decodeUrl", "number", "abs", "floor", "ceil", "round", "power", "sqrt", "formatNumber",
    "formatBase", "formatInteger", "parseInteger", "sum", "max", "min", "average", "boolean", "not", "exists", "count",
    "append", "sort", "reverse", "distinct", "zip", "keys", "lookup", "spread", "merge", "sift", "each", "error",
    "assert", "type", "map", "filter", "single", "reduce", "fromMillis",
];

/// Whether the name is a function's, of JSONata or of Step Functions.
pub(crate) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name) || name == "toMillis" || HostFunction::named(name).is_some()
}

/// What the expression reads; or everything that Step Functions would refuse in it, or that is not simulated.
pub(crate) fn analyse(ast: &AstNode, available: Available) -> Result<Reads, Vec<String>> {
    let mut analysis = Analysis {
        available,
        scopes: vec![Vec::new()],
        top: true,
        reads: Reads::default(),
        problems: Vec::new(),
    };
    analysis.node(ast);
    if analysis.problems.is_empty() {
        Ok(analysis.reads)
    } else {
        Err(analysis.problems)
    }
}

struct Analysis {
    available: Available,
    /// Names that the expression itself binds, innermost scope last.
    scopes: Vec<Vec<String>>,
    /// Whether the context is the one that the expression starts with: nothing.
    top: bool,
    reads: Reads,
    problems: Vec<String>,
}

impl Analysis {
    fn problem(&mut self, message: String) {
        if !self.problems.contains(&message) {
            self.problems.push(message);
        }
    }

    fn bind(&mut self, name: &str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name.to_owned());
        }
    }

    fn is_local(&self, name: &str) -> bool {
        self.scopes.iter().flatten().any(|bound| bound == name)
    }

    fn within(&mut self, top: bool, walk: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.top, top);
        walk(self);
        self.top = outer;
    }

    fn scoped(&mut self, names: &[String], walk: impl FnOnce(&mut Self)) {
        self.scopes.push(names.to_vec());
        walk(self);
        self.scopes.pop();
    }

    fn node(&mut self, node: &AstNode) {
        match node {
            AstNode::Variable(name) => self.variable(name),
            AstNode::ParentVariable(_) => self.problem("`$$` is not supported".to_owned()),
            AstNode::Name(name) => self.context_read(name),
            AstNode::Wildcard => self.context_read("*"),
            AstNode::Descendant => self.context_read("**"),
            AstNode::Path { steps } => self.path(steps),
            AstNode::Function {
                name,
                args,
                is_builtin,
            } => {
                self.call(name, *is_builtin);
                self.all(args);
            }
            AstNode::Call { procedure, args } => {
                self.node(procedure);
                self.all(args);
            }
            AstNode::Lambda { params, body, .. } => {
                self.scoped(params, |inner| inner.node(body));
            }
            AstNode::Binary { op, lhs, rhs } => self.binary(*op, lhs, rhs),
            AstNode::Unary { operand, .. } => self.node(operand),
            AstNode::Array(items) | AstNode::ArrayGroup(items) => self.all(items),
            AstNode::Object(pairs) => self.pairs(pairs),
            AstNode::ObjectTransform { input, pattern } => {
                self.node(input);
                self.within(false, |inner| inner.pairs(pattern));
            }
            AstNode::Block(nodes) => self.scoped(&[], |inner| inner.all(nodes)),
            AstNode::Conditional {
                condition,
                then_branch,
                else_branch,
            } => {
                self.node(condition);
                self.node(then_branch);
                if let Some(branch) = else_branch {
                    self.node(branch);
                }
            }
            AstNode::FunctionApplication(inner) => self.node(inner),
            AstNode::Sort { input, terms } => {
                self.node(input);
                self.within(false, |inner| {
                    terms.iter().for_each(|(term, _)| inner.node(term));
                });
            }
            AstNode::Transform {
                location,
                update,
                delete,
            } => self.within(false, |inner| {
                inner.node(location);
                inner.node(update);
                if let Some(delete) = delete {
                    inner.node(delete);
                }
            }),
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
            | AstNode::Regex { .. }
            | AstNode::Parent(_) => {}
        }
    }

    fn all(&mut self, nodes: &[AstNode]) {
        nodes.iter().for_each(|node| self.node(node));
    }

    fn pairs(&mut self, pairs: &[(AstNode, AstNode)]) {
        for (key, value) in pairs {
            self.node(key);
            self.node(value);
        }
    }

    /// An expression starts without a context: AWS answers `UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'x' at the top
    /// level is not supported`.
    fn context_read(&mut self, name: &str) {
        if self.top {
            self.problem(format!(
                "reference to '{name}' at the top level is not supported; expected $states.input or a variable"
            ));
        }
    }

    fn variable(&mut self, name: &str) {
        if name.is_empty() {
            self.context_read("$");
        } else if name == "states" {
            self.reads.input = true;
            self.reads.context = true;
            self.reads.execution_input = true;
            self.reads.result |= self.available.result;
            self.reads.error_output |= self.available.error_output;
        } else if !self.is_local(name) {
            if is_function(name) {
                self.host(name);
            } else if !self.reads.variables.iter().any(|read| **read == *name) {
                self.reads.variables.push(name.into());
            }
        }
    }

    fn host(&mut self, name: &str) {
        if let Some(function) = HostFunction::named(name)
            && !self.reads.functions.contains(&function)
        {
            self.reads.functions.push(function);
        }
    }

    fn call(&mut self, name: &str, with_dollar: bool) {
        if with_dollar && self.is_local(name) {
            return;
        }
        match name {
            _ if !with_dollar => {
                self.problem(format!("'{name}(' calls no function; expected ${name}("));
            }
            "eval" => self.problem("Step Functions has no $eval; use $parse".to_owned()),
            "hash" => self.problem("$hash is not simulated".to_owned()),
            _ if is_function(name) => self.host(name),
            _ => self.problem(format!(
                "neither JSONata nor Step Functions has a function ${name}"
            )),
        }
    }

    fn binary(&mut self, op: BinaryOp, lhs: &AstNode, rhs: &AstNode) {
        if op == BinaryOp::ColonEqual
            && let AstNode::Variable(name) = lhs
        {
            // A function may call itself; any other value may not read itself.
            if matches!(rhs, AstNode::Lambda { .. }) {
                self.bind(name);
                self.node(rhs);
            } else {
                self.node(rhs);
                self.bind(name);
            }
            return;
        }
        self.node(lhs);
        self.node(rhs);
    }

    fn path(&mut self, steps: &[PathStep]) {
        let skip = self.states_member(steps);
        for (index, step) in steps.iter().enumerate() {
            let top = self.top && index == 0;
            if index >= skip {
                self.within(top, |inner| inner.node(&step.node));
            }
            for name in [&step.focus, &step.index_var].into_iter().flatten() {
                self.bind(name);
            }
            self.within(false, |inner| {
                for stage in &step.stages {
                    match stage {
                        Stage::Filter(filter) => inner.node(filter),
                        Stage::Index(name) => inner.bind(name),
                        Stage::KeepArray => {}
                    }
                }
            });
        }
    }

    /// How many steps of the path are `$states` and its member.
    fn states_member(&mut self, steps: &[PathStep]) -> usize {
        let [root, member, rest @ ..] = steps else {
            return 0;
        };
        let (AstNode::Variable(root_name), AstNode::Name(name)) = (&root.node, &member.node) else {
            return 0;
        };
        if root_name != "states" || !root.stages.is_empty() {
            return 0;
        }
        match name.as_str() {
            "input" => self.reads.input = true,
            "context" => self.context_member(rest),
            "result" if self.available.result => self.reads.result = true,
            "errorOutput" if self.available.error_output => self.reads.error_output = true,
            "result" => self.problem(
                "$states.result exists only in Assign and Output of Task, Map and Parallel".to_owned(),
            ),
            "errorOutput" => self.problem(
                "$states.errorOutput exists only in Assign and Output of a Catch".to_owned(),
            ),
            other => self.problem(format!(
                "$states has no '{other}'; expected input, result, errorOutput or context"
            )),
        }
        2
    }

    fn context_member(&mut self, rest: &[PathStep]) {
        self.reads.context = true;
        let name = |index: usize| match rest.get(index).map(|step| &step.node) {
            Some(AstNode::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let Some(first) = name(0) else {
            self.reads.execution_input = true;
            return;
        };
        match first {
            "Execution" => {
                self.reads.execution_input |= name(1).is_none_or(|member| member == "Input");
            }
            "State" | "StateMachine" => {}
            "Task" if self.available.task_token => {}
            "Map" if self.available.map_item => {}
            "Task" => self.problem(
                "$states.context.Task exists only in a Task that waits for a task token".to_owned(),
            ),
            "Map" => self.problem("$states.context.Map exists only inside a Map".to_owned()),
            other => self.problem(format!(
                "the context object has no '{other}'; expected Execution, State, StateMachine, Task or Map"
            )),
        }
    }
}
