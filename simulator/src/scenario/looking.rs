//! Somebody looks while a scenario is played.

use crate::{cloud::Cloud, glance::Glance};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep},
};

/// Sees what is there, about once a virtual second, and only after something has happened: virtual time since the job's
/// start, and the glance. What is played goes on as if nobody looked.
pub type Onlooker = Arc<dyn Fn(Duration, Glance) + Send + Sync>;

/// How often an onlooker looks at up to so many nodes.
const LOOK: Duration = Duration::from_secs(1);
const FEW: usize = 128;

/// Somebody who looks every second, until this is dropped.
pub struct Looking {
    task: AbortHandle,
    look: Box<dyn Fn() + Send + Sync>,
}

impl Looking {
    pub fn begin(cloud: &Cloud, nodes: usize, start: Instant, onlooker: Onlooker) -> Self {
        // What a glance costs grows with the fleet.
        let every = LOOK * (1 + (nodes / FEW) as u32);
        let happened = Arc::new(AtomicBool::new(true));
        let (of_bus, of_machine) = (happened.clone(), happened.clone());
        cloud
            .bus
            .on_put(move |_| of_bus.store(true, Ordering::Relaxed));
        cloud
            .stepfunctions
            .on_event(move |_, _| of_machine.store(true, Ordering::Relaxed));
        let seen = cloud.clone();
        let look = Arc::new(move || {
            // A table that cannot be read is told by whoever plays with it.
            if let Ok(glance) = Glance::of(&seen) {
                onlooker(start.elapsed(), glance);
            }
        });
        let again = look.clone();
        let task = tokio::spawn(async move {
            loop {
                if happened.swap(false, Ordering::Relaxed) {
                    again();
                }
                sleep(every).await;
            }
        });
        Self {
            task: task.abort_handle(),
            look: Box::new(move || look()),
        }
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.task.abort();
        (self.look)();
    }
}
