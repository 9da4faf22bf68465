//! `doctor`.

use super::*;

#[tokio::test(start_paused = true)]
async fn doctor_finds_a_good_deployment_good() {
    let world = World::new().await;
    let topic = world.desk.context.settings.topic_arn.clone();
    let found = world.gives(0, &["doctor", "--topic", &topic]).await;
    has(
        &found,
        &[
            "well the table hybrid-gpu-training-job has its keys",
            "well the table hybrid-gpu-training-job has the index task_arn-index",
            "well the table hybrid-gpu-training-job has the index running-index",
            "well the table ecs_container_instance has its keys",
            "well the state machine gpu-recovery is this version's",
            "well the state machine works on the cluster gpu-training, with the health check dcgm-health-check",
            "well dcgm-health-check fits the 2 instances",
            "well the alias live is version 1, which is this version's",
            "well no capacity provider of the cluster scales or repairs its instances",
            "well the instances have all that ECS requires for dcgm-health-check",
            "well every agent of the cluster is connected",
            "well the topic has 1 confirmed subscription",
            "well an execution went through ClaimJob and found nothing to do",
            "look not checked from here: the rules are there and enabled aws events list-rules",
            "--target-arn arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery:live",
            "--filters Key=tag:gpu-recovery-cluster,Values=gpu-training",
            "aws autoscaling describe-auto-scaling-groups --filters Name=tag:gpu-recovery-cluster,Values=gpu-training",
            "aws iam simulate-principal-policy --policy-source-arn arn:aws:iam::123456789012:role/",
        ],
    );
    assert_eq!(
        found.matches(" not checked from here: ").count(),
        10,
        "{found}"
    );
    assert_eq!(world.cloud.stepfunctions.executions().len(), 1);
    let found = world.json(&["doctor", "--no-execution", "--json"]).await;
    let by_hand = &found.as_array().expect("findings")[found.as_array().map_or(0, Vec::len) - 1];
    assert!(
        by_hand["check"]
            .as_str()
            .is_some_and(|command| command.starts_with("aws iam ")),
        "{by_hand}"
    );
    assert!(found.as_array().is_some_and(|all| all.len() > 6), "{found}");
    assert_eq!(world.cloud.stepfunctions.executions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn doctor_tells_what_the_alias_runs_from_what_the_machine_is() {
    let world = World::new().await;
    let line = ["doctor", "--no-execution"];
    let changed = simulator::cloud::RECOVERY.replace("\"StopSiblings\"", "\"StopOthers\"");
    let substitutions = simulator::cloud::substitutions(&BTreeMap::new()).expect("defaults");
    let changed = Definition::parse(&changed, &substitutions).expect("a definition");
    let service = &world.cloud.stepfunctions;
    service.create_state_machine("gpu-recovery", changed);
    let found = world.gives(0, &line).await;
    let differs = "not this version's: they differ at /States/";
    has(
        &found,
        &[
            &format!("look the state machine gpu-recovery is {differs}"),
            "well the alias live is version 1, which is this version's",
        ],
    );
    let published = service.publish(&world.cloud.state_machine_arn, "live");
    published.expect("the machine is there");
    let found = world.gives(0, &line).await;
    has(
        &found,
        &[
            &format!("look the alias live is version 2, which is {differs}"),
            "aws stepfunctions update-state-machine-alias",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_goes_by_the_settings_that_are_deployed() {
    let settings = [
        ("RECOVERABLE_EXIT_CODES", "77,78"),
        ("TRAINING_CONTAINER_NAME", "train"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let cloud = Cloud::new(CloudOptions {
        settings: BTreeMap::from(settings),
        ..CloudOptions::default()
    });
    let cloud = cloud.await.expect("an account");
    let mut world = World {
        desk: desk(&cloud, None),
        cloud,
        output: Output::keeping(),
    };
    // The operator was told nothing of them, and something else of the cluster.
    let told = &mut world.desk.context.settings;
    let mut own = Settings::clone(told);
    own.recoverable_exit_codes = vec![1];
    own.training_container_name = None;
    own.cluster = "other".to_owned();
    *told = own.into();
    has(
        &world.gives(1, &["doctor"]).await,
        &[
            "bad the state machine recovers the jobs of the cluster gpu-training, not of other",
            "well an execution went through ClaimJob and found nothing to do",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_says_when_nothing_is_published_and_nobody_is_told() {
    let cloud = Cloud::new(CloudOptions::default())
        .await
        .expect("an account");
    let substitutions = simulator::cloud::substitutions(&BTreeMap::new()).expect("defaults");
    let same =
        Definition::parse(simulator::cloud::RECOVERY, &substitutions).expect("it is deployed");
    let unpublished = cloud
        .stepfunctions
        .create_state_machine("gpu-recovery-2", same);
    let world = World {
        desk: desk(&cloud, Some(unpublished)),
        cloud,
        output: Output::keeping(),
    };
    let topic = world.desk.context.settings.topic_arn.clone();
    let line = ["doctor", "--no-execution", "--topic", &topic];
    has(
        &world.gives(1, &line).await,
        &[
            "well the state machine gpu-recovery-2 is this version's",
            "look the state machine has no alias live, which the template's rules start",
            "bad nobody gets the messages: the topic has no confirmed subscription",
            "look the cluster gpu-training has no ACTIVE instance",
        ],
    );
    let missing = format!("{topic}-none");
    let line = ["doctor", "--no-execution", "--topic", &missing];
    has(
        &world.gives(0, &line).await,
        &["NotFound", "Topic does not exist"],
    );
}

/// As a role that names the alias's ARN cannot: IAM is asked as Step Functions asks it.
#[tokio::test(start_paused = true)]
async fn doctor_prints_the_one_command_that_shows_a_deployment_that_cannot_start() {
    let world = World::new().await;
    let found = world.json(&["doctor", "--no-execution", "--json"]).await;
    let all = found.as_array().expect("findings");
    let start = all.iter().find(|finding| {
        let check = finding["check"].as_str().unwrap_or_default();
        check.contains("states:StartExecution")
    });
    let start = start.expect("a check of the start");
    let check = start["check"].as_str().unwrap_or_default();
    has(
        check,
        &[
            "aws iam simulate-principal-policy --policy-source-arn \"$(aws events list-targets-by-rule --rule \
             gpu-recovery-task-stopped --query 'Targets[0].RoleArn' --output text)\"",
            "--resource-arns 'arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery'",
            "ContextKeyName=states:StateMachineQualifier,ContextKeyType=stringList,ContextKeyValues=live",
        ],
    );
    has(
        start["fix"].as_str().unwrap_or_default(),
        &["allowed", "implicitDeny"],
    );
}

#[tokio::test(start_paused = true)]
async fn doctor_sees_who_would_end_or_replace_an_instance_during_a_recovery() {
    let mut world = World::new().await;
    let scaled = |name: &str, status: &str| {
        json!({ "name": name, "status": "ACTIVE", "type": "EC2_AUTOSCALING",
            "autoScalingGroupProvider": { "autoScalingGroupArn": "arn", "managedScaling": { "status": status } } })
    };
    world.cloud.fleet.set_capacity_providers(vec![
        scaled("elastic", "ENABLED"),
        scaled("fixed", "DISABLED"),
        json!({ "name": "managed", "status": "ACTIVE", "type": "MANAGED_INSTANCES", "managedInstancesProvider": {
            "infrastructureRoleArn": "arn", "autoRepairConfiguration": { "actionsStatus": "ENABLED" } } }),
    ]);
    let found = world.gives(1, &["doctor", "--no-execution"]).await;
    has(
        &found,
        &[
            "bad managed scaling of the capacity provider elastic is on",
            "aws ecs update-capacity-provider --name elastic",
            "bad the capacity provider managed has ECS Managed Instances: its auto repair replaces what we reboot",
        ],
    );
    assert!(!found.contains("provider fixed"), "{found}");
    let told = &mut world.desk.context.settings;
    let mut own = Settings::clone(told);
    own.cluster = "none".to_owned();
    *told = own.into();
    let found = world.gives(1, &["doctor", "--no-execution"]).await;
    has(&found, &["bad ECS does not know the cluster none"]);
}

#[tokio::test(start_paused = true)]
async fn doctor_names_what_is_not_well_with_its_fix() {
    let world = World::new().await;
    world.cloud.fleet.disconnect_agent(BAD, None);
    world.pass(5).await;
    world
        .cloud
        .wire
        .faults()
        .set_plan(|call| match (call.role(), call.action) {
            ("claim-job", _) => Fault::Fail {
                code: "AccessDeniedException".to_owned(),
                status: 400,
                message: "not authorized".to_owned(),
            },
            _ => Fault::Proceed,
        });
    let line = [
        "doctor",
        "--dcgm-task",
        "nothing",
        "--instances-table",
        "none",
    ];
    let found = world.gives(1, &line).await;
    has(
        &found,
        &[
            "look the state machine's health check is dcgm-health-check, not nothing give --dcgm-task",
            "bad ECS does not know the task definition nothing",
            "i-0f3a9c5d7e0000001",
            "bad the dry execution ended FAILED",
            "AccessDeniedException",
        ],
    );
}
