//! JSONata as Step Functions evaluates it: no context, `$states`, variables, virtual time
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html>).

mod convert;
mod functions;
mod words;

use super::{
    definition::{
        Reads,
        template::{Expression, Template},
    },
    json::{Json, Variables},
};
use crate::dice::Dice;
use convert::{Unsupported, from_json, to_json};
use indexmap::IndexMap;
use jsonata_core::{
    evaluator::{Context, Evaluator, EvaluatorOptions},
    value::JValue,
};
use serde_json::Value;
use std::{cell::OnceCell, sync::Arc, time::SystemTime};

/// How deep an expression may nest; measured on AWS: `Depth=101 max=100`.
const MAX_DEPTH: usize = 100;

/// When an expression is given up, in real milliseconds: no expression that AWS accepts comes near, and one without end
/// ends.
const MAX_MILLISECONDS: u64 = 5000;

/// What expressions see.
pub(super) struct Scope<'a> {
    pub(super) input: &'a Json,
    pub(super) result: Option<&'a Json>,
    pub(super) error_output: Option<&'a Value>,
    /// The context object, with or without the execution's input.
    pub(super) context: &'a dyn Fn(bool) -> Value,
    pub(super) variables: &'a Variables,
    pub(super) now: SystemTime,
    pub(super) dice: &'a Dice,
}

/// A failed evaluation: `States.QueryEvaluationError`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueryError {
    /// `Output/a/b[0]`.
    pub(super) location: Arc<str>,
    /// As AWS words it, without the sentence about the state.
    pub(super) cause: String,
}

/// Evaluates the fields of one state at one moment; what they share is converted once.
pub(super) struct Query<'a> {
    scope: Scope<'a>,
    input: OnceCell<JValue>,
    result: OnceCell<JValue>,
    error_output: OnceCell<JValue>,
}

impl<'a> Query<'a> {
    pub(super) fn new(scope: Scope<'a>) -> Self {
        Self {
            scope,
            input: OnceCell::new(),
            result: OnceCell::new(),
            error_output: OnceCell::new(),
        }
    }

    /// A field's value.
    pub(super) fn template(&self, template: &Template) -> Result<Value, QueryError> {
        match template {
            Template::Literal(value) => Ok(value.clone()),
            Template::Expression(expression) => self.expression(expression),
            Template::Object(members) => members
                .iter()
                .map(|(name, value)| Ok((name.clone(), self.template(value)?)))
                .collect::<Result<_, _>>()
                .map(Value::Object),
            Template::Array(items) => items
                .iter()
                .map(|item| self.template(item))
                .collect::<Result<_, _>>()
                .map(Value::Array),
        }
    }

    pub(super) fn expression(&self, expression: &Expression) -> Result<Value, QueryError> {
        let Expression {
            source, location, ..
        } = expression;
        let said = |what: String| QueryError {
            location: location.clone(),
            cause: format!(
                "The JSONata expression '{source}' specified for the field '{location}' {what}"
            ),
        };
        let options = EvaluatorOptions {
            timeout_ms: Some(MAX_MILLISECONDS),
            max_stack_depth: Some(MAX_DEPTH),
            ..EvaluatorOptions::default()
        };
        let mut evaluator = Evaluator::with_options(self.bindings(&expression.reads), options);
        functions::register(
            &mut evaluator,
            &expression.reads.functions,
            self.scope.now,
            self.scope.dice,
        )
        .and_then(|()| evaluator.evaluate(&expression.ast, &JValue::Undefined))
        .map_err(|error| {
            said(format!(
                "threw an error during evaluation. {}",
                words::in_jsonata_js(error.message(), source)
            ))
        })
        .and_then(|result| match result {
            JValue::Undefined => Err(said("returned nothing (undefined).".to_owned())),
            result => to_json(&result)
                .map_err(|Unsupported| said("returned an unsupported result type.".to_owned())),
        })
    }

    fn bindings(&self, reads: &Reads) -> Context {
        let mut context = Context::new();
        let mut states = IndexMap::new();
        if reads.input {
            let input = self
                .input
                .get_or_init(|| from_json(self.scope.input.value()));
            states.insert("input".to_owned(), input.clone());
        }
        if reads.result
            && let Some(result) = self.scope.result
        {
            let result = self.result.get_or_init(|| from_json(result.value()));
            states.insert("result".to_owned(), result.clone());
        }
        if reads.error_output
            && let Some(error) = self.scope.error_output
        {
            let error = self.error_output.get_or_init(|| from_json(error));
            states.insert("errorOutput".to_owned(), error.clone());
        }
        if reads.context {
            let object = (self.scope.context)(reads.execution_input);
            states.insert("context".to_owned(), from_json(&object));
        }
        if !states.is_empty() {
            context.bind("states".to_owned(), JValue::object(states));
        }
        for name in &reads.variables {
            if let Some(value) = self.scope.variables.get(name) {
                context.bind(name.to_string(), from_json(value.value()));
            }
        }
        context
    }
}

/// A value of the wrong type, as AWS words it.
pub(super) fn unexpected(expression: &Expression, expected: &str, value: &Value) -> QueryError {
    let (source, location) = (&expression.source, &expression.location);
    QueryError {
        location: location.clone(),
        cause: format!(
            "The JSONata expression '{source}' specified for the field '{location}' returned an unexpected result type. \
             Expected '{expected}', but was '{}' for value: {value}",
            type_name(value)
        ),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
