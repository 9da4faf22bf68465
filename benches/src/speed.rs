//! How fast the simulator is, on one core.

use crate::{
    page::{table, thousands},
    site::in_virtual_time,
};
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use simulator::{
    chaos::{ChaosOptions, play_chaos},
    clock::Clock,
    scenario::{PlayError, PlayOptions, builtin, play},
    wire::{Handler, Wire},
};
use std::{
    error::Error,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// What was played.
#[derive(Debug, Clone)]
pub struct Speed {
    pub what: &'static str,
    pub played: u64,
    pub took: Duration,
    /// AWS calls on the wire; 0 where they are not counted.
    pub calls: u64,
}

/// Plays single-fault recoveries of 8 nodes, each in an account of its own, for so long.
///
/// # Errors
/// When one cannot be played or is not recovered.
pub fn recoveries(wanted: Duration) -> Result<Speed, String> {
    let scenario = builtin("gpu-fault")
        .ok_or("no scenario gpu-fault")?
        .map_err(|e| e.to_string())?;
    let mut options = PlayOptions::default();
    let once = |options: &PlayOptions| -> Result<u64, String> {
        let report = play(&scenario, options).map_err(|e| e.to_string())?;
        if !report.passed {
            return Err(format!("seed {}: {:?}", options.seed, report.unmet));
        }
        Ok(report.wire_calls.len() as u64)
    };
    // Schemas and the definition are read once a process.
    once(&options)?;
    let (begin, mut played, mut calls) = (Instant::now(), 0, 0);
    while begin.elapsed() < wanted {
        options.seed += 1;
        calls += once(&options)?;
        played += 1;
    }
    Ok(Speed {
        what: "recoveries of one bad GPU, 8 nodes",
        played,
        took: begin.elapsed(),
        calls,
    })
}

/// Calls GetItem for so long, of a service that answers at once: what the SDK and the wire alone take.
///
/// # Errors
/// When there is no runtime, or the SDK refuses the answer.
pub fn calls_alone(wanted: Duration) -> Result<Speed, Box<dyn Error>> {
    in_virtual_time(async {
        let wire = Wire::new(Clock::default(), 1);
        let item = json!({ "Item": {
            "instance_id": { "S": "i-0123456789abcdef0" },
            "status": { "S": "ACTIVE" },
            "holder": { "S": "recovery-of-job-1" },
            "version": { "N": "7" },
        } });
        let answer: Handler = Arc::new(move |_, _| {
            let item = item.clone();
            Box::pin(async move { Ok(item) })
        });
        wire.register("dynamodb", answer);
        let client = wire.dynamodb("bench");
        let (begin, mut played) = (Instant::now(), 0);
        while begin.elapsed() < wanted {
            let id = AttributeValue::S("i-0123456789abcdef0".to_owned());
            let get = client.get_item().table_name("ecs_container_instance");
            let get = get.key("instance_id", id).consistent_read(true);
            get.send().await?;
            played += 1;
        }
        Ok(Speed {
            what: "calls of GetItem, answered at once",
            played,
            took: begin.elapsed(),
            calls: played,
        })
    })
}

/// Plays chaos schedules from seed 1 on for so long.
///
/// # Errors
/// When one cannot be played.
pub fn schedules(wanted: Duration) -> Result<Speed, PlayError> {
    let options = ChaosOptions::default();
    let (begin, mut played, mut calls) = (Instant::now(), 0, 0);
    while begin.elapsed() < wanted {
        played += 1;
        calls += play_chaos(played, &options)?.counts.calls as u64;
    }
    Ok(Speed {
        what: "chaos schedules",
        played,
        took: begin.elapsed(),
        calls,
    })
}

/// One row each.
pub fn speed_table(speeds: &[Speed]) -> String {
    let rows: Vec<Vec<String>> = speeds
        .iter()
        .map(|speed| {
            let seconds = speed.took.as_secs_f64();
            vec![
                speed.what.to_owned(),
                thousands(speed.played),
                format!("{seconds:.1}"),
                format!("{:.2}", speed.played as f64 / seconds),
                match speed.calls {
                    0 => String::new(),
                    calls => format!("{:.0}", seconds * 1e6 / calls as f64),
                },
            ]
        })
        .collect();
    table(
        &[
            "on one core",
            "played",
            "seconds",
            "a second",
            "µs an AWS call",
        ],
        &rows,
    )
}

/// One recovery of one bad GPU played by ministack, an independent emulator: the same definition and the real
/// bootstraps, as the end-to-end test plays it.
///
/// # Errors
/// Why it was not played, in plain words.
pub fn ministack(root: &Path) -> Result<Speed, String> {
    const TEST: &str = "ok   a_gpu_fault_is_recovered_and_told (";
    let python = root.join("target/ci-e2e-venv/bin/python");
    if !python.exists() {
        return Err(
            "not installed; .ci/e2e/run.sh installs it and builds the bootstraps".to_owned(),
        );
    }
    let output = Command::new(python)
        .args(["-B", ".ci/e2e/e2e.py"])
        .current_dir(root)
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix(TEST)?.strip_suffix(" s)")?.parse().ok());
    let seconds: f64 = seconds.ok_or("the end-to-end test did not play it; run .ci/e2e/run.sh")?;
    Ok(Speed {
        what: "recovery of one bad GPU, 3 nodes, in ministack",
        played: 1,
        took: Duration::from_secs_f64(seconds),
        calls: 0,
    })
}
