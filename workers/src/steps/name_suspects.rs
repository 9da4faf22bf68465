//! NameSuspects: takes what the nodes have answered to the probe, keeps it on the ranks' items, and names the instances to
//! check. Answers accuse; none, or one whose log begins too late, accuses nobody and clears nobody.

use super::{
    prepare_checks::{Holder, prepare},
    stop_siblings::RunningTask,
};
use crate::{
    Context, Step, WorkerError,
    decisions::{
        diagnosis::{Recovery, Suspect},
        probe::{Answer, suspects},
    },
    ids::{ExecutionArn, InstanceId, JobId},
    records::{JobRecord, RankRecord},
    settings::SpareUse,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

/// The step.
pub struct NameSuspects;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NameSuspectsInput {
    pub execution: ExecutionArn,
    pub job_id: JobId,
    pub attempt: u32,
    /// Where a rank ended by itself or had to be killed, as StopSiblings names them.
    pub ended: Vec<Suspect>,
    /// An instance's id, a space, and the line that its probe has printed. Whatever else a node says is no answer.
    pub answers: Vec<String>,
    /// The tasks that do not stop. While there are any, only their nodes are named, and only by a hardware word.
    #[serde(default)]
    pub stuck: Vec<RunningTask>,
    /// What became of the nodes that were rebooted under such a task: what was said of them is of another boot.
    #[serde(default)]
    pub recoveries: Vec<Recovery>,
    /// When the nodes were asked, epoch seconds.
    #[serde(default)]
    pub asked_at: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all_fields = "camelCase")]
pub enum NameSuspectsOutcome {
    Named {
        /// How many nodes have answered.
        answered: usize,
        /// How many of the instances to check are accused by their kernel or driver.
        accused: usize,
        /// How many nodes are marked as spares for the job; none where it may not have any.
        #[serde(default)]
        spares: usize,
        to_check: Vec<Suspect>,
    },
}

impl Step for NameSuspects {
    const NAME: &'static str = "name-suspects";
    const STATE: Option<&'static str> = Some("NameSuspects");
    const TIMEOUT_SECONDS: u32 = 120;
    type Input = NameSuspectsInput;
    type Outcome = NameSuspectsOutcome;

    async fn handle(ctx: &Context, input: Self::Input) -> Result<Self::Outcome, WorkerError> {
        let job = ctx
            .jobs
            .held(&input.job_id, input.attempt, &input.execution)
            .await?;
        let mut ranks = ctx.jobs.ranks(&input.job_id, input.attempt).await?;
        let mut answers = read(&input.answers);
        keep(ctx, &mut ranks, &answers).await?;
        let answered = answers.len();
        let rebooted = |id: &InstanceId| input.recoveries.iter().any(|r| r.instance == *id);
        answers.retain(|id, _| !rebooted(id));
        let progress = i64::from(ctx.settings.progress_minutes) * 60;
        let in_vain = job.swapped_in_vain(progress);
        let mut to_check = match input.stuck.is_empty() {
            true => to_check(&input.ended, &ranks, &answers, in_vain),
            false => broken_under(&input.stuck, &answers),
        };
        to_check.retain(|suspect| !rebooted(&suspect.instance));
        for suspect in &mut to_check {
            let said = answers.get(&suspect.instance).zip(input.asked_at);
            // A little early, by what the node took to answer.
            suspect.booted_at =
                said.and_then(|((_, answer), at)| at.checked_sub_unsigned(answer.uptime));
        }
        // StopSiblings has prepared the others.
        let new: Vec<Suspect> = to_check
            .iter()
            .filter(|s| input.ended.iter().all(|e| e.instance != s.instance))
            .cloned()
            .collect();
        let holder = Holder {
            execution: &input.execution,
            job_id: &input.job_id,
            attempt: input.attempt,
        };
        for prepared in prepare(ctx, &holder, &ranks, &new).await? {
            let named = to_check.iter_mut();
            for suspect in named.filter(|s| s.instance == prepared.instance) {
                suspect.unproven = prepared.unproven;
            }
        }
        Ok(NameSuspectsOutcome::Named {
            answered,
            accused: to_check.iter().filter(|s| s.word.is_some()).count(),
            spares: match in_vain || job.check {
                true => 0,
                false => spares(ctx, &job).await?,
            },
            to_check,
        })
    }
}

/// How many nodes stand by for the job, by their marks alone.
async fn spares(ctx: &Context, job: &JobRecord) -> Result<usize, WorkerError> {
    if ctx.settings.of_job(&job.policies).spares == SpareUse::Off {
        return Ok(0);
    }
    let pool = job.policies.pool.clone().unwrap_or_default();
    ctx.fleet.count_marked(&pool).await
}

/// Each node's line and what it says. Of two lines of one node the last counts.
fn read(lines: &[String]) -> BTreeMap<InstanceId, (String, Answer)> {
    let read = |text: &String| {
        let (instance, line) = text.split_once(' ')?;
        let instance = InstanceId::from_str(instance).ok()?;
        Some((instance, (line.trim_end().to_owned(), Answer::read(line)?)))
    };
    lines.iter().filter_map(read).collect()
}

/// Writes each answer to its ranks' items.
async fn keep(
    ctx: &Context,
    ranks: &mut [RankRecord],
    answers: &BTreeMap<InstanceId, (String, Answer)>,
) -> Result<(), WorkerError> {
    let mut changed = Vec::new();
    for rank in ranks {
        let line = rank.instance_id.as_ref().and_then(|id| answers.get(id));
        if let Some((line, _)) = line
            && rank.probe.as_ref() != Some(line)
        {
            rank.probe = Some(line.clone());
            changed.push(rank.clone());
        }
    }
    ctx.jobs.put_ranks(&changed).await
}

/// The prime suspects, and the nodes that give a lead. Without any prime suspect also every node whose rank ended by itself
/// or had to be killed. A node that an earlier check found faulty stays one. After a swap in vain the word of a kernel does not clear the others.
fn to_check(
    ended: &[Suspect],
    ranks: &[RankRecord],
    answers: &BTreeMap<InstanceId, (String, Answer)>,
    in_vain: bool,
) -> Vec<Suspect> {
    let said: BTreeMap<&InstanceId, &Answer> = answers
        .iter()
        .map(|(id, (_, answer))| (id, answer))
        .collect();
    let accused = suspects(&said);
    let prime = accused.iter().any(|id| said[*id].word.is_hardware());
    let unproven: BTreeSet<&InstanceId> = ended
        .iter()
        .filter(|suspect| suspect.unproven)
        .map(|suspect| &suspect.instance)
        .collect();
    let ended = ended
        .iter()
        .filter(|suspect| in_vain || !prime || suspect.unproven);
    let leads = ranks.iter().filter_map(|rank| {
        let id = rank.instance_id.as_ref()?;
        accused.contains(id).then_some((id, rank.rank))
    });
    let mut seen = BTreeSet::new();
    ended
        .map(|suspect| (&suspect.instance, suspect.rank))
        .chain(leads)
        .filter(|(id, _)| seen.insert(*id))
        .map(|(id, rank)| Suspect {
            unproven: unproven.contains(id),
            ..suspect(id, rank, said.get(id).copied(), accused.contains(id))
        })
        .collect()
}

/// The nodes that say themselves that they are broken, of those on which a task does not stop. Nothing less may get a node
/// rebooted under a task: without it, a container with a long `stopTimeout` looks the same.
fn broken_under(
    stuck: &[RunningTask],
    answers: &BTreeMap<InstanceId, (String, Answer)>,
) -> Vec<Suspect> {
    let mut seen = BTreeSet::new();
    stuck
        .iter()
        .filter_map(|task| {
            let id = task.instance.as_ref()?;
            let (_, answer) = answers.get(id)?;
            (answer.word.is_hardware() && seen.insert(id))
                .then(|| suspect(id, task.rank, Some(answer), true))
        })
        .collect()
}

/// Only what accuses travels on: a thousand nodes must fit a payload.
fn suspect(id: &InstanceId, rank: u32, answer: Option<&Answer>, accused: bool) -> Suspect {
    let mut suspect = Suspect {
        boot_id: answer.map(|answer| answer.boot_id.clone()),
        ..Suspect::new(id.clone(), rank)
    };
    if let Some(answer) = answer.filter(|_| accused) {
        suspect.word = Some(answer.word);
        suspect.cause = Some(answer.cause.clone());
        suspect.age = answer.age;
        suspect.gpus = Some(answer.gpus.clone());
        suspect.held = Some(answer.held.clone());
    }
    suspect
}
