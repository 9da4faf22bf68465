//! `workers::Settings`: any environment either parses or names every variable that is wrong.

use proptest::prelude::*;
use std::collections::BTreeMap;
use workers::Settings;

const REQUIRED: [&str; 5] = [
    "TRAINING_JOB_TABLE_NAME",
    "CONTAINER_INSTANCE_TABLE_NAME",
    "ECS_CLUSTER_NAME",
    "DCGM_HEALTH_CHECK_TASK",
    "SNS_TOPIC_ARN",
];

/// Each variable with good values and bad ones.
const VARIABLES: [(&str, &[&str], &[&str]); 24] = [
    (
        "TRAINING_JOB_TABLE_NAME",
        &["hybrid-gpu-training-job"],
        &["", "  "],
    ),
    (
        "CONTAINER_INSTANCE_TABLE_NAME",
        &["ecs_container_instance"],
        &[""],
    ),
    ("ECS_CLUSTER_NAME", &["gpu-training"], &[""]),
    ("DCGM_HEALTH_CHECK_TASK", &["dcgm-health-check:3"], &[""]),
    (
        "SNS_TOPIC_ARN",
        &[
            "arn:aws:sns:us-east-1:123456789012:t",
            "arn:aws-cn:sns:cn-north-1:123456789012:t",
        ],
        &[
            "",
            "t",
            "arn:aws:sqs:us-east-1:123456789012:q",
            "arn:aws:sns:us-east-1:123456789012:t:sub",
        ],
    ),
    (
        "RECOVERABLE_EXIT_CODES",
        &["", "1", "1, 134,139"],
        &["0", "1,0", "x", "1,,2", "256", "-1", "1;2"],
    ),
    (
        "FAULTY_EXIT_CODES",
        &["", "1,226", " 226 "],
        &["0", "a", "300"],
    ),
    ("ISOLATE_EXIT_CODES", &["", "205"], &["0", "x,205", "-51"]),
    (
        "OTHER_EXIT_POLICY",
        &["", "ignore", "recover", "tell"],
        &["Ignore", "reboot", "fail"],
    ),
    (
        "NO_RECOVERY_EXIT_CODES",
        &["", "93", "42, 93"],
        &["0", "93,x", "256"],
    ),
    (
        "HEALTHY_POLICY",
        &["", "fail", "relaunch"],
        &["Fail", "recover"],
    ),
    ("PERSON_STOP", &["", "gang", "leave"], &["Gang", "stop"]),
    ("SPARES", &["", "first", "off"], &["First", "last"]),
    (
        "SPARE_MATCH",
        &["", "ecs.instance-type", "rack, ecs.availability-zone"],
        &["a b", "rack,,row", "größe"],
    ),
    ("TRAINING_CONTAINER_NAME", &["", "trainer"], &[]),
    (
        "INSTANCES_TO_CHECK",
        &["", "suspects", "all"],
        &["some", "ALL"],
    ),
    (
        "RECOVERY_ATTEMPTS",
        &["", "0", "100"],
        &["-1", "101", "one", "1.5"],
    ),
    ("PROGRESS_MINUTES", &["", "1", "10080"], &["0", "1h"]),
    (
        "START_TIMEOUT_SECONDS",
        &["", "60", "7200"],
        &["59", "7201"],
    ),
    ("MAX_FAULTY_INSTANCES", &["", "1", "1024"], &["0", "1025"]),
    ("MAX_FAULTS_PER_MONTH", &["", "1", "100"], &["0", "x"]),
    (
        "DCGM_TIMEOUT_SECONDS",
        &["", "300", "7200"],
        &["59", "7201"],
    ),
    ("PROBE_SECONDS", &["", "1", "60"], &["0", "61", "soon"]),
    (
        "REBOOT_TIMEOUT_SECONDS",
        &["", "600", "7200"],
        &["599", "7201", "10m"],
    ),
];

fn environment() -> impl Strategy<Value = Vec<(&'static str, &'static str, bool)>> {
    let variables: Vec<_> = VARIABLES
        .iter()
        .map(|(name, good, bad)| {
            let good = prop::sample::select(good.to_vec())
                .prop_map(move |v| (*name, v, true))
                .boxed();
            if bad.is_empty() {
                good
            } else {
                let bad = prop::sample::select(bad.to_vec()).prop_map(move |v| (*name, v, false));
                prop_oneof![3 => good, 1 => bad].boxed()
            }
        })
        .collect();
    variables
}

fn read(pairs: &BTreeMap<&str, &str>) -> Result<Settings, String> {
    Settings::read(|name| pairs.get(name).map(|v| (*v).to_owned())).map_err(|e| e.to_string())
}

proptest! {
    #[test]
    fn an_environment_parses_or_names_every_bad_variable(environment in environment()) {
        let pairs: BTreeMap<_, _> = environment.iter().map(|(name, value, _)| (*name, *value)).collect();
        let bad: Vec<_> = environment.iter().filter(|(_, _, good)| !good).map(|(name, ..)| *name).collect();
        match read(&pairs) {
            Ok(_) => prop_assert!(bad.is_empty(), "took {:?}", bad),
            Err(error) => {
                prop_assert!(!bad.is_empty(), "refused a good environment: {}", error);
                for name in bad {
                    prop_assert!(error.contains(name), "{} not in: {}", name, error);
                }
            }
        }
    }

    #[test]
    fn any_text_in_any_variable_is_taken_or_told_with_the_variable(nth in 0..VARIABLES.len(), text in ".{0,40}") {
        let name = VARIABLES[nth].0;
        let mut pairs: BTreeMap<&str, &str> = REQUIRED.iter().map(|name| (*name, VARIABLES.iter().find(|v| v.0 == *name).unwrap().1[0])).collect();
        pairs.insert(name, &text);
        if let Err(error) = read(&pairs) {
            prop_assert!(error.contains(name), "{} not in: {}", name, error);
        }
    }

    #[test]
    fn the_definition_gets_the_same_settings(environment in environment()) {
        let pairs: BTreeMap<_, _> = environment.iter().map(|(name, value, _)| (*name, *value)).collect();
        if let Ok(settings) = read(&pairs) {
            let substitutions = settings.substitutions();
            prop_assert_eq!(&substitutions["EcsClusterName"], &settings.cluster);
            let codes: Vec<i32> = substitutions["FaultyExitCodes"].split(',').map(|c| c.parse().unwrap()).collect();
            prop_assert_eq!(codes, settings.faulty_exit_codes);
            prop_assert_eq!(substitutions["MaxFaultyInstances"].parse::<u32>().unwrap(), settings.max_faulty_instances);
        }
    }
}

#[test]
fn nothing_set_names_the_five_variables_that_must_be() {
    let error = read(&BTreeMap::new()).unwrap_err();
    for name in REQUIRED {
        assert!(error.contains(&format!("{name} is not set")), "{error}");
    }
}

#[test]
fn a_code_means_one_thing() {
    let mut pairs: BTreeMap<_, _> = REQUIRED.iter().map(|name| (*name, "x")).collect();
    pairs.insert("SNS_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:t");
    pairs.insert("FAULTY_EXIT_CODES", "1,2");
    let error = read(&pairs).unwrap_err();
    assert!(
        error.contains("FAULTY_EXIT_CODES and ISOLATE_EXIT_CODES both hold 2"),
        "{error}"
    );
}
