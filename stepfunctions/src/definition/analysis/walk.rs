//! The walk over the syntax tree.

use super::{Available, Found, HostFunction, Reads, is_function, meant};
use jsonata_core::ast::{AstNode, BinaryOp, PathStep, Stage};

pub(super) struct Analysis {
    pub(super) available: Available,
    /// Names that the expression itself binds, innermost scope last.
    scopes: Vec<Vec<String>>,
    /// Whether the context is the one that the expression starts with: nothing.
    top: bool,
    pub(super) found: Found,
    pub(super) problems: Vec<String>,
}

impl Analysis {
    pub(super) fn new(available: Available) -> Self {
        Self {
            available,
            scopes: vec![Vec::new()],
            top: true,
            found: Found {
                reads: Reads::default(),
                warnings: Vec::new(),
            },
            problems: Vec::new(),
        }
    }

    pub(super) fn problem(&mut self, message: String) {
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

    pub(super) fn node(&mut self, node: &AstNode) {
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
            AstNode::Regex { pattern, .. } => self.regex(pattern),
            AstNode::String(_)
            | AstNode::Number(_)
            | AstNode::Boolean(_)
            | AstNode::Null
            | AstNode::Undefined
            | AstNode::Placeholder
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
            self.found.reads.input = true;
            self.found.reads.context = true;
            self.found.reads.execution_input = true;
            self.found.reads.result |= self.available.result;
            self.found.reads.error_output |= self.available.error_output;
        } else if !self.is_local(name) {
            self.host(name);
            // A name of a function may be a variable's, too: then that one is read.
            if !self
                .found
                .reads
                .variables
                .iter()
                .any(|read| **read == *name)
            {
                self.found.reads.variables.push(name.into());
            }
        }
    }

    fn host(&mut self, name: &str) {
        if let Some(function) = HostFunction::named(name)
            && !self.found.reads.functions.contains(&function)
        {
            self.found.reads.functions.push(function);
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
            _ if is_function(name) => self.host(name),
            _ => self.found.warnings.push(format!(
                "neither JSONata nor Step Functions has a function ${name}{}; AWS accepts this, and the state fails",
                meant(name)
            )),
        }
    }

    fn binary(&mut self, op: BinaryOp, lhs: &AstNode, rhs: &AstNode) {
        if op == BinaryOp::ColonEqual && !matches!(lhs, AstNode::Variable(_)) {
            self.problem(
                "S0212: The left side of := must be a variable name (start with $)".to_owned(),
            );
        }
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

    /// JavaScript has look-around and back references, which the engine's regular expressions lack.
    fn regex(&mut self, pattern: &str) {
        let lacking = ["(?=", "(?!", "(?<=", "(?<!"];
        if lacking.iter().any(|lacking| pattern.contains(lacking)) {
            self.problem(format!(
                "/{pattern}/: look-around in a regular expression is not simulated, though AWS has it"
            ));
        }
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
}
