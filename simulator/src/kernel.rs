//! What kernels and drivers say when the first rank of all has ended.

use crate::{cloud::Cloud, plan::Node};
use std::{
    cmp::Reverse,
    sync::atomic::{AtomicBool, Ordering},
};

/// Lets the kernels log and the drivers ask, once.
pub(crate) fn log_at_first_end(cloud: &Cloud, nodes: &[Node]) {
    let says = |node: &&Node| !node.kernel.is_empty() || node.driver_action.is_some();
    let mut nodes: Vec<Node> = nodes.iter().filter(says).cloned().collect();
    if nodes.is_empty() {
        return;
    }
    for node in &mut nodes {
        node.kernel.sort_by_key(|(before, _)| Reverse(*before));
    }
    let (fleet, clock) = (cloud.fleet.clone(), cloud.clock);
    let logged = AtomicBool::new(false);
    cloud.bus.on_put(move |event| {
        let ended = event["detail-type"] == "ECS Task State Change"
            && event["detail"]["lastStatus"] == "STOPPED";
        if !ended || logged.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = clock.now();
        for node in &nodes {
            let lines = node
                .kernel
                .iter()
                .map(|(before, xid)| (now - *before, *xid));
            fleet.change_host(&node.id, |host| {
                host.kernel.extend(lines);
                host.action = node.driver_action.or(host.action);
            });
        }
    });
}
