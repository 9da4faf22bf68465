//! Promise 3, of what reads AVAILABLE: the next job gets it.

use super::End;
use std::collections::BTreeMap;
use workers::{
    decisions::diagnosis::{Reason, Verdict},
    records::{InstanceRecord, InstanceStatus, JobRecord},
};

impl End<'_> {
    /// No free instance is known to be bad, or was left unchecked.
    pub(super) fn free(
        &self,
        record: &InstanceRecord,
        jobs: &BTreeMap<String, JobRecord>,
        broken: &mut Vec<String>,
    ) {
        let id = record.instance_id.as_str();
        let available = record.status == InstanceStatus::Available;
        if available && record.keep_out.is_some() {
            broken.push(format!(
                "promise 3: {id} is AVAILABLE, and an operator wants it out of service"
            ));
        }
        // The item of a node that several jobs use is of one of them.
        let lives: Vec<_> = self
            .tasks
            .values()
            .filter(|life| life.instance == id)
            .collect();
        let one_job = lives.windows(2).all(|two| two[0].job == two[1].job);
        let runs = lives.iter().find(|life| !life.stopped);
        if let Some(life) = runs.filter(|_| available && one_job) {
            let (rank, job) = (life.rank, &life.job);
            broken.push(format!(
                "promise 3: {id} is AVAILABLE, and rank {rank} of {job} runs on it"
            ));
        }
        // What a record says may be older than a check that passed since: a healthy verdict is not always written there.
        let failed = self.scene.watch.last_check_failed(id);
        if !available || !failed {
            return;
        }
        // Where the check itself is in doubt, nobody is repaired or quarantined for what it said.
        let doubted = |job: &str| {
            let job = jobs.get(job);
            job.is_some_and(|job| job.reason.as_deref() == Some(Reason::CheckInDoubt.words()))
        };
        let mut here = self.tasks.values().filter(|life| life.instance == id);
        let said = record.last_verdict.as_deref().unwrap_or_default();
        let bad = [Verdict::Faulty, Verdict::NoAnswer].map(|verdict| verdict.to_string());
        if bad.iter().any(|bad| said.starts_with(bad)) && !here.any(|life| doubted(&life.job)) {
            broken.push(format!(
                "promise 3: {id} is AVAILABLE, and its last check said: {said}"
            ));
        }
    }
}
