//! The template wires up what the code and the simulator have: no more, no less, no other.

use crate::template::{Template, cluster, text};
use serde_json::Value;
use simulator::{
    ACCOUNT, REGION,
    cloud::{Cloud, CloudOptions, HEALTH_CHECK, substitutions},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use workers::{Settings, lambda::metrics};

pub fn cluster_arn() -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}", cluster())
}

pub fn state_machine_arn() -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gpu-recovery")
}

#[test]
fn there_is_one_function_per_worker_with_the_workers_own_bound() {
    let template = Template::new();
    let functions = template.resources("AWS::Serverless::Function");
    let mut found: BTreeMap<String, Value> = functions
        .iter()
        .map(|(name, f)| {
            let handler = text(&f["Handler"]).unwrap_or_else(|| panic!("{name} has no handler"));
            (handler, f.clone())
        })
        .collect();
    for worker in workers::all() {
        let function = found.remove(worker.name);
        let function = function.unwrap_or_else(|| panic!("no function of {}", worker.name));
        assert_eq!(
            function["FunctionName"],
            format!("gpu-recovery-{}", worker.name)
        );
        assert_eq!(
            function["Timeout"], worker.timeout_seconds,
            "{}",
            worker.name
        );
        let logs = text(&function["LoggingConfig"]["LogGroup"]).unwrap();
        assert_eq!(logs, format!("/aws/lambda/gpu-recovery-{}", worker.name));
        assert_eq!(function["Runtime"], "provided.al2023");
        assert_eq!(function["Architectures"], serde_json::json!(["arm64"]));
        assert_eq!(function["Tracing"], "Active");
        assert_eq!(
            function["AutoPublishAliasAllProperties"], true,
            "{}",
            worker.name
        );
    }
    assert!(
        found.is_empty(),
        "functions of no worker: {:?}",
        found.keys()
    );
}

/// Functions whose code, runtime, architecture and Metadata are the same share one build (SAM CLI 1.170,
/// `FunctionBuildDefinition.__eq__` in samcli/lib/build/build_graph.py): one link instead of one each.
#[test]
fn sam_builds_one_program_for_all_functions() {
    let template = Template::new();
    let builds: BTreeSet<String> = template
        .resources("AWS::Serverless::Function")
        .iter()
        .map(|(name, function)| {
            let metadata = &template.body["Resources"][name]["Metadata"];
            let of = |member: &str| &function[member];
            format!(
                "{} {} {} {metadata}",
                of("CodeUri"),
                of("Runtime"),
                of("Architectures")
            )
        })
        .collect();
    assert_eq!(builds.len(), 1, "{builds:#?}");
    let build = builds.first().unwrap();
    assert!(
        build.contains(r#""BuildMethod":"rust-cargolambda""#)
            && build.contains(r#""Binary":"bootstrap""#),
        "{build}"
    );
}

#[test]
fn the_functions_get_every_setting_by_its_name_and_the_parameters_have_its_defaults() {
    let template = Template::new();
    let variables = template
        .resources("AWS::Serverless::Function")
        .into_values()
        .map(|f| f["Environment"]["Variables"].clone());
    for variables in variables {
        let asked = RefCell::new(BTreeSet::new());
        let settings = Settings::read(|name| {
            asked.borrow_mut().insert(name.to_owned());
            text(&variables[name])
        });
        let mut asked = asked.into_inner();
        // The look's own: no other function starts executions.
        if variables["STATE_MACHINE_ARN"].is_null() {
            asked.remove("STATE_MACHINE_ARN");
        }
        let given: BTreeSet<String> = variables.as_object().unwrap().keys().cloned().collect();
        assert_eq!(given, asked);
        const NO_DEFAULT: [&str; 7] = [
            "TRAINING_JOB_TABLE_NAME",
            "CONTAINER_INSTANCE_TABLE_NAME",
            "ECS_CLUSTER_NAME",
            "DCGM_HEALTH_CHECK_TASK",
            "DCGM_LOG_GROUP",
            "SNS_TOPIC_ARN",
            "STATE_MACHINE_ARN",
        ];
        let defaults =
            Settings::read(|name| text(&variables[name]).filter(|_| NO_DEFAULT.contains(&name)));
        assert_eq!(settings.unwrap(), defaults.unwrap());
        assert_eq!(
            variables["TRAINING_JOB_TABLE_NAME"],
            "hybrid-gpu-training-job"
        );
        assert_eq!(
            variables["CONTAINER_INSTANCE_TABLE_NAME"],
            "ecs_container_instance"
        );
        assert_eq!(variables["DCGM_HEALTH_CHECK_TASK"], HEALTH_CHECK);
    }
}

#[test]
fn the_definition_gets_the_substitutions_that_the_simulator_gives_it() {
    let template = Template::new();
    let machine = template.resource("Recovery");
    assert_eq!(
        machine["DefinitionUri"],
        "../statemachine/recovery.asl.json"
    );
    let in_the_definition = {
        let parts = simulator::cloud::RECOVERY.split("${").skip(1);
        parts
            .map(|part| part.split('}').next().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    let given: BTreeMap<String, String> = machine["DefinitionSubstitutions"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| {
            let value = text(value).unwrap();
            // The simulator has one version of a function.
            let value = value.strip_suffix(":1").unwrap_or(&value).to_owned();
            (name.clone(), value)
        })
        .collect();
    let mut simulated = substitutions(&BTreeMap::new()).unwrap();
    simulated.retain(|name, _| in_the_definition.contains(name));
    assert_eq!(given, simulated);
    assert_eq!(
        given.keys().cloned().collect::<BTreeSet<_>>(),
        in_the_definition
    );
}

#[test]
fn a_redeploy_changes_no_running_recovery() {
    let template = Template::new();
    let machine = &template.body["Resources"]["Recovery"]["Properties"];
    assert_eq!(machine["AutoPublishAlias"], "live");
    let substitutions = machine["DefinitionSubstitutions"].as_object().unwrap();
    for (name, value) in substitutions
        .iter()
        .filter(|(name, _)| name.ends_with("FunctionArn"))
    {
        let version = value["Ref"].as_str().unwrap_or_default();
        let function = name.strip_suffix("Arn").unwrap();
        assert_eq!(
            version,
            format!("{function}.Version"),
            "{name} must name a version"
        );
    }
    let start = template.resource("TaskStoppedRule");
    assert!(
        text(&start["Targets"][0]["Arn"])
            .unwrap()
            .ends_with(":live")
    );
}

#[tokio::test(start_paused = true)]
async fn the_tables_are_those_of_the_simulator() {
    let cloud = Cloud::new(CloudOptions::default()).await.unwrap();
    let client = cloud.wire.dynamodb("deploy");
    let template = Template::new();
    for (name, table) in template.resources("AWS::DynamoDB::Table") {
        let described = client
            .describe_table()
            .table_name(text(&table["TableName"]).unwrap());
        let described = described.send().await.unwrap().table.unwrap();
        let keys = |schema: &Value| -> Vec<(String, String)> {
            let schema = schema.as_array().unwrap();
            schema
                .iter()
                .map(|k| {
                    (
                        text(&k["AttributeName"]).unwrap(),
                        text(&k["KeyType"]).unwrap(),
                    )
                })
                .collect()
        };
        let simulated =
            |schema: &[aws_sdk_dynamodb::types::KeySchemaElement]| -> Vec<(String, String)> {
                schema
                    .iter()
                    .map(|k| (k.attribute_name.clone(), k.key_type.as_str().to_owned()))
                    .collect()
            };
        assert_eq!(
            keys(&table["KeySchema"]),
            simulated(described.key_schema()),
            "{name}"
        );
        let attributes: BTreeSet<_> = table["AttributeDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|a| {
                (
                    text(&a["AttributeName"]).unwrap(),
                    text(&a["AttributeType"]).unwrap(),
                )
            })
            .collect();
        let known: BTreeSet<_> = described
            .attribute_definitions()
            .iter()
            .map(|a| {
                (
                    a.attribute_name.clone(),
                    a.attribute_type.as_str().to_owned(),
                )
            })
            .collect();
        assert_eq!(attributes, known, "{name}");
        let indexes = table["GlobalSecondaryIndexes"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let known = described.global_secondary_indexes();
        assert_eq!(indexes.len(), known.len(), "{name}");
        for (index, known) in indexes.iter().zip(known) {
            assert_eq!(text(&index["IndexName"]).as_deref(), known.index_name());
            assert_eq!(keys(&index["KeySchema"]), simulated(known.key_schema()));
            let projection = known.projection().unwrap().projection_type().unwrap();
            assert_eq!(index["Projection"]["ProjectionType"], projection.as_str());
        }
        assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");
        assert_eq!(
            table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
            true
        );
        assert_eq!(table["SSESpecification"]["SSEEnabled"], true);
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(
                template.body["Resources"][&name][policy], "Retain",
                "{name} {policy}"
            );
        }
    }
}

#[test]
fn every_metric_is_looked_at_and_only_metrics_that_exist_are() {
    let template = Template::new();
    let dashboard = template.resource("Dashboard");
    let body: Value = serde_json::from_str(dashboard["DashboardBody"].as_str().unwrap())
        .expect("the dashboard's body is JSON");
    let mut seen = BTreeSet::new();
    for widget in body["widgets"].as_array().unwrap() {
        let mut namespace = String::new();
        for metric in widget["properties"]["metrics"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if let Some(search) = metric[0]["expression"].as_str() {
                let name = search
                    .split("MetricName=\"")
                    .nth(1)
                    .unwrap()
                    .split('"')
                    .next();
                seen.insert(name.unwrap().to_owned());
                continue;
            }
            match metric[0].as_str().unwrap() {
                "." | "..." => {}
                other => namespace = other.to_owned(),
            }
            if namespace == metrics::NAMESPACE && metric[0] != "..." {
                seen.insert(metric[1].as_str().unwrap().to_owned());
            }
        }
    }
    for alarm in template.resources("AWS::CloudWatch::Alarm").values() {
        assert_eq!(
            alarm["TreatMissingData"], "notBreaching",
            "no events are no alarm: {alarm}"
        );
        assert_eq!(
            alarm["AlarmActions"],
            serde_json::json!([template_topic()]),
            "{alarm}"
        );
        if alarm["Namespace"] == metrics::NAMESPACE {
            seen.insert(text(&alarm["MetricName"]).unwrap());
        }
    }
    let known: BTreeSet<String> = metrics::METRICS
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(seen, known);
}

fn template_topic() -> String {
    format!("arn:aws:sns:{REGION}:{ACCOUNT}:gpu-recovery")
}

#[test]
fn every_name_resolves_in_every_partition() {
    for (partition, console) in [
        ("aws", "console.aws.amazon.com"),
        ("aws-cn", "console.amazonaws.cn"),
        ("aws-us-gov", "console.amazonaws-us-gov.com"),
    ] {
        let template = Template::with(
            partition,
            &[
                (
                    "TaskRoleArns",
                    "arn:aws:iam::123456789012:role/a,arn:aws:iam::123456789012:role/b",
                ),
                ("NotificationEmail", "ops@example.com"),
                (
                    "PermissionsBoundaryArn",
                    "arn:aws:iam::123456789012:policy/b",
                ),
            ],
        );
        for resource in template.body["Resources"].as_object().unwrap().values() {
            let resolved = template.resolve(&resource["Properties"]).to_string();
            if partition != "aws" {
                let given = resolved.replace("arn:aws:iam::123456789012:role/a", "");
                let given = given.replace("arn:aws:iam::123456789012:role/b", "");
                let given = given.replace("arn:aws:iam::123456789012:policy/b", "");
                assert!(!given.contains("arn:aws:"), "{partition}: {given}");
            }
        }
        let outputs = template.outputs();
        for (name, link) in outputs.iter().filter(|(name, _)| name.ends_with("Link")) {
            assert!(link.contains(console), "{partition}: {name}: {link}");
        }
    }
}

/// The names that docs/deploy.md and docs/runbook.md send an operator to.
#[test]
fn the_outputs_have_what_the_docs_name() {
    let outputs = Template::new().outputs();
    let live = format!("{}:live", state_machine_arn());
    for (name, value) in [
        ("StateMachineArn", state_machine_arn()),
        ("StateMachineAliasArn", live),
        ("TopicArn", template_topic()),
        ("TrainingJobTableName", "hybrid-gpu-training-job".to_owned()),
        (
            "ContainerInstanceTableName",
            "ecs_container_instance".to_owned(),
        ),
    ] {
        assert_eq!(outputs.get(name), Some(&value), "{name}");
    }
    let docs = [
        include_str!("../../docs/deploy.md"),
        include_str!("../../docs/runbook.md"),
    ];
    let mut named = 0;
    for part in docs.iter().flat_map(|page| page.split("output `").skip(1)) {
        let name = part.split('`').next().unwrap();
        assert!(outputs.contains_key(name), "no output {name}");
        named += 1;
    }
    assert!(named > 0);
}
