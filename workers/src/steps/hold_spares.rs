//! HoldSpares: holds a spare for each node that is to be replaced, or none at all.
//!
//! It is called anew when a spare did not take its rank: then the places that were refused need another one.

use super::{
    partial_launch::{Launch, asked_for_none, undo},
    spares,
};
use crate::{
    Context, Step, WorkerError,
    aws::{pace, spares::SpareHold},
    decisions::{
        diagnosis::Place,
        spares::{Node, Wanted, assign},
    },
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
    records::{InstanceRecord, InstanceStatus, JobRecord, RankRecord, launch::LaunchSpec},
};
use aws_sdk_ecs::types::ContainerInstance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The step.
pub struct HoldSpares;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HoldSparesInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    /// The nodes that the job is not to run on again.
    pub suspects: Vec<Replaced>,
    /// They are not repaired yet: that is done beside the job.
    pub repair: bool,
    /// After a launch on spares that failed: how many places had been refused when those were held. Unless there are more
    /// now, no other place would be better.
    pub refused_before: Option<usize>,
}

/// A node to be replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Replaced {
    pub instance: InstanceId,
    pub rank: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum HoldSparesOutcome {
    /// A spare for each of them is held.
    Held {
        places: Vec<Place>,
        /// How many places have been refused so far.
        refused: usize,
    },
    /// None is held.
    NotEnough { why: String },
}

impl Step for HoldSpares {
    const NAME: &'static str = "hold-spares";
    const STATE: Option<&'static str> = Some("HoldSpares");
    const TIMEOUT_SECONDS: u32 = 300;
    type Input = HoldSparesInput;
    type Outcome = HoldSparesOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let until = pace::deadline(Self::TIMEOUT_SECONDS);
        let by = &input.execution;
        let job = ctx.jobs.held(&input.job_id, input.attempt, by).await?;
        // Of a launch that failed no task may be left, and its fence must be new: other places are other requests.
        let job = undo(ctx, job, by, Launch::Unknown, until).await?;
        // What an earlier call held is chosen anew: its answer may have been lost.
        let job = spares::let_go(ctx, job, by).await?;
        let outcome = hold(ctx, &input, &job).await?;
        if let HoldSparesOutcome::NotEnough { .. } = outcome {
            let job = ctx.jobs.held(&input.job_id, input.attempt, by).await?;
            spares::let_go(ctx, job, by).await?;
        }
        Ok(outcome)
    }
}

async fn hold(
    ctx: &Context,
    input: &HoldSparesInput,
    job: &JobRecord,
) -> Result<HoldSparesOutcome, WorkerError> {
    if let Some(why) = asked_for_none(ctx, job)
        .await?
        .filter(|_| input.refused_before.is_some())
    {
        return Ok(HoldSparesOutcome::NotEnough { why });
    }
    let ranks = ctx.jobs.ranks(&job.job_id, job.attempt).await?;
    let moves = match moves(input, job, &ranks) {
        Ok(moves) => moves,
        Err(why) => return Ok(HoldSparesOutcome::NotEnough { why }),
    };
    let by = &input.execution;
    let mut lost = BTreeSet::new();
    // Each round loses a spare to somebody who was faster, so that it ends.
    loop {
        let mut pool = Pool::look(ctx, job, by, &ranks).await?;
        pool.free.retain(|spare| !lost.contains(&spare.instance));
        let wanted: Vec<Wanted> = moves.iter().map(|rank| pool.wanted(rank)).collect();
        let Some(chosen) = assign(&wanted, &pool.free, &ctx.settings.spare_match) else {
            let why = format!(
                "{} needed, {} free in the pool, and not enough of these fit",
                moves.len(),
                pool.free.len()
            );
            return Ok(HoldSparesOutcome::NotEnough { why });
        };
        let ids: Vec<InstanceId> = chosen.iter().map(|spare| spare.instance.clone()).collect();
        ctx.jobs.note_spares(job, by, &ids).await?;
        let held = pace::DYNAMODB
            .each(&chosen, |spare| pool.hold(ctx, job, by, spare))
            .await
            .into_iter()
            .collect::<Result<Vec<bool>, _>>()?;
        // An execution that has lost the job meanwhile holds nothing.
        let still = ctx.jobs.held(&job.job_id, job.attempt, by).await;
        if still.is_ok() && held.iter().all(|held| *held) {
            let places = moves.iter().zip(&chosen);
            let places = places.filter_map(|(rank, spare)| place(input, rank, spare));
            return Ok(HoldSparesOutcome::Held {
                places: places.collect(),
                refused: job.refused_places.len(),
            });
        }
        for id in &ids {
            ctx.instances
                .let_go_spare(id, &job.job_id, Some(by))
                .await?;
        }
        still?;
        let taken = ids.into_iter().zip(held).filter(|(_, held)| !held);
        lost.extend(taken.map(|(id, _)| id));
    }
}

fn place(input: &HoldSparesInput, rank: &RankRecord, spare: &Node) -> Option<Place> {
    let instead = rank.instance_id.clone()?;
    Some(Place {
        rank: rank.rank,
        repair: input.repair && input.suspects.iter().any(|s| s.instance == instead),
        instead,
        arn: spare.arn.clone(),
        instance: spare.instance.clone(),
    })
}

/// The ranks that need another place, or why they are not moved.
fn moves<'a>(
    input: &HoldSparesInput,
    job: &JobRecord,
    ranks: &'a [RankRecord],
) -> Result<Vec<&'a RankRecord>, String> {
    let refused = |id: &InstanceId| job.refused_places.contains(id.as_str());
    // What has failed on spares for a reason that no other place fixes is repaired first.
    let before = input.refused_before;
    if before.is_some_and(|before| job.refused_places.len() <= before) {
        return Err("the job did not start on spares, and no place is to blame".to_owned());
    }
    let suspect = |id: &InstanceId| input.suspects.iter().any(|s| s.instance == *id);
    let moves: Vec<&RankRecord> = ranks
        .iter()
        .filter(|rank| {
            let place = rank.instance_id.as_ref();
            place.is_some_and(|id| suspect(id) || refused(id))
        })
        .collect();
    if moves.is_empty() {
        return Err("no rank needs another place".to_owned());
    }
    // An address that was given with the job is one of its place.
    if job.nodes > 1 && !told_master(ranks) && moves.iter().any(|rank| rank.rank == 0) {
        return Err("rank 0 keeps its place: the others know its address".to_owned());
    }
    Ok(moves)
}

/// Each launch tells the ranks where rank 0 is.
fn told_master(ranks: &[RankRecord]) -> bool {
    let mut launches = ranks.iter().filter_map(|rank| rank.launch.as_ref());
    launches.any(LaunchSpec::names_master)
}

/// They are told the address of rank 0's instance, not that of its task.
fn told_instance(ranks: &[RankRecord]) -> bool {
    let first = ranks.iter().find(|rank| rank.rank == 0);
    let own = first.is_some_and(|rank| rank.launch.as_ref().is_some_and(|l| l.network.is_some()));
    told_master(ranks) && !own
}

/// What is known of the spares, and of the nodes that they may replace.
struct Pool {
    told_instance: bool,
    free: Vec<Node>,
    records: BTreeMap<InstanceId, InstanceRecord>,
    replaced: BTreeMap<InstanceId, ContainerInstance>,
}

impl Pool {
    async fn look(
        ctx: &Context,
        job: &JobRecord,
        by: &ExecutionArn,
        ranks: &[RankRecord],
    ) -> Result<Self, WorkerError> {
        let name = job.policies.pool.clone().unwrap_or_default();
        let marked = ctx.fleet.marked(Some(&name)).await?;
        let in_service = marked.into_iter().filter(|(_, instance)| {
            instance.status() == Some("ACTIVE") && instance.agent_connected()
        });
        let nodes: Vec<Node> = in_service
            .filter_map(|(arn, instance)| Node::of(arn, &instance))
            .filter(|node| node.all_free && !job.refused_places.contains(node.instance.as_str()))
            .collect();
        let records = read(ctx, &nodes).await?;
        let mut free = Vec::new();
        for node in nodes {
            if let Some(record) = records.get(&node.instance)
                && may_be_held(ctx, record, by).await?
            {
                free.push(Node {
                    checked_at: record.last_check_at.clone(),
                    ..node
                });
            }
        }
        let arns: Vec<ContainerInstanceArn> = ranks
            .iter()
            .filter_map(|rank| rank.container_instance_arn.clone())
            .collect();
        let replaced = ctx.fleet.container_instances(&arns).await?;
        let replaced = replaced.into_values().filter_map(|instance| {
            let id = instance.ec2_instance_id().map(InstanceId::new)?;
            Some((id, instance))
        });
        Ok(Self {
            told_instance: told_instance(ranks),
            free,
            records,
            replaced: replaced.collect(),
        })
    }

    /// What a rank's next place must be like.
    fn wanted(&self, rank: &RankRecord) -> Wanted {
        let place = rank.instance_id.as_ref();
        let like = Wanted::like(place.and_then(|id| self.replaced.get(id)));
        match rank.rank == 0 && self.told_instance {
            true => like.reachable(),
            false => like,
        }
    }

    async fn hold(
        &self,
        ctx: &Context,
        job: &JobRecord,
        by: &ExecutionArn,
        spare: &Node,
    ) -> Result<bool, WorkerError> {
        let Some(seen) = self.records.get(&spare.instance) else {
            return Ok(false);
        };
        let hold = SpareHold {
            instance: &spare.instance,
            arn: &spare.arn,
            job: &job.job_id,
            by,
            seen,
        };
        ctx.instances.hold_spare(hold).await
    }
}

/// The items of these instances; one without an item was never checked.
async fn read(
    ctx: &Context,
    nodes: &[Node],
) -> Result<BTreeMap<InstanceId, InstanceRecord>, WorkerError> {
    let records = pace::DYNAMODB
        .each(nodes, |node| ctx.instances.get(&node.instance))
        .await;
    let mut read = BTreeMap::new();
    for record in records {
        read.extend(record?.map(|record| (record.instance_id.clone(), record)));
    }
    Ok(read)
}

/// Free, and healthy at its last check; or held by an execution that has ended.
async fn may_be_held(
    ctx: &Context,
    record: &InstanceRecord,
    by: &ExecutionArn,
) -> Result<bool, WorkerError> {
    if record.keep_out.is_some() || !record.last_check_passed() {
        return Ok(false);
    }
    match (&record.holder, record.status) {
        (None, InstanceStatus::Available) => Ok(true),
        (Some(holder), InstanceStatus::Held) if holder != by => {
            let now = ctx.clock.epoch_seconds();
            let runs = ctx.executions.may_run(holder, &record.updated_at, now);
            runs.await.map(|runs| !runs)
        }
        _ => Ok(false),
    }
}
