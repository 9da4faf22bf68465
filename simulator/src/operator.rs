//! What operators do by the commands of `gpu-recovery`.

use crate::cloud::Cloud;
use workers::{
    WorkerError,
    ids::{ContainerInstanceArn, InstanceId},
    steps::claim_instance::CheckRequest,
};

const WHO: &str = "an operator";

/// As `gpu-recovery quarantine` does it: beside the hold of a recovery, or at once. False where it changed nothing.
pub(crate) async fn quarantine(cloud: &Cloud, id: &InstanceId) -> Result<bool, WorkerError> {
    const WHY: &str = "wanted out of service";
    let context = cloud.lambda.context("person");
    let Some(view) = cloud.fleet.instance(id.as_str()) else {
        return Ok(false);
    };
    let arn = ContainerInstanceArn::new(view.arn);
    let seen = context.instances.get(id).await?;
    let hands = &context.instances;
    let written = match seen.as_ref().filter(|seen| seen.holder.is_some()) {
        Some(held) => hands.ask_to_keep_out(held, WHO, WHY).await?,
        None => {
            hands
                .quarantine_by_hand(id, &arn, seen.as_ref(), WHO, WHY)
                .await?
        }
    };
    if written.is_none() {
        return Ok(false);
    }
    context.fleet.drain(&arn).await?;
    Ok(true)
}

/// As `gpu-recovery check` does it. False where Step Functions starts nothing.
pub(crate) fn check(cloud: &Cloud, id: &InstanceId) -> bool {
    let request = CheckRequest {
        instance: id.clone(),
        by: WHO.to_owned(),
        reason: "wanted back".to_owned(),
    };
    let machine = &cloud.state_machine_arn;
    cloud
        .stepfunctions
        .start(machine, None, request.event())
        .is_ok()
}
