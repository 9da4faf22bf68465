//! Promise 4: a message says what is so. Told when it is published, of what the system says that it has done to nodes.

use super::{Inner, Watch, writes::text};
use crate::{sns::Sns, wire::Handler};
use serde_json::Value;
use std::sync::Arc;

impl Watch {
    /// The topic, under the eyes of the watch.
    pub(super) fn topic(&self, sns: &Sns) -> Handler {
        let (watch, sns) = (self.clone(), sns.clone());
        Arc::new(move |operation, body| {
            let answer = sns.api(operation, &body);
            if operation == "Publish" && answer.is_ok() {
                watch.with(|inner| inner.said(&body));
            }
            Box::pin(async move { answer })
        })
    }
}

impl Inner {
    fn said(&mut self, published: &Value) {
        let message = published["Message"].as_str().unwrap_or_default();
        let subject = published["Subject"].as_str().unwrap_or_default();
        let mut wrong = Vec::new();
        let mut back = 0;
        for line in message.lines() {
            let Some((node, what)) = of_a_node(line) else {
                continue;
            };
            let rebooted = self.reboots.iter().any(|(_, rebooted, _)| rebooted == node);
            if what.starts_with("rebooted") && !rebooted {
                wrong.push(format!("{node} was rebooted: it was not"));
            }
            let item = self.node_item(node);
            // Another job's recovery may quarantine it while the job works on it.
            let mut lives = self.tasks.values();
            let works = lives.any(|life| life.instance == node && !life.stopped);
            // An operator may have taken it out again, and knows.
            let by_hand = !item["by_hand"].is_null();
            let out = text(&item, "status") == "QUARANTINED" && !works && !by_hand;
            if what.ends_with("; back in service") {
                back += 1;
                if out {
                    wrong.push(format!("{node} is back in service: it is quarantined"));
                }
            }
        }
        // `RECOVERED llama-7b in 14 min: rebooted 2 instances (ranks 2, 5)`
        let said = subject.split(": ").nth(1).unwrap_or_default();
        let repaired = said
            .strip_prefix("rebooted ")
            .or(said.strip_prefix("repaired "));
        if let Some(who) = repaired {
            let first = who.split(' ').next().unwrap_or_default();
            let many = first.parse().unwrap_or(1);
            if many > back {
                wrong.push(format!("{said}: {back} are back in service"));
            }
        }
        for what in wrong {
            self.breaks(4, &format!("a message says that {what}"));
        }
    }
}

/// Of `  i-… (rank 3): rebooted, DCGM healthy; back in service` the node and the rest.
fn of_a_node(line: &str) -> Option<(&str, &str)> {
    let (node, rest) = line.trim_start().split_once(" (rank ")?;
    let is_node = node.starts_with("i-") || node.starts_with("mi-");
    let (_, what) = rest.split_once("): ").filter(|_| is_node)?;
    Some((node, what))
}
