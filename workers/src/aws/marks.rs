//! Spares: nodes with a mark, an ECS attribute whose value is their pool. The mark is in ECS alone, so that whatever places
//! tasks can heed it too.

use crate::{
    WorkerError,
    aws::fleet::Fleet,
    error::code_of,
    ids::{ContainerInstanceArn, Pool},
};
use aws_sdk_ecs::types::{Attribute, ContainerInstance};
use std::collections::BTreeMap;

/// The attribute's name.
pub const MARK: &str = "gpu-recovery.spare";

/// The pool whose spare an instance is, as its mark says.
pub fn pool_of(instance: &ContainerInstance) -> Option<Pool> {
    attribute(instance, MARK).map(Pool::new)
}

/// The value of an instance's attribute.
pub fn attribute<'a>(instance: &'a ContainerInstance, name: &str) -> Option<&'a str> {
    let mut attributes = instance.attributes().iter();
    attributes.find(|a| a.name() == name)?.value()
}

impl Fleet {
    /// The marked instances of one pool, or of all, whatever their status.
    pub async fn marked(
        &self,
        pool: Option<&Pool>,
    ) -> Result<BTreeMap<ContainerInstanceArn, ContainerInstance>, WorkerError> {
        let arns = self.list_marked(pool).await?;
        self.container_instances(&arns).await
    }

    /// How many instances of a pool are marked, whatever their status.
    pub async fn count_marked(&self, pool: &Pool) -> Result<usize, WorkerError> {
        self.list_marked(Some(pool)).await.map(|arns| arns.len())
    }

    async fn list_marked(
        &self,
        pool: Option<&Pool>,
    ) -> Result<Vec<ContainerInstanceArn>, WorkerError> {
        // The cluster query language (ECS developer guide, cluster-query-language).
        let filter = match pool {
            Some(pool) => format!("attribute:{MARK} == '{pool}'"),
            None => format!("attribute:{MARK} exists"),
        };
        let arns = self
            .client
            .list_container_instances()
            .cluster(&self.cluster)
            .filter(filter)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<String>, _>>()
            .await
            .map_err(WorkerError::aws("ecs:ListContainerInstances"))?;
        Ok(arns.into_iter().map(ContainerInstanceArn::new).collect())
    }

    /// Marks an instance as a spare of this pool, and of no other. Answers false for one that has left the cluster.
    pub async fn mark(&self, arn: &ContainerInstanceArn, pool: &Pool) -> Result<bool, WorkerError> {
        let put = self.client.put_attributes().cluster(&self.cluster);
        match put.attributes(mark(arn, Some(pool))?).send().await {
            Ok(_) => Ok(true),
            Err(error) if code_of(&error) == TARGET_GONE => Ok(false),
            Err(error) => Err(WorkerError::aws("ecs:PutAttributes")(error)),
        }
    }

    /// Takes the mark from an instance, if it has one.
    pub async fn unmark(&self, arn: &ContainerInstanceArn) -> Result<(), WorkerError> {
        self.client
            .delete_attributes()
            .cluster(&self.cluster)
            .attributes(mark(arn, None)?)
            .send()
            .await
            .map(drop)
            .map_err(WorkerError::aws("ecs:DeleteAttributes"))
    }
}

/// "The specified target wasn't found" (ECS API reference, PutAttributes).
const TARGET_GONE: &str = "TargetNotFoundException";

fn mark(arn: &ContainerInstanceArn, pool: Option<&Pool>) -> Result<Attribute, WorkerError> {
    Attribute::builder()
        .name(MARK)
        .set_value(pool.map(Pool::to_string))
        .target_id(arn.as_str())
        .build()
        .map_err(|error| WorkerError::CorruptRecord(error.to_string()))
}
