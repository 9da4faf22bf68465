//! Settings, read once from the environment; every problem is named at once.

mod policies;

pub use policies::{ExitPolicy, HealthyPolicy, JobPolicies, OTHER, PersonStop, SpareUse};

use std::{collections::BTreeMap, fmt};

/// How the system behaves. Names and defaults: docs/settings.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `TRAINING_JOB_TABLE_NAME`
    pub training_job_table: String,
    /// `CONTAINER_INSTANCE_TABLE_NAME`
    pub container_instance_table: String,
    /// `ECS_CLUSTER_NAME`
    pub cluster: String,
    /// `DCGM_HEALTH_CHECK_TASK`: task definition family, `family:revision` or ARN
    pub dcgm_health_check_task: String,
    /// `SNS_TOPIC_ARN`
    pub topic_arn: String,
    /// `CHAT_TOPIC_ARN`: a second topic, for a chat channel; unset where there is none
    pub chat_topic_arn: Option<String>,
    /// `DCGM_LOG_GROUP`: where the stack's own check writes its report; unset where it writes none to CloudWatch
    pub dcgm_log_group: Option<String>,
    /// `STATE_MACHINE_ARN`: the recovery's alias; set for the function that starts executions, and for no other
    pub state_machine_arn: Option<String>,
    /// `RECOVERABLE_EXIT_CODES`: a container that ends so is a failure to recover from
    pub recoverable_exit_codes: Vec<i32>,
    /// `CREATE_DCGM_HEALTH_CHECK_TASK`: the check is the stack's own, so that its exit codes are `health-check.sh`'s
    pub own_health_check: bool,
    /// `FAULTY_EXIT_CODES`: of a health check of the user's, exit codes that mean the GPU failed a test
    pub faulty_exit_codes: Vec<i32>,
    /// `ISOLATE_EXIT_CODES`: of a health check of the user's, exit codes after which no reboot helps
    pub isolate_exit_codes: Vec<i32>,
    /// `NO_RECOVERY_EXIT_CODES`: by these a trainer asks for no recovery
    pub no_recovery_exit_codes: Vec<i32>,
    /// What a job's own policies say of other codes; none of the stack's
    pub exit_policies: BTreeMap<i32, ExitPolicy>,
    /// `OTHER_EXIT_POLICY`: what every other abnormal end leads to
    pub other_exit_policy: ExitPolicy,
    /// `HEALTHY_POLICY`: what follows when a rank failed and no GPU fault is found
    pub healthy_policy: HealthyPolicy,
    /// `PERSON_STOP`: what becomes of the other ranks when an operator stops one
    pub person_stop: PersonStop,
    /// `SPARES`: whether bad nodes are replaced by spares before they are repaired
    pub spares: SpareUse,
    /// `SPARE_MATCH`: ECS attributes in which a spare must be as the node that it replaces
    pub spare_match: Vec<String>,
    /// `TRAINING_CONTAINER_NAME`: when set, this container's exit code alone counts
    pub training_container_name: Option<String>,
    /// `INSTANCES_TO_CHECK`
    pub instances_to_check: InstancesToCheck,
    /// `RECOVERY_ATTEMPTS`: how often a job is relaunched
    pub recovery_attempts: u32,
    /// `MAX_FAULTY_INSTANCES`: more faulty instances at once than this are not rebooted
    pub max_faulty_instances: u32,
    /// `MAX_FAULTS_PER_MONTH`: an instance that is faulty so often in 30 days is quarantined instead of rebooted
    pub max_faults_per_month: u32,
    /// `PROGRESS_MINUTES`: an attempt whose ranks all ran so long has made progress
    pub progress_minutes: u32,
    /// `START_TIMEOUT_SECONDS`: bound of a relaunch, from RunTask until every rank is RUNNING
    pub start_timeout_seconds: u32,
    /// `STOP_ROUNDS`: how often StopSiblings is asked (a round is about a minute)
    pub stop_rounds: u32,
    /// `DCGM_TIMEOUT_SECONDS`: bound of one health check
    pub dcgm_timeout_seconds: u32,
    /// `PROBE_SECONDS`: how long the nodes' answers are waited for after the last rank has stopped
    pub probe_seconds: u32,
    /// `REBOOT_TIMEOUT_SECONDS`: a node that has not told another boot id by then is rebooted by EC2, or quarantined
    pub reboot_timeout_seconds: u32,
}

/// Which instances of a failed job are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancesToCheck {
    /// Those of every rank that ended by itself with a failing code before the job was stopped.
    Suspects,
    /// Every instance of the job.
    All,
}

/// Every problem of the environment at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<String>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "settings: {}", self.0.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the process environment.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads settings from `get`; the empty string counts as unset.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut r = Reader {
            get: &get,
            problems: Vec::new(),
        };
        let settings = Self {
            training_job_table: r.required("TRAINING_JOB_TABLE_NAME", "a DynamoDB table name"),
            container_instance_table: r
                .required("CONTAINER_INSTANCE_TABLE_NAME", "a DynamoDB table name"),
            cluster: r.required("ECS_CLUSTER_NAME", "an ECS cluster name"),
            dcgm_health_check_task: r.required("DCGM_HEALTH_CHECK_TASK", "a task definition"),
            topic_arn: r.topic("SNS_TOPIC_ARN"),
            chat_topic_arn: r.chat_topic("CHAT_TOPIC_ARN"),
            dcgm_log_group: r.get("DCGM_LOG_GROUP"),
            state_machine_arn: r.get("STATE_MACHINE_ARN"),
            recoverable_exit_codes: r.codes("RECOVERABLE_EXIT_CODES", "1"),
            own_health_check: r.choice(
                "CREATE_DCGM_HEALTH_CHECK_TASK",
                &[("true", true), ("false", false)],
            ),
            no_recovery_exit_codes: r.codes("NO_RECOVERY_EXIT_CODES", "93"),
            exit_policies: BTreeMap::new(),
            faulty_exit_codes: r.codes("FAULTY_EXIT_CODES", "1,226"),
            isolate_exit_codes: r.codes("ISOLATE_EXIT_CODES", "2"),
            other_exit_policy: r.choice(
                "OTHER_EXIT_POLICY",
                &[
                    ("recover", ExitPolicy::Recover),
                    ("tell", ExitPolicy::Tell),
                    ("ignore", ExitPolicy::Ignore),
                ],
            ),
            healthy_policy: r.choice(
                "HEALTHY_POLICY",
                &[
                    ("fail", HealthyPolicy::Fail),
                    ("relaunch", HealthyPolicy::Relaunch),
                ],
            ),
            person_stop: r.choice(
                "PERSON_STOP",
                &[("gang", PersonStop::Gang), ("leave", PersonStop::Leave)],
            ),
            spares: r.choice(
                "SPARES",
                &[("first", SpareUse::First), ("off", SpareUse::Off)],
            ),
            spare_match: r.attributes("SPARE_MATCH", "ecs.instance-type,ecs.availability-zone"),
            training_container_name: r.get("TRAINING_CONTAINER_NAME"),
            instances_to_check: r.choice(
                "INSTANCES_TO_CHECK",
                &[
                    ("suspects", InstancesToCheck::Suspects),
                    ("all", InstancesToCheck::All),
                ],
            ),
            recovery_attempts: r.number("RECOVERY_ATTEMPTS", 1, 0, 100),
            max_faulty_instances: r.number("MAX_FAULTY_INSTANCES", 16, 1, 1024),
            max_faults_per_month: r.number("MAX_FAULTS_PER_MONTH", 3, 1, 100),
            progress_minutes: r.number("PROGRESS_MINUTES", 60, 1, 10080),
            start_timeout_seconds: r.number("START_TIMEOUT_SECONDS", 1800, 60, 7200),
            stop_rounds: r.number("STOP_ROUNDS", 6, 1, 60),
            dcgm_timeout_seconds: r.number("DCGM_TIMEOUT_SECONDS", 1800, 300, 7200),
            probe_seconds: r.number("PROBE_SECONDS", 15, 1, 60),
            reboot_timeout_seconds: r.number("REBOOT_TIMEOUT_SECONDS", 1800, 600, 7200),
        };
        for code in &settings.isolate_exit_codes {
            if settings.faulty_exit_codes.contains(code) {
                r.problems.push(format!(
                    "FAULTY_EXIT_CODES and ISOLATE_EXIT_CODES both hold {code}; a code means one thing"
                ));
            }
        }
        if settings.faulty_exit_codes.contains(&0) || settings.isolate_exit_codes.contains(&0) {
            r.problems.push(
                "FAULTY_EXIT_CODES and ISOLATE_EXIT_CODES must not hold 0, which is healthy".into(),
            );
        }
        for (name, codes) in [
            ("RECOVERABLE_EXIT_CODES", &settings.recoverable_exit_codes),
            ("NO_RECOVERY_EXIT_CODES", &settings.no_recovery_exit_codes),
        ] {
            if codes.contains(&0) {
                r.problems
                    .push(format!("{name} must not hold 0, which is a completion"));
            }
        }
        for code in &settings.no_recovery_exit_codes {
            if settings.recoverable_exit_codes.contains(code) {
                r.problems.push(format!(
                    "RECOVERABLE_EXIT_CODES and NO_RECOVERY_EXIT_CODES both hold {code}; a code means one thing"
                ));
            }
        }
        if r.problems.is_empty() {
            Ok(settings)
        } else {
            Err(SettingsError(r.problems))
        }
    }

    /// The same settings as the definition's `DefinitionSubstitutions` (functions' ARNs excepted).
    pub fn substitutions(&self) -> BTreeMap<String, String> {
        let codes = |codes: &[i32]| {
            codes
                .iter()
                .map(i32::to_string)
                .collect::<Vec<_>>()
                .join(",")
        };
        BTreeMap::from(
            [
                ("EcsClusterName", self.cluster.clone()),
                ("DcgmHealthCheckTask", self.dcgm_health_check_task.clone()),
                ("OwnHealthCheck", self.own_health_check.to_string()),
                ("FaultyExitCodes", codes(&self.faulty_exit_codes)),
                ("IsolateExitCodes", codes(&self.isolate_exit_codes)),
                (
                    "TrainingContainerName",
                    self.training_container_name.clone().unwrap_or_default(),
                ),
                ("MaxFaultyInstances", self.max_faulty_instances.to_string()),
                ("StopRounds", self.stop_rounds.to_string()),
                ("DcgmTimeoutSeconds", self.dcgm_timeout_seconds.to_string()),
                ("ProbeSeconds", self.probe_seconds.to_string()),
                (
                    "RebootTimeoutSeconds",
                    self.reboot_timeout_seconds.to_string(),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        )
    }
}

struct Reader<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.get)(name)
            .map(|v| v.trim().to_owned())
            .filter(|v| !v.is_empty())
    }

    fn required(&mut self, name: &str, what: &str) -> String {
        self.get(name).unwrap_or_else(|| {
            self.problems
                .push(format!("{name} is not set; give {what}"));
            String::new()
        })
    }

    fn chat_topic(&mut self, name: &str) -> Option<String> {
        self.get(name).map(|_| self.topic(name))
    }

    fn topic(&mut self, name: &str) -> String {
        let arn = self.required(name, "an SNS topic ARN");
        let parts: Vec<&str> = arn.split(':').collect();
        let is_topic = parts.len() == 6 && parts[0] == "arn" && parts[2] == "sns";
        if !arn.is_empty() && !is_topic {
            self.problems.push(format!(
                "{name} is '{arn}'; give a topic ARN like arn:aws:sns:us-east-1:123456789012:gpu-recovery"
            ));
        }
        arn
    }

    fn codes(&mut self, name: &str, default: &str) -> Vec<i32> {
        let text = self.get(name).unwrap_or_else(|| default.to_owned());
        let codes: Option<Vec<i32>> = text
            .split(',')
            .map(|c| c.trim().parse().ok().filter(|c| (0..=255).contains(c)))
            .collect();
        codes.unwrap_or_else(|| {
            self.problems.push(format!(
                "{name} is '{text}'; give exit codes from 0 to 255 separated by commas, like {default}"
            ));
            Vec::new()
        })
    }

    /// Names of ECS attributes (API_Attribute).
    fn attributes(&mut self, name: &str, default: &str) -> Vec<String> {
        let text = self.get(name).unwrap_or_else(|| default.to_owned());
        let names: Vec<String> = text.split(',').map(|n| n.trim().to_owned()).collect();
        let named_well = |name: &String| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_/\\.".contains(c);
            (1..=128).contains(&name.len()) && name.chars().all(plain)
        };
        if !names.iter().all(named_well) {
            self.problems.push(format!(
                "{name} is '{text}'; give names of ECS attributes separated by commas, like {default}"
            ));
        }
        names
    }

    fn number(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let Some(text) = self.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(n) if (least..=most).contains(&n) => n,
            _ => {
                self.problems.push(format!(
                    "{name} is '{text}'; give a whole number from {least} to {most}"
                ));
                default
            }
        }
    }

    /// The first choice is the default.
    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        let Some(text) = self.get(name) else {
            return choices[0].1;
        };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.problems
            .push(format!("{name} is '{text}'; give {}", words.join(" or ")));
        choices[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let pairs: BTreeMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::read(|name| pairs.get(name).cloned())
    }

    const REQUIRED: [(&str, &str); 5] = [
        ("TRAINING_JOB_TABLE_NAME", "hybrid-gpu-training-job"),
        ("CONTAINER_INSTANCE_TABLE_NAME", "ecs_container_instance"),
        ("ECS_CLUSTER_NAME", "training"),
        ("DCGM_HEALTH_CHECK_TASK", "dcgm-health-check"),
        (
            "SNS_TOPIC_ARN",
            "arn:aws:sns:us-east-1:123456789012:gpu-recovery",
        ),
    ];

    #[test]
    fn the_five_original_names_are_enough() {
        let settings = read(&REQUIRED).unwrap();
        assert_eq!(settings.recoverable_exit_codes, [1]);
        assert_eq!(settings.faulty_exit_codes, [1, 226]);
        assert_eq!(settings.isolate_exit_codes, [2]);
        assert!(settings.own_health_check);
        assert_eq!(settings.recovery_attempts, 1);
        assert_eq!(settings.instances_to_check, InstancesToCheck::Suspects);
    }

    #[test]
    fn one_error_names_every_problem() {
        let error = read(&[
            ("SNS_TOPIC_ARN", "my-topic"),
            ("FAULTY_EXIT_CODES", "1,x"),
            ("RECOVERY_ATTEMPTS", "-1"),
            ("INSTANCES_TO_CHECK", "some"),
            ("ISOLATE_EXIT_CODES", "0"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "TRAINING_JOB_TABLE_NAME",
            "CONTAINER_INSTANCE_TABLE_NAME",
            "ECS_CLUSTER_NAME",
            "DCGM_HEALTH_CHECK_TASK",
            "SNS_TOPIC_ARN is 'my-topic'",
            "FAULTY_EXIT_CODES is '1,x'",
            "RECOVERY_ATTEMPTS is '-1'; give a whole number from 0 to 100",
            "INSTANCES_TO_CHECK is 'some'; give suspects or all",
            "must not hold 0",
        ] {
            assert!(error.contains(name), "{name} not in: {error}");
        }
    }
}
