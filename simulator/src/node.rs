//! What the scripts of `infra/nodes/` say on a simulated node. No shell is interpreted; `tests/nodes/simulated.rs` holds
//! these answers beside those of the real scripts.

use crate::ecs::InstanceView;
use std::{collections::BTreeMap, sync::LazyLock, time::SystemTime};
use workers::decisions::probe::gpu_set;

/// A node as its scripts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub boot_id: String,
    /// Seconds since the boot.
    pub uptime: u64,
    /// What nvidia-smi lists; `None` when it hangs.
    pub gpus: Option<Vec<String>>,
    /// Xids in the kernel's log with their age in seconds, oldest first.
    pub kernel: Vec<(u64, u32)>,
    /// The driver's recovery action, by NVML's number.
    pub action: Option<u8>,
    pub held: Held,
}

/// Who has a GPU open, from the one who forbids least to the one who forbids most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    None,
    Task,
    Orphan,
    Login,
}

/// How one run of a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    /// Its one line, without the line's end.
    pub line: String,
}

/// From weak to strong, as in docs/node-scripts.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Remedy {
    None,
    RestartApp,
    Inspect,
    Reset,
    Reboot,
    NoRebootHelps,
}

impl Remedy {
    const ALL: [(Self, &str); 6] = [
        (Self::None, "none"),
        (Self::RestartApp, "restart-app"),
        (Self::Inspect, "inspect"),
        (Self::Reset, "reset"),
        (Self::Reboot, "reboot"),
        (Self::NoRebootHelps, "no-reboot-helps"),
    ];

    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(remedy, _)| *remedy == self);
        found.map_or("", |(_, word)| word)
    }

    fn read(word: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == word);
        found.map(|(remedy, _)| *remedy)
    }
}

/// The table that the probe is generated from.
static XIDS: LazyLock<BTreeMap<u32, Remedy>> = LazyLock::new(|| {
    let rows = include_str!("../../infra/nodes/xids.csv").lines().skip(1);
    rows.filter_map(|row| {
        let mut cells = row.split(',');
        let xid = cells.next()?.parse().ok()?;
        Some((xid, Remedy::read(cells.nth(1)?)?))
    })
    .collect()
});

impl Node {
    /// The node that a fleet's instance is now.
    pub fn of(view: &InstanceView, now: SystemTime) -> Self {
        let ago = |at: SystemTime| now.duration_since(at).unwrap_or_default().as_secs();
        let host = &view.host;
        Self {
            boot_id: view.boot_id.clone(),
            uptime: ago(view.booted_at),
            gpus: (!host.smi_hangs).then(|| host.gpus.clone()),
            kernel: host
                .kernel
                .iter()
                .map(|(at, xid)| (ago(*at), *xid))
                .collect(),
            action: host.action,
            held: if host.login {
                Held::Login
            } else if host.orphan {
                Held::Orphan
            } else if view.gpus_in_use > 0 {
                Held::Task
            } else {
                Held::None
            },
        }
    }

    /// True when something that was seen in this very boot asks for a reset, a reboot or the node's removal.
    pub fn has_hardware_word(&self) -> bool {
        self.accused(self.uptime).0 >= Remedy::Reset
    }

    /// `probe.sh` for an attempt that began `since` seconds ago.
    pub fn probe(&self, since: u64) -> Said {
        let (remedy, cause, age) = self.accused(since);
        let age = age.map_or("-".to_owned(), |age| age.to_string());
        let gpus = match &self.gpus {
            None => "?:-".to_owned(),
            Some(gpus) if gpus.is_empty() => "0:-".to_owned(),
            Some(gpus) => gpu_set(gpus.iter().map(String::as_str)),
        };
        // A log of another boot may have lost its end.
        let log = if self.uptime >= since { "full" } else { "part" };
        let held = match self.held {
            Held::None => "none",
            Held::Task => "task",
            Held::Orphan => "orphan",
            Held::Login => "login",
        };
        Said {
            code: 0,
            line: format!(
                "probe1 {} {} {gpus} {} {cause} {age} {log} {held}",
                self.boot_id,
                self.uptime,
                remedy.word()
            ),
        }
    }

    /// `reboot.sh` with an order for this boot, good for its first `until` seconds.
    pub fn reboot(&self, order: &str, until: u64) -> Said {
        let said = |code, line| Said { code, line };
        if self.boot_id != order {
            return said(
                0,
                format!(
                    "nothing to do: the order is for boot {order}, this is boot {}",
                    self.boot_id
                ),
            );
        }
        if self.uptime > until {
            let line = format!(
                "nothing to do: the order was good for {until} s of this boot, it is {} s old",
                self.uptime
            );
            return said(0, line);
        }
        if self.held == Held::Login {
            let line = "refused: a login session holds a GPU: pid 4242 of ubuntu (python3)";
            return said(75, line.to_owned());
        }
        said(194, format!("rebooting: boot {order}"))
    }

    /// The strongest of all evidence; of two as strong the older, and one with an age before one without.
    fn accused(&self, since: u64) -> (Remedy, String, Option<u64>) {
        let mut found = (Remedy::None, "-".to_owned(), None);
        let mut accuse = |remedy: Remedy, cause: String, age: Option<u64>| {
            let older = age.is_some() && age > found.2;
            if remedy > found.0 || (remedy != Remedy::None && remedy == found.0 && older) {
                found = (remedy, cause, age);
            }
        };
        if self.gpus.is_none() {
            accuse(Remedy::Inspect, "hung".to_owned(), None);
        } else {
            // A driver that hangs does not tell its action either.
            match self.action {
                Some(action @ (1 | 3 | 4)) => accuse(Remedy::Reset, format!("act{action}"), None),
                Some(action @ (2 | 6 | 7)) => accuse(Remedy::Reboot, format!("act{action}"), None),
                Some(0) | None => {}
                Some(_) => accuse(Remedy::Inspect, "act?".to_owned(), None),
            }
        }
        for (age, xid) in &self.kernel {
            if *age > since {
                continue;
            }
            let known = XIDS.get(xid).copied().unwrap_or(Remedy::Inspect);
            // Another boot accuses nobody.
            let earlier = *age > self.uptime;
            let remedy = if earlier {
                known.min(Remedy::Inspect)
            } else {
                known
            };
            accuse(remedy, format!("xid{xid}"), Some(*age));
        }
        found
    }
}
