//! Checks of the whole: every state is reached, every flow ends, and which variables are read that were never
//! assigned.

use super::{
    analysis::is_function,
    fields::Notes,
    read::{FlowFacts, StateFacts},
};
use crate::nearest;
use std::{collections::BTreeSet, sync::Arc};

type Names = BTreeSet<Arc<str>>;

/// Checks a flow and the flows in it. `outer`: the variables of the scopes around it that may have a value here, and all
/// names that those scopes assign. A flow with a state that could not be read is not checked: what it lacks would look
/// like further errors.
pub(super) fn check(flow: &FlowFacts, outer: &Names, outer_names: &Names, notes: &mut Notes) {
    let Some(start) = flow.start.filter(|_| flow.complete) else {
        return;
    };
    let visible = variables(flow, start, outer);
    if !flow.states.iter().any(ends) {
        notes.error(
            flow.pointer.clone(),
            "no state ends the flow; expected a Succeed, a Fail, or \"End\": true",
        );
    }
    let mut names: Vec<(usize, bool, Arc<str>)> = Vec::new();
    for (index, state) in flow.states.iter().enumerate() {
        for edge in &state.edges {
            for name in &edge.assigned {
                if outer_names.contains(name) {
                    // "a variable assigned in an inner scope cannot have the same name as one assigned in an outer
                    // scope" (https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html).
                    notes.error(
                        super::error::join(&edge.pointer, name),
                        format!("${name} belongs to the scope around this one, which alone may assign it"),
                    );
                }
                names.push((index, edge.caught, name.clone()));
            }
        }
    }
    for ((index, state), visible) in flow.states.iter().enumerate().zip(visible) {
        let Some(visible) = visible else {
            notes.error(
                state.pointer.clone(),
                format!("no path from StartAt reaches '{}'", state.name),
            );
            continue;
        };
        for (pointer, name) in &state.uses {
            if !visible.contains(name) && !is_function(name) {
                let hint = nearest::nearest(name, visible.iter().map(|known| &**known))
                    .map_or_else(String::new, |known| format!(" (did you mean ${known}?)"));
                notes.warn(
                    pointer.clone(),
                    format!(
                        "${name} is read, but assigned on no path that leads here{hint}; AWS accepts this, and the \
                         state fails"
                    ),
                );
            }
        }
        // What the state's own Catch assigns, its flows inside may assign as well: recorded on AWS of a Parallel.
        let seen_inside = names
            .iter()
            .filter(|(of, caught, _)| *of != index || !caught)
            .map(|(_, _, name)| name.clone());
        let inner_names: Names = outer_names.iter().cloned().chain(seen_inside).collect();
        for inner in &state.inner {
            check(inner, &visible, &inner_names, notes);
        }
    }
}

fn ends(state: &StateFacts) -> bool {
    state.edges.iter().any(|edge| edge.to.is_none())
}

/// For each state that is reached, the variables that may have a value when it is entered.
fn variables(flow: &FlowFacts, start: usize, outer: &Names) -> Vec<Option<Names>> {
    let mut visible: Vec<Option<Names>> = vec![None; flow.states.len()];
    visible[start] = Some(outer.clone());
    let mut changed = vec![start];
    while let Some(index) = changed.pop() {
        let Some(here) = visible[index].clone() else {
            continue;
        };
        for edge in &flow.states[index].edges {
            let Some(to) = edge.to else {
                continue;
            };
            let mut there = here.clone();
            there.extend(edge.assigned.iter().cloned());
            let merged = match &visible[to] {
                Some(known) if known.is_superset(&there) => continue,
                Some(known) => known.union(&there).cloned().collect(),
                None => there,
            };
            visible[to] = Some(merged);
            changed.push(to);
        }
    }
    visible
}
