//! The parameters refuse what the settings refuse, before anything is deployed.

use crate::template::{Template, text};
use serde_json::{Value, json};
use workers::Settings;

fn parameter(name: &str) -> Value {
    let found = Template::new().body["Parameters"][name].clone();
    assert!(found.is_object(), "no parameter {name}");
    found
}

/// CloudFormation matches the whole value (user guide, parameters-section-structure, AllowedPattern).
fn accepts(parameter: &Value, value: &str) -> bool {
    let pattern = parameter["AllowedPattern"].as_str().unwrap();
    let schema = json!({ "type": "string", "pattern": format!("^(?:{pattern})$") });
    jsonschema::validator_for(&schema)
        .unwrap()
        .is_valid(&json!(value))
}

#[test]
fn wrong_names_and_arns_are_refused_with_a_word_on_what_is_right() {
    for (name, right, wrong) in [
        (
            "EcsClusterName",
            &["training", "Train_1"][..],
            &[
                "",
                "arn:aws:ecs:us-east-1:123456789012:cluster/training",
                "a b",
            ][..],
        ),
        (
            "TrainingTaskFamily",
            &["*", "train-*", "train"],
            &["train:7", "arn:aws:ecs:x", ""],
        ),
        (
            "TaskRoleArns",
            &[
                "",
                "arn:aws:iam::123456789012:role/train",
                "arn:aws-cn:iam::123456789012:role/a/b",
            ],
            &[
                "train",
                "arn:aws:iam::123456789012:user/x",
                "arn:aws:iam::123456789012:role/*",
            ],
        ),
        (
            "DcgmHealthCheckTask",
            &["dcgm-health-check", "dcgm:12"],
            &[
                "",
                "arn:aws:ecs:us-east-1:123456789012:task-definition/dcgm:1",
                "dcgm:",
            ],
        ),
        (
            "NotificationEmail",
            &["", "ops@example.com"],
            &["ops", "ops@example", "a b@example.com"],
        ),
        (
            "RecoverableExitCodes",
            &["1", "1,139,255"],
            &["", "0", "256", "1, 2", "1,"],
        ),
        ("FaultyExitCodes", &["1,226"], &["0", "-1", "300"]),
        ("IsolateExitCodes", &["205"], &["0", "x"]),
        (
            "TrainingContainerName",
            &["", "trainer"],
            &["a b", "${x}", "a'b"],
        ),
        (
            "Prefix",
            &["gpu-recovery", "gr2"],
            &["", "GPU", "1a", "a_b"],
        ),
        (
            "TrainingJobTableName",
            &["hybrid-gpu-training-job"],
            &["ab", "a b"],
        ),
        (
            "ContainerInstanceTableName",
            &["ecs_container_instance"],
            &["", "a/b"],
        ),
        (
            "PermissionsBoundaryArn",
            &[
                "",
                "arn:aws-us-gov:iam::123456789012:policy/b",
                "arn:aws:iam::aws:policy/x",
            ],
            &["boundary", "arn:aws:iam::123456789012:role/b"],
        ),
        (
            "DcgmImage",
            &["nvcr.io/nvidia/cloud-native/dcgm:4.5.2-1-ubuntu22.04"],
            &["", "a b"],
        ),
        (
            "DcgmImageRepositoryArn",
            &[
                "",
                "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/nvidia/dcgm",
            ],
            &[
                "dcgm",
                "arn:aws:ecr:us-east-1:123456789012:repository/*",
                "123456789012.dkr.ecr.us-east-1.amazonaws.com/dcgm",
            ],
        ),
    ] {
        let parameter = parameter(name);
        for value in right {
            assert!(accepts(&parameter, value), "{name} refuses '{value}'");
        }
        for value in wrong {
            assert!(!accepts(&parameter, value), "{name} takes '{value}'");
        }
        let word = parameter["ConstraintDescription"]
            .as_str()
            .unwrap_or_default();
        assert!(
            word.starts_with("give "),
            "{name} does not say what is right: '{word}'"
        );
    }
}

#[test]
fn every_parameter_is_described_shown_in_a_group_and_bounded() {
    let template = Template::new();
    let groups = &template.body["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"];
    let shown: Vec<String> = groups
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["Parameters"].as_array().unwrap())
        .filter_map(text)
        .collect();
    let parameters = template.body["Parameters"].as_object().unwrap();
    for (name, parameter) in parameters {
        assert!(
            parameter["Description"]
                .as_str()
                .is_some_and(|d| d.len() > 20),
            "{name}"
        );
        assert_eq!(shown.iter().filter(|s| *s == name).count(), 1, "{name}");
        let bounded = ["AllowedPattern", "AllowedValues", "MaxValue"];
        assert!(
            bounded.iter().any(|b| !parameter[*b].is_null()),
            "{name} takes anything"
        );
    }
    assert_eq!(shown.len(), parameters.len());
}

/// The bounds of the numbers are those that the workers check at their start.
#[test]
fn the_numbers_bounds_are_those_of_the_settings() {
    for (parameter_name, setting) in [
        ("RecoveryAttempts", "RECOVERY_ATTEMPTS"),
        ("MaxFaultyInstances", "MAX_FAULTY_INSTANCES"),
        ("MaxFaultsPerMonth", "MAX_FAULTS_PER_MONTH"),
        ("StopRounds", "STOP_ROUNDS"),
        ("DcgmTimeoutSeconds", "DCGM_TIMEOUT_SECONDS"),
        ("ProbeSeconds", "PROBE_SECONDS"),
        ("RebootTimeoutSeconds", "REBOOT_TIMEOUT_SECONDS"),
    ] {
        let parameter = parameter(parameter_name);
        let (least, most) = (
            parameter["MinValue"].as_i64(),
            parameter["MaxValue"].as_i64(),
        );
        let (least, most) = (least.unwrap(), most.unwrap());
        for (value, right) in [
            (least, true),
            (most, true),
            (least - 1, false),
            (most + 1, false),
        ] {
            assert_eq!(
                takes(setting, &value.to_string()),
                right,
                "{setting}={value}"
            );
        }
    }
}

#[test]
fn the_words_of_a_choice_are_those_of_the_settings() {
    for (parameter_name, setting) in [
        ("OtherExitPolicy", "OTHER_EXIT_POLICY"),
        ("HealthyPolicy", "HEALTHY_POLICY"),
        ("PersonStop", "PERSON_STOP"),
        ("Spares", "SPARES"),
        ("InstancesToCheck", "INSTANCES_TO_CHECK"),
    ] {
        for word in parameter(parameter_name)["AllowedValues"]
            .as_array()
            .unwrap()
        {
            assert!(takes(setting, word.as_str().unwrap()), "{setting}={word}");
        }
    }
}

fn takes(setting: &str, value: &str) -> bool {
    let read = Settings::read(|name| {
        let given = match name {
            "TRAINING_JOB_TABLE_NAME" | "CONTAINER_INSTANCE_TABLE_NAME" => "table",
            "ECS_CLUSTER_NAME" => "training",
            "DCGM_HEALTH_CHECK_TASK" => "dcgm",
            "SNS_TOPIC_ARN" => "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
            _ if name == setting => value,
            _ => return None,
        };
        Some(given.to_owned())
    });
    read.is_ok()
}
