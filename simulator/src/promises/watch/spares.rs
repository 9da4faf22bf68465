//! Promise 8: two executions never hold the same spare, and a spare is never taken from a job, another pool or an operator.

use super::{Inner, Watch, writes::text};
use serde_json::Value;
use workers::{aws::marks::MARK, ids::Pool};

impl Watch {
    /// Promise 8: a spare is taken from nobody, and out of the job's own pool.
    pub(super) fn spare_held(&self, before: &Value, now: &Value) {
        let node = text(now, "instance_id");
        let fleet = self.with(|inner| inner.fleet.clone());
        let view = fleet.instance(&node);
        let mark = view.and_then(|view| view.attributes.get(MARK).cloned().flatten());
        let (earlier, holder) = (text(before, "holder"), text(now, "holder"));
        let runs = self.runs(&earlier);
        self.with(|inner| {
            let job = text(now, "job_id");
            let mut wrong = Vec::new();
            if earlier != holder && runs {
                wrong.push(format!("{earlier} holds it and runs"));
            }
            let status = text(before, "status");
            if !["AVAILABLE", "HELD"].contains(&status.as_str()) {
                wrong.push(format!("it is {status}"));
            }
            if !before["keep_out"].is_null() {
                wrong.push("an operator wants it out of service".to_owned());
            }
            let pool = inner.pool_of(&job);
            if mark.as_ref() != Some(&pool) {
                wrong.push(format!("its mark is {mark:?}, the job's pool is {pool}"));
            }
            let mut lives = inner.tasks.values();
            if let Some(life) = lives.find(|life| life.instance == node && !life.stopped) {
                wrong.push(format!("rank {} of {} runs on it", life.rank, life.job));
            }
            for what in wrong {
                inner.breaks(
                    8,
                    &format!("{node} is held for {job} by {holder}, and {what}"),
                );
            }
        });
    }
}

impl Inner {
    /// The pool whose spares a job may have.
    fn pool_of(&self, job: &str) -> String {
        let item = self.job_item(job);
        let pool = item["policies"]["M"]["pool"]["S"].as_str();
        pool.map_or_else(|| Pool::default().to_string(), str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cloud::{Cloud, CloudOptions},
        ecs::NewInstance,
        promises::attempts,
        stand_by::stand_by,
    };
    use serde_json::json;
    use workers::{
        aws::{jobs::Write, spares::SpareHold},
        ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId},
        records::JobRecord,
    };

    const SPARE: &str = "i-0f3a9c5d7e0000008";

    /// An account with a spare of this pool, two jobs of the pool `default`, and an execution that runs.
    async fn account(pool: &str) -> (Cloud, Watch, ExecutionArn) {
        let cloud = Cloud::new(CloudOptions::default())
            .await
            .expect("it is made");
        let watch = Watch::over(&cloud, attempts(["one", "other"]));
        cloud.fleet.add_instance(NewInstance::p5(SPARE));
        stand_by(&cloud, SPARE, pool);
        for job in ["one", "other"] {
            let job = JobRecord::new(JobId::new(job), 1, "2026-01-05T03:00:00Z");
            let created = cloud.lambda.context("launcher").jobs.create(&job).await;
            assert!(matches!(created, Ok(Write::Done(_))));
        }
        let event = json!({ "detail": { "stopCode": "EssentialContainerExited" } });
        let started = cloud
            .stepfunctions
            .start(&cloud.state_machine_arn, None, event);
        (cloud, watch, ExecutionArn::new(started.expect("it starts")))
    }

    /// Holds it as whoever saw it so.
    async fn hold(cloud: &Cloud, job: &str, by: &ExecutionArn) {
        let instances = cloud.lambda.context("hold-spares").instances;
        let (instance, job) = (InstanceId::new(SPARE), JobId::new(job));
        let seen = instances.get(&instance).await.expect("it is read");
        let seen = seen.expect("it is recorded");
        let arn = ContainerInstanceArn::new(cloud.fleet.instance(SPARE).expect("it is there").arn);
        let hold = SpareHold {
            instance: &instance,
            arn: &arn,
            job: &job,
            by,
            seen: &seen,
        };
        assert!(instances.hold_spare(hold).await.expect("it is written"));
    }

    fn other() -> ExecutionArn {
        ExecutionArn::new("arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:other")
    }

    #[tokio::test(start_paused = true)]
    async fn a_spare_that_is_taken_from_a_running_execution_is_noticed() {
        let (cloud, watch, first) = account("default").await;
        hold(&cloud, "one", &first).await;
        assert_eq!(watch.broken(), Vec::<String>::new());
        hold(&cloud, "other", &other()).await;
        let broken = watch.broken().join("; ");
        assert!(
            broken.contains("promise 8") && broken.contains("holds it and runs"),
            "{broken}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_spare_that_is_taken_from_another_pool_is_noticed() {
        let (cloud, watch, first) = account("night").await;
        hold(&cloud, "one", &first).await;
        let broken = watch.broken().join("; ");
        assert!(
            broken.contains("promise 8") && broken.contains("the job's pool is default"),
            "{broken}"
        );
    }
}
