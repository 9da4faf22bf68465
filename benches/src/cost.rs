//! What a recovery costs, by the size of the job.

use crate::{
    page::{table, thousands},
    site::{Plan, Site, SiteError, in_virtual_time, play},
    usage::Usage,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// Sizes of the job, in ranks.
pub const SIZES: [u32; 5] = [1, 8, 64, 512, 1024];
/// More bad instances at once are not rebooted: MAX_FAULTY_INSTANCES.
const MANY: u32 = 16;
/// Unrelated items in each table, for the rows that have them.
pub const UNRELATED: u32 = 100_000;

/// One measured recovery.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub ranks: u32,
    pub faulty: u32,
    pub usage: Usage,
}

/// Plays one recovery, beside so many unrelated items in each table.
///
/// # Errors
/// [`SiteError`].
pub fn measure(ranks: u32, faulty: u32, unrelated: u32) -> Result<Row, SiteError> {
    played(&Plan {
        faulty,
        unrelated,
        ..Plan::job(ranks)
    })
}

fn played(plan: &Plan) -> Result<Row, SiteError> {
    play(plan, async |site| {
        let context = site.cloud.lambda.context("report");
        let job = context.jobs.get(&site.jobs[0]).await?;
        if job.is_none_or(|job| job.attempt != 2 || job.status.to_string() != "IN_PROGRESS") {
            return Err(SiteError::NotRecovered(site.jobs[0].to_string()));
        }
        Ok(Row {
            ranks: plan.nodes,
            faulty: plan.faulty,
            usage: Usage::since(&site.cloud, site.dies_at),
        })
    })
}

/// A row for each size, with one bad instance, where every rank aborts with it.
///
/// # Errors
/// [`SiteError`].
pub fn with_all_aborting(sizes: &[u32]) -> Result<Vec<Row>, SiteError> {
    let plan = |ranks| Plan {
        all_abort: true,
        ..Plan::job(ranks)
    };
    sizes.iter().map(|ranks| played(&plan(*ranks))).collect()
}

/// A row for each size, with one bad instance.
///
/// # Errors
/// [`SiteError`].
pub fn with_one_bad(sizes: &[u32]) -> Result<Vec<Row>, SiteError> {
    sizes.iter().map(|ranks| measure(*ranks, 1, 0)).collect()
}

/// A row for each size above one, with as many bad instances as are repaired at once, where every rank aborts with them: of
/// bad ones alone, or of more than half, the check would be in doubt.
///
/// # Errors
/// [`SiteError`].
pub fn with_many_bad(sizes: &[u32]) -> Result<Vec<Row>, SiteError> {
    let plan = |ranks: u32| Plan {
        faulty: (ranks / 2).min(MANY),
        all_abort: true,
        ..Plan::job(ranks)
    };
    let sizes = sizes.iter().filter(|ranks| **ranks > 1);
    sizes.map(|ranks| played(&plan(*ranks))).collect()
}

/// What is counted.
pub fn counts_table(rows: &[Row]) -> String {
    let head = [
        "ranks",
        "bad",
        "AWS calls",
        "DynamoDB",
        "ECS",
        "read units",
        "write units",
        "transitions",
        "events",
        "largest payload, bytes",
        "Lambda runs",
        "Lambda ms",
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let usage = &row.usage;
            vec![
                thousands(row.ranks.into()),
                row.faulty.to_string(),
                thousands(usage.calls_to("")),
                thousands(usage.calls_to("dynamodb")),
                thousands(usage.calls_to("ecs")),
                format!("{:.1}", usage.read_units),
                format!("{:.1}", usage.write_units),
                thousands(usage.state_transitions),
                thousands(usage.history_events),
                thousands(usage.largest_payload as u64),
                thousands(usage.lambda_invocations),
                thousands(usage.lambda_milliseconds),
            ]
        })
        .collect();
    table(&head, &rows)
}

fn in_ranks(ranks: u32) -> String {
    match ranks {
        1 => "1 rank".to_owned(),
        _ => format!("{} ranks", thousands(ranks.into())),
    }
}

/// What it costs in US dollars.
pub fn bill_table(rows: &[Row]) -> String {
    let names: Vec<String> = rows.iter().map(|row| in_ranks(row.ranks)).collect();
    let mut head = vec!["US dollars"];
    head.extend(names.iter().map(String::as_str));
    let bills: Vec<_> = rows.iter().map(|row| row.usage.bill()).collect();
    let mut lines: Vec<Vec<String>> = (0..bills.first().map_or(0, Vec::len))
        .map(|line| {
            let name = bills[0][line].item.to_owned();
            let dollars = bills
                .iter()
                .map(|bill| format!("{:.6}", bill[line].dollars));
            std::iter::once(name).chain(dollars).collect()
        })
        .collect();
    let sums = rows
        .iter()
        .map(|row| format!("**{:.6}**", row.usage.dollars()));
    lines.push(std::iter::once("**all**".to_owned()).chain(sums).collect());
    table(&head, &lines)
}

/// What one look for lost stops takes beside one running job of so many ranks.
///
/// # Errors
/// [`SiteError`].
pub fn of_a_look(ranks: u32) -> Result<Usage, SiteError> {
    in_virtual_time(async {
        let site = Site::new(&Plan::job(ranks)).await?;
        sleep(Duration::from_secs(60)).await;
        let since = site.cloud.clock.now();
        let looked = site
            .cloud
            .lambda
            .invoke("look-for-lost-stops", json!({}))
            .await;
        let usage = Usage::since(&site.cloud, since);
        site.cloud.dissolve();
        looked.map_err(|e| SiteError::Look(e.cause))?;
        Ok(usage)
    })
}

/// What the looks cost in a month, in words.
pub fn looks_line(looks: &[(u32, Usage)]) -> String {
    /// Every five minutes of thirty days.
    const LOOKS: u32 = 12 * 24 * 30;
    let looks: Vec<String> = looks
        .iter()
        .map(|(ranks, usage)| {
            let cents = usage.dollars() * f64::from(LOOKS) * 100.0;
            format!("{cents:.1} cents beside a job of {}", in_ranks(*ranks))
        })
        .collect();
    format!(
        "Lost stop events are looked for every five minutes: {} looks a month, which cost {}.\n",
        thousands(LOOKS.into()),
        looks.join(", ")
    )
}

/// The few figures of the README.
pub fn summary_table(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.ranks > 1).collect();
    let names: Vec<String> = rows.iter().map(|row| in_ranks(row.ranks)).collect();
    let mut head = vec!["one recovery"];
    head.extend(names.iter().map(String::as_str));
    let line = |name: &str, of: &dyn Fn(&Usage) -> String| -> Vec<String> {
        let cells = rows.iter().map(|row| of(&row.usage));
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let lines = [
        line("AWS calls", &|usage| thousands(usage.calls_to(""))),
        line("state transitions", &|usage| {
            thousands(usage.state_transitions)
        }),
        line("DynamoDB read and write units", &|usage| {
            thousands((usage.read_units + usage.write_units).ceil() as u64)
        }),
        line("US dollars", &|usage| format!("{:.4}", usage.dollars())),
    ];
    table(&head, &lines)
}

/// What the original design reads beside nothing and beside unrelated items, in words.
pub fn reads_line(ours: &Row, [alone, crowded]: [f64; 2]) -> String {
    format!(
        "The original design reads its whole table four times to find 8 ranks: {alone:.1} read units when nothing else is in it, {} \
         beside {} unrelated items. This system: {:.1} in both.\n",
        thousands(crowded as u64),
        thousands(UNRELATED.into()),
        ours.usage.read_units
    )
}
