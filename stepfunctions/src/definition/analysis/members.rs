//! `$states` and its members.

use super::walk::Analysis;
use crate::nearest::hint;
use jsonata_core::ast::{AstNode, PathStep};

impl Analysis {
    /// How many steps of the path are `$states` and its member.
    pub(super) fn states_member(&mut self, steps: &[PathStep]) -> usize {
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
            "input" => self.found.reads.input = true,
            "context" => self.context_member(rest),
            "result" if self.available.result => self.found.reads.result = true,
            "errorOutput" if self.available.error_output => self.found.reads.error_output = true,
            "result" => self.problem(
                "$states.result exists only in Assign and Output of Task, Map and Parallel"
                    .to_owned(),
            ),
            "errorOutput" => self.problem(
                "$states.errorOutput exists only in Assign and Output of a Catch".to_owned(),
            ),
            other => {
                let hint = hint(other, ["input", "result", "errorOutput", "context"]);
                self.problem(format!(
                    "$states has no '{other}'{hint}; expected input, result, errorOutput or context"
                ));
            }
        }
        2
    }

    fn context_member(&mut self, rest: &[PathStep]) {
        self.found.reads.context = true;
        let name = |index: usize| match rest.get(index).map(|step| &step.node) {
            Some(AstNode::Name(name)) => Some(name.as_str()),
            _ => None,
        };
        let Some(first) = name(0) else {
            self.found.reads.execution_input = true;
            return;
        };
        match first {
            "Execution" => {
                self.found.reads.execution_input |= name(1).is_none_or(|member| member == "Input");
            }
            "State" | "StateMachine" => {}
            "Task" if self.available.task_token => {}
            "Map" if self.available.map_item => {}
            "Task" => self.problem(
                "$states.context.Task exists only in a Task that waits for a task token".to_owned(),
            ),
            "Map" => self.problem("$states.context.Map exists only inside a Map".to_owned()),
            other => {
                let hint = hint(other, ["Execution", "State", "StateMachine", "Task", "Map"]);
                self.problem(format!(
                    "the context object has no '{other}'{hint}; expected Execution, State, StateMachine, Task or Map"
                ));
            }
        }
    }
}
