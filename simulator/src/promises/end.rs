//! The promises that can be told only when nothing happens any more.

mod free;

use super::{Life, MAX_ATTEMPTS, Scene};
use crate::{
    faults::role,
    sns::Notification,
    stepfunctions::{ExecutionStatus, ExecutionView},
};
use std::collections::{BTreeMap, BTreeSet};
use workers::{
    WorkerError,
    decisions::exit::Exit,
    ids::{InstanceId, JobId},
    records::{InstanceStatus, JobRecord, JobStatus, RankRecord, RankStatus},
    settings::{ExitPolicy, PersonStop},
};

/// What was found.
#[derive(Default)]
pub(crate) struct Verdict {
    pub broken: Vec<String>,
    pub jobs: Vec<String>,
    pub quarantined: usize,
    pub notifications: usize,
    pub calls: usize,
}

/// Everything that is read at the end.
struct End<'a> {
    scene: &'a Scene<'a>,
    executions: Vec<ExecutionView>,
    published: Vec<Notification>,
    tasks: BTreeMap<String, Life>,
}

/// What was found when nothing happened any more.
///
/// # Errors
/// When the records cannot be read.
pub(crate) async fn kept(scene: &Scene<'_>) -> Result<Verdict, WorkerError> {
    let mut verdict = Verdict {
        broken: scene.watch.broken(),
        ..Verdict::default()
    };
    let end = End {
        scene,
        executions: scene.cloud.stepfunctions.executions(),
        published: scene.cloud.sns.published(),
        tasks: scene.watch.tasks(),
    };
    verdict.notifications = end.published.len();
    end.executions(&mut verdict.broken);
    let so_far = verdict.broken.len();
    let jobs = end.jobs(&mut verdict).await?;
    end.instances(&jobs, &mut verdict).await?;
    if end.waits_for_an_operator() {
        // What failed keeps what it holds until its redrive: nothing of that is stuck.
        let of_records = verdict.broken.split_off(so_far).into_iter();
        let others = of_records.filter(|broken| !broken.starts_with("promise 3"));
        verdict.broken.extend(others);
    }
    let marks = scene.watch.new_marks();
    if marks > 0 {
        let what = format!("promise 8: {marks} nodes are marked as spares that nobody has marked");
        verdict.broken.push(what);
    }
    end.cost(&mut verdict);
    Ok(verdict)
}

impl End<'_> {
    fn told(&self, event: &str, of: &[(&str, &str)]) -> bool {
        self.published.iter().any(|n| {
            let is = |name: &str, value: &str| n.attributes.get(name).is_some_and(|v| v == value);
            is("event", event) && of.iter().all(|(name, value)| is(name, value))
        })
    }

    /// An execution failed, and nobody has redriven it.
    fn waits_for_an_operator(&self) -> bool {
        let red = |execution: &ExecutionView| {
            !matches!(
                execution.status,
                ExecutionStatus::Running | ExecutionStatus::Succeeded
            )
        };
        !self.scene.redriven && self.executions.iter().any(red)
    }

    /// Promises 3 and 4, of executions.
    fn executions(&self, broken: &mut Vec<String>) {
        let letters: Vec<String> = self
            .scene
            .cloud
            .lambda
            .dead_letters()
            .into_iter()
            .map(|(_, event)| event.to_string())
            .collect();
        for execution in &self.executions {
            let error = execution.error.as_deref().unwrap_or_default();
            let cause = execution.cause.as_deref().unwrap_or_default();
            match execution.status {
                ExecutionStatus::Running => {
                    broken.push(format!("promise 3: {} still runs", execution.arn));
                }
                ExecutionStatus::Succeeded => {}
                // Another execution has the job: this one has no say any more, and an operator was told so.
                ExecutionStatus::Failed if error == "ClaimLost" => {}
                _ if !self.scene.redriven => {}
                status => broken.push(format!(
                    "promise 3: {} is {} after {} redrives in calm weather: {error} {cause}",
                    execution.arn,
                    status.as_str(),
                    execution.redrive_count
                )),
            }
            let bad = execution.redrive_count > 0
                || !matches!(
                    execution.status,
                    ExecutionStatus::Running | ExecutionStatus::Succeeded
                );
            let told = self.told("ExecutionEndedBadly", &[("execution", &execution.arn)]);
            let alarmed = letters.iter().any(|l| l.contains(&execution.arn));
            if bad && !told && !alarmed {
                broken.push(format!(
                    "promise 4: {} ended badly and nobody was told",
                    execution.arn
                ));
            }
        }
    }

    async fn jobs(
        &self,
        verdict: &mut Verdict,
    ) -> Result<BTreeMap<String, JobRecord>, WorkerError> {
        let context = self.scene.cloud.lambda.context("report");
        let mut jobs = BTreeMap::new();
        for id in &self.scene.jobs {
            let job_id = JobId::new(*id);
            let Some(job) = context.jobs.get(&job_id).await? else {
                continue;
            };
            let ranks = context.jobs.ranks(&job_id, job.attempt).await?;
            verdict.jobs.push(format!(
                "{id}: {} in attempt {}, {}",
                job.status,
                job.attempt,
                job.reason.as_deref().unwrap_or_default()
            ));
            self.job(&job, &ranks, &mut verdict.broken);
            jobs.insert((*id).to_owned(), job);
        }
        Ok(jobs)
    }

    /// Promises 1, 3 and 4, of one job.
    fn job(&self, job: &JobRecord, ranks: &[RankRecord], broken: &mut Vec<String>) {
        let id = job.job_id.as_str();
        let running: Vec<&Life> = self
            .tasks
            .values()
            .filter(|life| life.job == id && !life.stopped)
            .collect();
        let of_others = running.iter().filter(|l| l.attempt != job.attempt).count();
        if of_others > 0 {
            broken.push(format!(
                "promise 1: {of_others} tasks of {id} run that are not of its attempt {}",
                job.attempt
            ));
        }
        if job.attempt >= MAX_ATTEMPTS {
            broken.push(format!("promise 1: {id} was relaunched without end"));
        }
        for attempt in 1..job.attempt {
            let attempt = attempt.to_string();
            if !self.told("JobRecovered", &[("job_id", id), ("attempt", &attempt)]) {
                broken.push(format!(
                    "promise 4: {id} was relaunched after attempt {attempt} and nobody was told"
                ));
            }
        }
        match job.status {
            JobStatus::PendingHealthcheck | JobStatus::PendingRestart | JobStatus::Restarting => {
                broken.push(format!(
                    "promise 3: {id} is left {}, held by {}",
                    job.status,
                    job.holder
                        .as_ref()
                        .map_or("nobody", |holder| holder.as_str())
                ));
            }
            JobStatus::InProgress => self.in_progress(job, ranks, broken),
            JobStatus::Complete => {
                if !running.is_empty() || job.done_ranks.len() != job.nodes as usize {
                    broken.push(format!(
                        "promise 3: {id} is COMPLETE, {} of its ranks are done and {} run",
                        job.done_ranks.len(),
                        running.len()
                    ));
                }
            }
            JobStatus::Failed => {
                let declared = job.failed_by.is_some();
                if declared && !self.told("JobFailed", &[("job_id", id)]) {
                    broken.push(format!("promise 4: {id} is FAILED and nobody was told"));
                }
                let stuck = job.reason.as_deref() == Some("some tasks of the job do not stop");
                if !running.is_empty() && !stuck {
                    broken.push(format!(
                        "promise 3: {id} is FAILED, {} of its tasks run",
                        running.len()
                    ));
                }
            }
            JobStatus::UserStopped => {
                if !self.scene.hands.stopped.contains(id) {
                    broken.push(format!(
                        "promise 3: {id} is USER_STOPPED, and no user stopped it"
                    ));
                }
                if !self.told("JobStopped", &[("job_id", id)]) {
                    broken.push(format!(
                        "promise 4: {id} is USER_STOPPED and nobody was told"
                    ));
                }
                let policies = self.scene.cloud.settings.of_job(&job.policies);
                let left =
                    policies.person_stop == PersonStop::Leave || self.scene.hands.left.contains(id);
                if !running.is_empty() && !left {
                    broken.push(format!(
                        "promise 3: {id} is USER_STOPPED, {} of its tasks run",
                        running.len()
                    ));
                }
            }
        }
        if job.has_ended() && job.holder.is_some() {
            broken.push(format!("promise 3: {id} is {} and still held", job.status));
        }
    }

    /// Every rank runs, is done, or ended in a way that the settings leave alone; and not all of them are done.
    fn in_progress(&self, job: &JobRecord, ranks: &[RankRecord], broken: &mut Vec<String>) {
        let settings = self.scene.cloud.settings.of_job(&job.policies);
        if job.holder.is_some() {
            broken.push(format!("promise 3: {} is IN_PROGRESS and held", job.job_id));
        }
        if job.done_ranks.len() == job.nodes as usize {
            broken.push(format!(
                "promise 3: {} is IN_PROGRESS, and all of its ranks are done",
                job.job_id
            ));
        }
        for rank in ranks {
            let Some(life) = self.tasks.get(rank.task_arn.as_str()) else {
                broken.push(format!(
                    "promise 1: rank {} of {} is recorded with a task that never was",
                    rank.rank, job.job_id
                ));
                continue;
            };
            let end = &life.end;
            let left_alone = match end.classify(&settings) {
                Exit::Abnormal => match end.policy(&settings) {
                    ExitPolicy::Ignore => true,
                    ExitPolicy::Tell => self.told("Told", &[("job_id", job.job_id.as_str())]),
                    ExitPolicy::Recover | ExitPolicy::Fail => false,
                },
                Exit::Completed => job.done_ranks.contains(&rank.rank),
                Exit::StoppedByUs | Exit::StoppedByUser => false,
            };
            if life.stopped && !left_alone {
                broken.push(format!(
                    "promise 4: {} is IN_PROGRESS in attempt {}, and its rank {} has ended unseen: {} {}",
                    job.job_id,
                    job.attempt,
                    rank.rank,
                    end.stop_code.as_deref().unwrap_or_default(),
                    end.words(&settings).unwrap_or_default()
                ));
            }
            if !life.stopped && rank.expires_at.is_some() {
                broken.push(format!(
                    "promise 3: rank {} of {} runs, and its item expires",
                    rank.rank, job.job_id
                ));
            }
            if !life.stopped && rank.status == RankStatus::Stopped {
                broken.push(format!(
                    "promise 3: rank {} of {} runs and is recorded STOPPED",
                    rank.rank, job.job_id
                ));
            }
        }
        if ranks.len() != job.nodes as usize {
            broken.push(format!(
                "promise 1: {} has {} ranks recorded of {}",
                job.job_id,
                ranks.len(),
                job.nodes
            ));
        }
    }

    /// Promise 3, of instances.
    async fn instances(
        &self,
        jobs: &BTreeMap<String, JobRecord>,
        verdict: &mut Verdict,
    ) -> Result<(), WorkerError> {
        let Scene { cloud, hands, .. } = self.scene;
        let context = cloud.lambda.context("report");
        for view in cloud.fleet.instances() {
            let record = context
                .instances
                .get(&InstanceId::new(view.id.as_str()))
                .await?;
            let status = record.as_ref().map(|r| r.status);
            let quarantined = status == Some(InstanceStatus::Quarantined);
            verdict.quarantined += usize::from(quarantined);
            let by_person = hands.cordoned.contains(&view.id);
            let gone = hands.deregistered.contains(&view.id);
            let mut breaks = |what: String| {
                verdict
                    .broken
                    .push(format!("promise 3: {} {what}", view.id));
            };
            // An operator wants it out while its job runs: it is quarantined when that ends.
            let kept_out = record.as_ref().is_some_and(|r| r.keep_out.is_some());
            if view.status == "DRAINING" && !quarantined && !by_person && !kept_out {
                let said = status.map_or("nothing".to_owned(), |status| status.to_string());
                breaks(format!("is left DRAINING, its item says {said}"));
            }
            if quarantined && view.status == "ACTIVE" && !by_person {
                breaks("is QUARANTINED and takes tasks".to_owned());
            }
            let Some(record) = record else {
                continue;
            };
            if let Some(holder) = &record.holder {
                breaks(format!("is left {} and held by {holder}", record.status));
            }
            if record.status == InstanceStatus::Rebooting {
                breaks("is left REBOOTING".to_owned());
            }
            let job = record.job_id.as_ref().map(JobId::as_str);
            // A rank that an operator left running has its instance until it ends.
            let runs = self.tasks.values().any(|life| {
                life.instance == view.id && !life.stopped && Some(life.job.as_str()) == job
            });
            let works = job
                .and_then(|job| jobs.get(job))
                .is_none_or(|job| job.status == JobStatus::InProgress || runs);
            if !works && !quarantined && !gone {
                breaks(format!(
                    "is left {} for {}, which has ended",
                    record.status,
                    job.unwrap_or_default()
                ));
            }
            self.free(&record, jobs, &mut verdict.broken);
        }
        Ok(())
    }

    /// Promise 7: no Scan; calls grow with the ranks and with how often executions ran.
    fn cost(&self, verdict: &mut Verdict) {
        // A run stops, checks, reboots and relaunches at the most; the polls of a stop that does not end weigh most.
        const PER_RUN: usize = 1500;
        const PER_RUN_AND_RANK: usize = 60;
        let system: BTreeSet<&str> = ["deploy", "launcher", "report", "person"].into();
        let calls = self.scene.cloud.wire.calls();
        let ours = calls.iter().filter(|c| !system.contains(role(&c.caller)));
        verdict.calls = ours.clone().count();
        if ours.clone().any(|call| call.action == "Scan") {
            verdict
                .broken
                .push("promise 7: a table was scanned".to_owned());
        }
        let runs = self.executions.len() + self.scene.hands.redrives as usize;
        let bound = (runs + 1) * (PER_RUN + PER_RUN_AND_RANK * self.scene.ranks);
        if verdict.calls > bound {
            verdict.broken.push(format!(
                "promise 7: {} calls, the bound is {bound}",
                verdict.calls
            ));
        }
    }
}
