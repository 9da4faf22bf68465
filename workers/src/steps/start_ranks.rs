//! RunTask for the ranks of a relaunch: each is written down as soon as it is started.

use super::launch_plan::Start;
use crate::{
    Context, WorkerError,
    aws::{
        fleet::Run,
        launch_names::{client_token, started_by},
        pace,
    },
    error::Unplaced,
    ids::TaskArn,
    records::{JobRecord, RankRecord},
};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The ranks that run, and what is known of those that do not.
pub(super) struct Launched {
    pub running: BTreeMap<u32, RankRecord>,
    /// A RunTask was not answered: its task may run.
    pub unanswered: bool,
}

/// What a RunTask came to.
enum Answer {
    /// With what came of writing it down.
    Started(Box<RankRecord>, Result<(), WorkerError>),
    NotPlaced(String),
}

impl Launched {
    /// What an earlier call has started.
    pub fn before(running: BTreeMap<u32, RankRecord>) -> Self {
        Self {
            running,
            unanswered: false,
        }
    }

    /// The tasks that run.
    pub fn tasks(&self) -> Vec<TaskArn> {
        let ranks = self.running.values();
        ranks.map(|rank| rank.task_arn.clone()).collect()
    }

    /// Starts those of these ranks that do not run yet, and tells them where rank 0 is.
    ///
    /// # Errors
    /// What kept a rank from starting; the others are started all the same.
    pub async fn start(
        &mut self,
        ctx: &Context,
        job: &JobRecord,
        ranks: &[Start],
        master: Option<&str>,
        until: Instant,
    ) -> Result<(), WorkerError> {
        let next = job.attempt + 1;
        let started_by = started_by(&job.job_id, next);
        let runs = |start: &&Start| self.running.contains_key(&start.old.rank);
        let to_start: Vec<&Start> = ranks.iter().filter(|start| !runs(start)).collect();
        let answers = pace::ECS_MODIFY
            .patiently(to_start.clone(), until, |start| {
                let token = client_token(&job.job_id, next, job.launch_try, start.old.rank);
                let launch = start.launch.filled_in(next, master);
                let started_by = &started_by;
                async move {
                    let run = ctx.fleet.run(&launch, &start.instance, &token, started_by);
                    Ok(match run.await? {
                        Run::NotPlaced(why) => Answer::NotPlaced(why),
                        Run::Ended(task) => {
                            return Err(WorkerError::NotSettledYet(format!(
                                "rank {} was started by an earlier call, and its task {task} has ended since; all are started anew",
                                start.old.rank
                            )));
                        }
                        Run::Started(task, place) => {
                            let rank = start.next(job, task, place);
                            let recorded = ctx.jobs.put_launched(&rank).await;
                            Answer::Started(Box::new(rank), recorded)
                        }
                    })
                }
            })
            .await;
        let (mut unplaced, mut troubles) = (Vec::new(), Vec::new());
        for (start, answer) in to_start.iter().zip(answers) {
            match answer {
                Ok(Answer::Started(rank, recorded)) => {
                    troubles.extend(recorded.err());
                    self.running.insert(rank.rank, *rank);
                }
                Ok(Answer::NotPlaced(why)) => {
                    unplaced.push((start.old.rank, start.instance.clone(), why));
                }
                Err(error) => {
                    self.unanswered |= error.passes();
                    troubles.push(error);
                }
            }
        }
        if !unplaced.is_empty() {
            return Err(WorkerError::NotPlaced(Unplaced::of(unplaced)));
        }
        WorkerError::worst(troubles).map_or(Ok(()), Err)
    }
}
