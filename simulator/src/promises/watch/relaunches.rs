//! Promise 1, told when an attempt becomes the current one: one relaunch an attempt, every rank or none, and only as the job's
//! policies and operators allow.

use super::{
    Inner, Life,
    writes::{number, text},
};
use serde_json::{Value, json};
use std::time::Duration;
use workers::{
    aws::address::{ADDRESS, ITSELF},
    decisions::exit::Exit,
    records::{launch::ATTEMPT_VARIABLE, rank_prefix},
    settings::ExitPolicy,
};

/// ECS forgets a stopped task after an hour, and how it ended.
const REMEMBERED: Duration = Duration::from_secs(3000);
/// The records count whole seconds, and from other moments than the events.
const ABOUT: Duration = Duration::from_secs(120);

impl Inner {
    /// An attempt becomes the current one.
    pub(super) fn committed(&mut self, item: &Value) {
        let job = text(item, "job_id");
        let attempt = number(item, "attempt").unwrap_or_default();
        let nodes = number(item, "nodes").unwrap_or_default();
        let before = self.current.insert(job.clone(), attempt).unwrap_or(1);
        self.relaunches.push((job.clone(), attempt));
        let now = self.clock.elapsed();
        self.began.insert((job.clone(), attempt), now);
        self.pace.relaunched(&job, attempt, now);
        if attempt != before + 1 {
            self.breaks(1, &format!("{job} went from attempt {before} to {attempt}"));
        }
        self.allowed(item, &job, attempt);
        let recorded = self.recorded(&job, attempt);
        self.on_good_nodes(&text(item, "relaunched_by"), &job, attempt, &recorded);
        self.told(&job, attempt, &recorded);
        let alive = |arn: &String| {
            let life = self.tasks.get(arn);
            life.is_some_and(|l| l.job == job && l.attempt == attempt)
        };
        let whole = recorded.len() == nodes as usize
            && recorded
                .iter()
                .enumerate()
                .all(|(rank, arn)| alive(arn) && self.tasks[arn].rank as usize == rank);
        if !whole {
            let what = format!(
                "{job} became attempt {attempt} with {} recorded tasks of {nodes} ranks, some of them not started for it",
                recorded.len()
            );
            self.breaks(1, &what);
        }
        let starting = recorded
            .iter()
            .filter(|arn| self.tasks.get(*arn).is_some_and(|life| !life.ran));
        let starting = starting.count();
        if starting > 0 {
            let what = format!(
                "{job} counts as running in attempt {attempt}, and {starting} of its ranks have not run"
            );
            self.breaks(4, &what);
        }
        let stray: Vec<String> = self
            .tasks
            .iter()
            .filter(|(arn, l)| l.job == job && !l.stopped && !recorded.contains(arn))
            .map(|(arn, l)| format!("rank {} of attempt {} ({arn})", l.rank, l.attempt))
            .collect();
        if let Some(first) = stray.first() {
            let what = format!(
                "{job} became attempt {attempt} beside {} tasks that are not in it: {first}",
                stray.len()
            );
            self.breaks(1, &what);
        }
    }

    /// The tasks in the items of an attempt's ranks, in the ranks' order.
    fn recorded(&self, job: &str, attempt: u32) -> Vec<String> {
        let query = json!({
            "TableName": self.job_table,
            "KeyConditionExpression": "job_id = :job AND begins_with(#r, :attempt)",
            "ExpressionAttributeNames": { "#r": "record" },
            "ExpressionAttributeValues": { ":job": { "S": job }, ":attempt": { "S": rank_prefix(attempt) } },
            "ConsistentRead": true,
        });
        let answer = self.tables.api("Query", query).unwrap_or_default();
        let items = answer["Items"].as_array().into_iter().flatten();
        items
            .filter_map(|item| item["task_arn"]["S"].as_str().map(str::to_owned))
            .collect()
    }

    /// No rank of the attempt before asked for no recovery, or was stopped by an operator; and the job has a relaunch left.
    fn allowed(&mut self, item: &Value, job: &str, attempt: u32) {
        // A job with policies of its own is a scenario's, which says how it is to end.
        let own = item["policies"]["M"].as_object();
        if own.is_some_and(|own| !own.is_empty()) {
            return;
        }
        let now = self.clock.elapsed();
        let settings = self.settings.clone();
        let against = |life: &Life| match life.end.classify(&settings) {
            Exit::StoppedByUser => Some("was stopped by an operator"),
            Exit::Abnormal if life.end.policy(&settings) == ExitPolicy::Fail => {
                Some("asked for no recovery")
            }
            _ => None,
        };
        let before = self.lives_of(job, attempt.saturating_sub(1));
        let why = before.into_iter().find_map(|life| {
            let lately = life.ended.is_some_and(|at| now - at < REMEMBERED);
            Some((life.rank, against(life).filter(|_| lately)?))
        });
        if let Some((rank, why)) = why {
            let what = format!("{job} became attempt {attempt}, and its rank {rank} {why}");
            self.breaks(1, &what);
        }
        let allowed = number(item, "recovery_attempts").unwrap_or(settings.recovery_attempts);
        // The one swap that was of no use does not count.
        let swap = u32::from(!item["swap"].is_null());
        let progress = Duration::from_secs(u64::from(settings.progress_minutes) * 60);
        let in_vain = (2..attempt)
            .rev()
            .take_while(|earlier| self.ran_for(job, *earlier) + ABOUT < progress)
            .count();
        if in_vain as u32 >= allowed + swap {
            let what = format!(
                "{job} is relaunched once more after {in_vain} relaunches in vain, it may be {allowed} times"
            );
            self.breaks(1, &what);
        }
    }

    /// How long an attempt ran, until the last of its ranks that ended by itself.
    fn ran_for(&self, job: &str, attempt: u32) -> Duration {
        let began = self.began.get(&(job.to_owned(), attempt)).copied();
        let lives = self.lives_of(job, attempt);
        let ends = lives
            .iter()
            .filter(|l| l.end.classify(&self.settings) != Exit::StoppedByUs);
        let ended = ends.filter_map(|life| life.ended).max();
        ended
            .unwrap_or_default()
            .saturating_sub(began.unwrap_or_default())
    }

    fn lives_of(&self, job: &str, attempt: u32) -> Vec<&Life> {
        let lives = self.tasks.values();
        lives
            .filter(|l| l.job == job && l.attempt == attempt)
            .collect()
    }

    /// Promise 3: no job gets a node whose last check found it bad. What another execution has checked, of another job on the same
    /// node or before it lost this job, this one may not know (docs/design.md, Limits).
    fn on_good_nodes(&mut self, by: &str, job: &str, attempt: u32, recorded: &[String]) {
        // What the codes of a check of the user's mean, the settings say.
        if !self.settings.own_health_check {
            return;
        }
        let executions = self.stepfunctions.executions();
        let Some(began) = executions.iter().find(|e| e.arn == by).map(|e| e.started) else {
            return;
        };
        let others = || executions.iter().filter(|e| e.arn != by);
        let alone = |at| others().all(|e| e.started > at || e.stopped.is_some_and(|end| end < at));
        let lives = recorded.iter().filter_map(|arn| self.tasks.get(arn));
        let bad = lives.map(|life| &life.instance).find(|node| {
            let last = self.last_checks.get(*node);
            last.is_some_and(|(code, at)| matches!(code, Some(1 | 2)) && *at > began && alone(*at))
        });
        if let Some(node) = bad {
            let what =
                format!("{job} became attempt {attempt} on {node}, which its last check found bad");
            self.breaks(3, &what);
        }
    }

    /// Promise 1: each rank is told in which attempt it is, and where rank 0 runs in this one.
    fn told(&mut self, job: &str, attempt: u32, recorded: &[String]) {
        let tasks: Vec<Value> = recorded
            .iter()
            .filter_map(|arn| self.fleet.task(arn))
            .collect();
        let Some(first) = tasks.first() else { return };
        let node = self.tasks.get(&recorded[0]).map(|life| &life.instance);
        let node = node.and_then(|node| self.fleet.instance(node));
        let mut at = vec![FIXED.to_owned()];
        at.extend(node.and_then(|node| node.attributes.get(ADDRESS).cloned().flatten()));
        let details = first["attachments"][0]["details"].as_array();
        let mut details = details.into_iter().flatten();
        let own = details.find(|detail| detail["name"] == "privateIPv4Address");
        at.extend(own.and_then(|own| own["value"].as_str().map(str::to_owned)));
        let mut wrong = Vec::new();
        for (rank, task) in tasks.iter().enumerate() {
            let (says, master) = (said(task, ATTEMPT_VARIABLE), said(task, "MASTER_ADDR"));
            if says != attempt.to_string() {
                wrong.push(format!("is told attempt '{says}' in attempt {attempt}"));
            }
            let itself = rank == 0 && master == ITSELF;
            if !itself && !at.contains(&master) {
                wrong.push(format!(
                    "is told that rank 0 is at '{master}', not at {at:?}"
                ));
            }
        }
        for what in wrong {
            self.breaks(1, &format!("a rank of {job} {what}"));
        }
    }
}

/// What the launcher of a plan gives where it leaves nothing open.
const FIXED: &str = "10.0.0.10";

/// A variable of a task's overrides.
fn said(task: &Value, variable: &str) -> String {
    let containers = task["overrides"]["containerOverrides"].as_array();
    let variables = containers
        .into_iter()
        .flatten()
        .filter_map(|container| container["environment"].as_array())
        .flatten();
    let mut named = variables.filter(|pair| pair["name"] == variable);
    let value = named.next().and_then(|pair| pair["value"].as_str());
    value.unwrap_or_default().to_owned()
}
