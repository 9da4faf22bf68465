//! What kernels and drivers say when the first rank of all has ended.

use crate::cloud::Cloud;
use std::{
    cmp::Reverse,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What one node says then.
pub(crate) struct Host {
    pub id: String,
    /// Xids, and how long before they were logged.
    pub lines: Vec<(Duration, u32)>,
    /// What the driver asks for, by NVML's number.
    pub action: Option<u8>,
}

/// Lets the kernels log and the drivers ask, once.
pub(crate) fn log_at_first_end(cloud: &Cloud, mut hosts: Vec<Host>) {
    hosts.retain(|host| !host.lines.is_empty() || host.action.is_some());
    if hosts.is_empty() {
        return;
    }
    for host in &mut hosts {
        host.lines.sort_by_key(|(before, _)| Reverse(*before));
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
        for said in &hosts {
            let lines = said.lines.iter().map(|(before, xid)| (now - *before, *xid));
            fleet.change_host(&said.id, |host| {
                host.kernel.extend(lines);
                host.action = said.action.or(host.action);
            });
        }
    });
}
