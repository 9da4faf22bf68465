//! The template wires up what the code and the simulator have: no more, no less, no other.

use crate::template::{Template, cluster, text};
use serde_json::Value;
use simulator::{
    ACCOUNT, REGION,
    cloud::{Cloud, CloudOptions, HEALTH_CHECK, substitutions},
    lambda::Lambda,
    rules,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};
use workers::{Settings, metrics};

fn cluster_arn() -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{}", cluster())
}

fn state_machine_arn() -> String {
    format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:gpu-recovery")
}

#[test]
fn the_rules_are_those_of_the_simulator() {
    let template = Template::new();
    let mut found = template.rules();
    let queue = format!("arn:aws:sqs:{REGION}:{ACCOUNT}:gpu-recovery-dead-letters");
    for (name, pattern, target) in [
        (
            "task-stopped",
            rules::task_stopped(&cluster_arn(), HEALTH_CHECK),
            format!("{}:live", state_machine_arn()),
        ),
        (
            "instance-changed",
            rules::instance_changed(&cluster_arn()),
            format!("{}:live", Lambda::arn("instance-events")),
        ),
        (
            "command-ended",
            rules::command_ended(),
            format!("{}:live", Lambda::arn("instance-events")),
        ),
        (
            "execution-failed",
            rules::execution_failed(&state_machine_arn()),
            format!("{}:live", Lambda::arn("notify-failed-execution")),
        ),
    ] {
        let (found_pattern, found_target) = found
            .remove(name)
            .unwrap_or_else(|| panic!("no rule {name}"));
        assert_eq!(found_pattern, pattern, "{name}");
        assert_eq!(found_target["Arn"], target, "{name}");
        assert_eq!(found_target["DeadLetterConfig"]["Arn"], queue, "{name}");
        assert!(
            found_target["RetryPolicy"]["MaximumEventAgeInSeconds"].is_number(),
            "{name}"
        );
    }
    assert!(
        found.is_empty(),
        "rules that the simulator does not have: {:?}",
        found.keys()
    );
}

#[test]
fn a_rule_may_call_its_function_and_may_lay_down_what_it_cannot_deliver() {
    let template = Template::new();
    let rules = template.resources("AWS::Events::Rule");
    let arn = |rule: &Value| {
        format!(
            "arn:aws:events:{REGION}:{ACCOUNT}:rule/{}",
            text(&rule["Name"]).unwrap()
        )
    };
    let calls: BTreeSet<(String, Option<String>)> = rules
        .values()
        .filter(|rule| {
            text(&rule["Targets"][0]["Arn"])
                .unwrap()
                .contains(":lambda:")
        })
        .map(|rule| (arn(rule), text(&rule["Targets"][0]["Arn"])))
        .collect();
    let allowed: BTreeSet<(String, Option<String>)> = template
        .resources("AWS::Lambda::Permission")
        .values()
        .map(|p| (text(&p["SourceArn"]).unwrap(), text(&p["FunctionName"])))
        .collect();
    assert_eq!(calls, allowed);
    let policy = template.resource("DeadLettersPolicy");
    let sources =
        &policy["PolicyDocument"]["Statement"][0]["Condition"]["ArnEquals"]["aws:SourceArn"];
    let sources: BTreeSet<String> = sources
        .as_array()
        .unwrap()
        .iter()
        .filter_map(text)
        .collect();
    assert_eq!(sources, rules.values().map(arn).collect());
}

#[test]
fn there_is_one_function_per_worker_with_the_workers_own_bound() {
    let template = Template::new();
    let functions = template.resources("AWS::Serverless::Function");
    let mut found: BTreeMap<String, Value> = functions
        .iter()
        .map(|(name, f)| {
            let binary = &template.body["Resources"][name]["Metadata"]["BuildProperties"]["Binary"];
            (
                text(binary).unwrap_or_else(|| panic!("{name} names no binary")),
                f.clone(),
            )
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
        let given: BTreeSet<String> = variables.as_object().unwrap().keys().cloned().collect();
        assert_eq!(given, asked.into_inner());
        const NO_DEFAULT: [&str; 5] = [
            "TRAINING_JOB_TABLE_NAME",
            "CONTAINER_INSTANCE_TABLE_NAME",
            "ECS_CLUSTER_NAME",
            "DCGM_HEALTH_CHECK_TASK",
            "SNS_TOPIC_ARN",
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
fn the_health_check_takes_all_gpus_and_ends_with_dcgms_own_code() {
    let task = Template::new().resource("HealthCheckTask");
    assert_eq!(task["Family"], HEALTH_CHECK);
    assert_eq!(
        task["RequiresCompatibilities"],
        serde_json::json!(["EC2", "EXTERNAL"])
    );
    let containers = task["ContainerDefinitions"].as_array().unwrap();
    assert_eq!(
        containers.len(),
        1,
        "the definition reads the first container's exit code"
    );
    let gpus = &containers[0]["ResourceRequirements"][0];
    assert_eq!(
        (&gpus["Type"], text(&gpus["Value"])),
        (&"GPU".into(), Some("8".into()))
    );
    let command = text(&containers[0]["Command"][0]).unwrap();
    assert!(command.ends_with("exec dcgmi diag -r 2"), "{command}");
    let own = Template::with("aws", &[("CreateDcgmHealthCheckTask", "false")]);
    assert!(own.resources("AWS::ECS::TaskDefinition").is_empty());
}

#[test]
fn a_pinned_health_check_is_filtered_by_its_family() {
    let template = Template::with("aws", &[("DcgmHealthCheckTask", "my-check:7")]);
    let (pattern, _) = &template.rules()["task-stopped"];
    assert_eq!(*pattern, rules::task_stopped(&cluster_arn(), "my-check"));
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
        for link in outputs.values().filter(|value| value.starts_with("https:")) {
            assert!(link.contains(console), "{partition}: {link}");
        }
    }
}
