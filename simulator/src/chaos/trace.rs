//! Everything that happened in a schedule, line by line.

use super::{
    play::{ChaosOptions, play_plan_traced},
    report::ChaosReport,
};
use crate::{cloud::Cloud, plan::Plan, player::PlayError};
use serde_json::Value;
use std::{
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
};

/// A growing text. Clones are the same text.
#[derive(Clone, Default)]
pub(super) struct Trace(Arc<Mutex<String>>);

impl Trace {
    pub fn line(&self, cloud: &Cloud, what: std::fmt::Arguments<'_>) {
        let at = cloud.clock.elapsed().as_secs_f64();
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{at:12.3} {what}");
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down every reboot, and every event of the bus and of every execution.
    pub fn follow(&self, cloud: &Cloud) {
        let (trace, of) = (self.clone(), cloud.clone());
        cloud.stepfunctions.on_event(move |execution, event| {
            let name = execution.rsplit(':').next().unwrap_or_default();
            trace.line(&of, format_args!("execution {name} {event}"));
        });
        let (trace, of) = (self.clone(), cloud.clone());
        cloud.fleet.on_reboot(move |node, order| {
            trace.line(&of, format_args!("REBOOT {node} by {order}"));
        });
        let (trace, of) = (self.clone(), cloud.clone());
        cloud.bus.on_put(move |event| {
            let detail = &event["detail"];
            let what = ["taskArn", "ec2InstanceId", "executionArn", "instance-id"]
                .iter()
                .find_map(|name| detail[*name].as_str());
            let how = ["lastStatus", "status"]
                .iter()
                .find_map(|name| detail[*name].as_str());
            trace.line(
                &of,
                format_args!(
                    "event {} {} {} desired {} agent {} {} {}",
                    event["detail-type"],
                    what.unwrap_or_default(),
                    how.unwrap_or_default(),
                    detail["desiredStatus"],
                    detail["agentConnected"],
                    detail["stoppedReason"],
                    exit(detail),
                ),
            );
        });
    }
}

fn exit(detail: &Value) -> &Value {
    &detail["containers"][0]["exitCode"]
}

/// Plays the schedule of a seed and writes down everything that happens: the report first, then line by line.
///
/// # Errors
/// When it cannot be played at all.
pub fn trace_chaos(seed: u64, options: &ChaosOptions) -> Result<(ChaosReport, String), PlayError> {
    trace_plan(&Plan::of(seed), options)
}

/// The same for a plan.
///
/// # Errors
/// As [`trace_chaos`]'s.
pub fn trace_plan(plan: &Plan, options: &ChaosOptions) -> Result<(ChaosReport, String), PlayError> {
    let trace = Trace::default();
    let (report, _) = play_plan_traced(plan, options, Some(&trace))?;
    let text = format!("{report}\n{}", trace.take());
    Ok((report, text))
}
