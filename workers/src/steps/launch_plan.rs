//! What each rank of a relaunch is started as, and where.

use crate::{
    WorkerError,
    decisions::diagnosis::Place,
    ids::{ContainerInstanceArn, InstanceId, TaskArn},
    records::{JobRecord, RankRecord, RankStatus, launch::LaunchSpec, rank_key},
};

/// One rank to start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Start {
    /// As it was, but for the place of one that moves.
    pub old: RankRecord,
    pub instance: InstanceId,
    pub launch: LaunchSpec,
}

/// Every rank with its instance and launch, or a clear word why not.
pub(super) fn plan(
    job: &JobRecord,
    ranks: &[RankRecord],
    places: &[Place],
) -> Result<Vec<Start>, WorkerError> {
    let complete = ranks.len() == job.nodes as usize
        && ranks.iter().enumerate().all(|(i, r)| r.rank as usize == i);
    if !complete {
        return Err(WorkerError::CorruptRecord(format!(
            "job {}: {} of {} ranks are recorded for attempt {}; fix the rank items by hand",
            job.job_id,
            ranks.len(),
            job.nodes,
            job.attempt
        )));
    }
    ranks
        .iter()
        .map(|rank| {
            let known = rank.instance_id.clone().zip(rank.launch.clone());
            let (instance, launch) = known.ok_or_else(|| {
                WorkerError::CorruptRecord(format!(
                    "job {}: rank {} has no instance_id or no launch; fix the item {} by hand",
                    job.job_id, rank.rank, rank.record
                ))
            })?;
            let mut old = rank.clone();
            let moves = places.iter().find(|place| place.rank == rank.rank);
            if let Some(place) = moves {
                old.instance_id = Some(place.instance.clone());
                old.container_instance_arn = Some(place.arn.clone());
            }
            Ok(Start {
                instance: moves.map_or(instance, |place| place.instance.clone()),
                old,
                launch,
            })
        })
        .collect()
}

impl Start {
    /// The rank's item in the next attempt.
    pub fn next(
        &self,
        job: &JobRecord,
        task_arn: TaskArn,
        place: Option<ContainerInstanceArn>,
    ) -> RankRecord {
        let attempt = job.attempt + 1;
        RankRecord {
            record: rank_key(attempt, self.old.rank),
            attempt,
            launch_try: job.launch_try,
            task_arn,
            // An instance that registered anew has another one.
            container_instance_arn: place.or_else(|| self.old.container_instance_arn.clone()),
            status: RankStatus::Running,
            exit_code: None,
            stop_code: None,
            stopped_reason: None,
            probe: None,
            expires_at: None,
            ..self.old.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::JobId, records::JobStatus};

    fn job(nodes: u32) -> JobRecord {
        JobRecord {
            status: JobStatus::Restarting,
            ..JobRecord::new(JobId::new("llama"), nodes, "")
        }
    }

    fn rank(rank: u32) -> RankRecord {
        RankRecord {
            job_id: JobId::new("llama"),
            record: rank_key(1, rank),
            attempt: 1,
            rank,
            launch_try: 0,
            task_arn: TaskArn::new(format!("arn:aws:ecs:us-east-1:123456789012:task/c/{rank}")),
            instance_id: Some(InstanceId::new(format!("i-0000000{rank}"))),
            container_instance_arn: None,
            status: RankStatus::Stopped,
            exit_code: Some(1),
            stop_code: None,
            probe: None,
            stopped_reason: None,
            launch: Some(LaunchSpec::default()),
            expires_at: None,
        }
    }

    #[test]
    fn a_plan_has_every_rank_or_names_what_is_missing() {
        let plan = |job: &JobRecord, ranks: &[RankRecord]| plan(job, ranks, &[]);
        assert_eq!(plan(&job(2), &[rank(0), rank(1)]).unwrap().len(), 2);
        let missing = plan(&job(3), &[rank(0), rank(1)]).unwrap_err().to_string();
        assert!(missing.contains("2 of 3 ranks"), "{missing}");
        let twice = plan(&job(2), &[rank(1), rank(1)]);
        assert!(twice.is_err());
        let unknown = RankRecord {
            launch: None,
            ..rank(1)
        };
        let error = plan(&job(2), &[rank(0), unknown]).unwrap_err().to_string();
        assert!(
            error.contains("rank 1 has no instance_id or no launch"),
            "{error}"
        );
    }

    #[test]
    fn the_next_rank_keeps_place_and_launch_and_forgets_how_it_ended() {
        let ended = RankRecord {
            stop_code: Some("EssentialContainerExited".into()),
            stopped_reason: Some("Essential container in task exited".into()),
            ..rank(0)
        };
        let job = JobRecord {
            launch_try: 3,
            ..job(1)
        };
        let plan = plan(&job, &[ended], &[]).unwrap();
        let next = plan[0].next(&job, TaskArn::new("t"), None);
        let expected = RankRecord {
            record: "attempt#00002#rank#00000".into(),
            attempt: 2,
            launch_try: 3,
            task_arn: TaskArn::new("t"),
            status: RankStatus::Running,
            exit_code: None,
            ..rank(0)
        };
        assert_eq!(next, expected);
    }
}
