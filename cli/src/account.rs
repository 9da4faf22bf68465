//! The AWS account that a command works on: the flags that name it, its clients, and its refusals in plain words.

use crate::{Failure, output::Output};
use aws_sdk_ecs::types::{ContainerInstance, ContainerInstanceStatus};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use clap::Args;
use sandbox::client::SandboxClock;
use std::{collections::BTreeMap, fmt::Debug};
use workers::{
    Context, Settings, WorkerError,
    aws::{
        clients::{
            self,
            aws_config::{self, Region},
        },
        topic::Topic,
    },
    context::Clients,
    error::code_of,
    ids::{ContainerInstanceArn, ExecutionArn, InstanceId, JobId, NotAnId},
    records::JobStatus,
};

/// Where the operators are told.
#[derive(Args, Clone, Debug, Default)]
pub struct OperatorsTopic {
    /// The operators' topic; when left out, the one that has the state machine's name, as the stack gives it.
    #[arg(
        long,
        env = "SNS_TOPIC_ARN",
        value_name = "ARN",
        hide_env_values = true
    )]
    topic: Option<String>,
}

/// Where the account is, and how the system is deployed in it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Account")]
pub struct Account {
    /// Profile of the AWS configuration, before any credentials of the environment; AWS_PROFILE as usual.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,

    /// Region; the profile's when left out.
    #[arg(
        long,
        env = "AWS_REGION",
        value_name = "REGION",
        hide_env_values = true
    )]
    pub region: Option<String>,

    /// Another endpoint for every call; AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECS and their like as usual.
    #[arg(long, value_name = "URL")]
    pub endpoint_url: Option<String>,

    /// The ECS cluster.
    #[arg(
        long,
        env = "ECS_CLUSTER_NAME",
        value_name = "NAME",
        hide_env_values = true
    )]
    pub cluster: Option<String>,

    /// Table of jobs.
    #[arg(
        long,
        env = "TRAINING_JOB_TABLE_NAME",
        value_name = "TABLE",
        default_value = "hybrid-gpu-training-job",
        hide_env_values = true
    )]
    pub jobs_table: String,

    /// Table of instances.
    #[arg(
        long,
        env = "CONTAINER_INSTANCE_TABLE_NAME",
        value_name = "TABLE",
        default_value = "ecs_container_instance",
        hide_env_values = true
    )]
    pub instances_table: String,

    /// The recovery's state machine; found by its name, gpu-recovery, when left out.
    #[arg(
        long,
        env = "STATE_MACHINE_ARN",
        value_name = "ARN",
        hide_env_values = true
    )]
    pub state_machine: Option<String>,
}

/// What a command works with.
pub struct Desk {
    pub context: Context,
    pub sfn: aws_sdk_sfn::Client,
    pub ecs: aws_sdk_ecs::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sns: aws_sdk_sns::Client,
    state_machine: Option<String>,
}

/// As the template names the machine.
const MACHINE: &str = "gpu-recovery";

impl Desk {
    /// Whether an execution that a record of that time names is at work.
    pub async fn is_running(
        &self,
        holder: &ExecutionArn,
        named_at: &str,
    ) -> Result<bool, WorkerError> {
        let now = self.context.clock.epoch_seconds();
        self.context
            .executions
            .is_running(holder, named_at, now)
            .await
    }

    /// The account that the flags name, by this machine's AWS configuration.
    ///
    /// # Errors
    /// When something is not given, or no credentials are found.
    pub async fn open(account: &Account, needs: Needs) -> Result<Self, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let mut config = clients::defaults();
        if let Some(profile) = given(&account.profile) {
            let region = given(&account.region).map(Region::new);
            config = config
                .credentials_provider(clients::credentials_of(&profile, region))
                .profile_name(profile);
        }
        if let Some(region) = given(&account.region) {
            config = config.region(Region::new(region));
        }
        if let Some(url) = given(&account.endpoint_url) {
            config = config.endpoint_url(url);
        }
        let config = config.load().await;
        usable(&config).await?;
        if needs == Needs::Cluster && given(&account.cluster).is_none() {
            return Err(Failure::BadInput(
                "no cluster is given; give --cluster NAME or set ECS_CLUSTER_NAME".to_owned(),
            ));
        }
        let time = clock(config.endpoint_url()).await;
        let settings = settings(account)?;
        let clients = clients::clients(&config);
        Ok(Self::new(
            Context::new(settings, copy(&clients), time),
            clients,
            given(&account.state_machine),
        ))
    }

    /// With clients that are there already.
    pub fn new(context: Context, clients: Clients, state_machine: Option<String>) -> Self {
        Self {
            context,
            sfn: clients.sfn,
            ecs: clients.ecs,
            dynamodb: clients.dynamodb,
            sns: clients.sns,
            state_machine,
        }
    }

    /// Seconds since the epoch.
    pub fn now(&self) -> f64 {
        self.context.clock.epoch_seconds() as f64
    }

    /// The execution at work on a job, else the one that changed it last.
    ///
    /// # Errors
    /// When the job is not recorded, or no execution has changed it yet.
    pub async fn recovery_of(&self, job: &JobId) -> Result<ExecutionArn, Failure> {
        let Some(record) = self.context.jobs.get(job).await? else {
            return Err(unknown_job(job));
        };
        // A job that was relaunched and given up later names both.
        let last = match record.status {
            JobStatus::Failed => record.failed_by.or(record.relaunched_by),
            _ => record.relaunched_by.or(record.failed_by),
        };
        record.holder.or(last).ok_or_else(|| {
            Failure::Broken(format!(
                "no execution is or was at work on job {job}: it is {} in attempt {}; one that failed before it took the job \
                 is shown by `gpu-recovery status`",
                record.status, record.attempt
            ))
        })
    }

    /// The operators' topic: the one that is named, else the one that has the state machine's name, as the stack gives it.
    ///
    /// # Errors
    /// When neither is known.
    pub async fn topic(&self, named: &OperatorsTopic) -> Result<Topic, Failure> {
        let arn = match &named.topic {
            Some(arn) => arn.clone(),
            None => self
                .machine()
                .await?
                .replace(":states:", ":sns:")
                .replace(":stateMachine:", ":"),
        };
        let chat = self.context.settings.chat_topic_arn.as_deref();
        Ok(Topic::new(self.sns.clone(), &arn, chat))
    }

    /// The container instance of an EC2 instance or hybrid node.
    ///
    /// # Errors
    /// When the cluster does not know it.
    pub async fn place(
        &self,
        id: &InstanceId,
    ) -> Result<(ContainerInstanceArn, ContainerInstance), Failure> {
        let found = self.context.fleet.find(id).await?;
        let arn = found
            .as_ref()
            .and_then(|found| found.container_instance_arn());
        let arn = arn.map(ContainerInstanceArn::new);
        arn.zip(found).ok_or_else(|| {
            Failure::Broken(format!(
                "the cluster does not know {id}; check --cluster, and that its ECS agent is registered"
            ))
        })
    }

    /// The cluster's container instances; those in one status only, where one is given.
    ///
    /// # Errors
    /// When ECS does not list them.
    pub async fn container_instances(
        &self,
        status: Option<ContainerInstanceStatus>,
    ) -> Result<BTreeMap<ContainerInstanceArn, ContainerInstance>, Failure> {
        let cluster = &self.context.settings.cluster;
        let arns = self
            .ecs
            .list_container_instances()
            .cluster(cluster)
            .set_status(status)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<String>, _>>()
            .await
            .map_err(refused("ecs:ListContainerInstances", cluster))?;
        let arns: Vec<_> = arns.into_iter().map(ContainerInstanceArn::new).collect();
        Ok(self.context.fleet.container_instances(&arns).await?)
    }

    /// The state machine: as given, else the one of its name.
    ///
    /// # Errors
    /// When there is none, or several.
    pub async fn machine(&self) -> Result<String, Failure> {
        if let Some(arn) = &self.state_machine {
            return Ok(arn.clone());
        }
        let machines = self
            .sfn
            .list_state_machines()
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(refused("states:ListStateMachines", "the account"))?;
        let found = machines.iter().find(|machine| machine.name() == MACHINE);
        found
            .map(|machine| machine.state_machine_arn().to_owned())
            .ok_or_else(|| {
                Failure::BadInput(format!(
                    "this account and region have no state machine called {MACHINE}; give --state-machine ARN or set \
                     STATE_MACHINE_ARN"
                ))
            })
    }
}

/// This machine's clock; of a sandbox, its own.
async fn clock(endpoint: Option<&str>) -> SharedTimeSource {
    let sandbox = match endpoint {
        Some(url) => SandboxClock::of(url).await,
        None => None,
    };
    match sandbox {
        Some(clock) => SharedTimeSource::new(clock),
        None => SharedTimeSource::new(SystemTimeSource::new()),
    }
}

/// No job of this id.
pub fn unknown_job(id: &JobId) -> Failure {
    Failure::Broken(format!(
        "no job {id} is recorded; `gpu-recovery status` lists those that are, and --jobs-table names the table"
    ))
}

/// What must be given beside the account itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Cluster,
}

fn copy(clients: &Clients) -> Clients {
    Clients {
        dynamodb: clients.dynamodb.clone(),
        ecs: clients.ecs.clone(),
        sfn: clients.sfn.clone(),
        sns: clients.sns.clone(),
    }
}

/// A region and credentials are there.
async fn usable(config: &aws_config::SdkConfig) -> Result<(), Failure> {
    if config.region().is_none() {
        return Err(Failure::BadInput(
            "no AWS region is set; give --region REGION, set AWS_REGION, or set one in the profile"
                .to_owned(),
        ));
    }
    clients::has_credentials(config).await.map_err(|error| {
        let sso = if cfg!(feature = "sso") {
            "`aws sso login`"
        } else {
            "`eval \"$(aws configure export-credentials --format env)\"` (or build with --features sso)"
        };
        Failure::BadInput(format!(
            "no AWS credentials can be used: {error}\n  give --profile NAME, set AWS_PROFILE, or, for a profile of IAM \
             Identity Center, {sso}"
        ))
    })
}

/// The settings that a command needs; what only the functions need is filled in.
fn settings(account: &Account) -> Result<Settings, Failure> {
    Settings::read(|name| {
        let unused = |text: &str| std::env::var(name).unwrap_or_else(|_| text.to_owned());
        match name {
            "TRAINING_JOB_TABLE_NAME" => Some(account.jobs_table.clone()),
            "CONTAINER_INSTANCE_TABLE_NAME" => Some(account.instances_table.clone()),
            "ECS_CLUSTER_NAME" => Some(account.cluster.clone().unwrap_or("default".to_owned())),
            "DCGM_HEALTH_CHECK_TASK" => Some(unused("dcgm-health-check")),
            "SNS_TOPIC_ARN" => Some(unused("arn:aws:sns:us-east-1:123456789012:gpu-recovery")),
            name => std::env::var(name).ok(),
        }
    })
    .map_err(|error| Failure::BadInput(error.to_string()))
}

/// Runs a command's calls.
///
/// # Errors
/// The command's own.
pub fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Broken(error.to_string()))?
        .block_on(work)
}

/// Runs what a command does at the desk of the account that its flags name.
///
/// # Errors
/// When the desk cannot be opened; the command's own.
pub fn at_desk(
    account: &Account,
    needs: Needs,
    work: impl AsyncFnOnce(&Desk, &Output) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let output = Output::new();
    run(async {
        let desk = Desk::open(account, needs).await?;
        work(&desk, &output).await
    })
}

/// That what was done could not be told.
pub fn not_told(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(format!(
        "the operators were not told: {error}; to repeat it is safe, and --topic names the topic"
    ))
}

/// A failed call in plain words, with the fix where it is known; `about` names what was asked for.
pub fn refused<E>(
    call: &'static str,
    about: &str,
) -> impl Fn(aws_sdk_sfn::error::SdkError<E>) -> Failure
where
    E: aws_sdk_sfn::error::ProvideErrorMetadata + std::error::Error + Debug + 'static,
{
    let about = about.to_owned();
    move |error| {
        let code = code_of(&error);
        let message = match &error {
            aws_sdk_sfn::error::SdkError::ServiceError(context) => context
                .err()
                .message()
                .unwrap_or("AWS says no more")
                .to_owned(),
            other => deepest(other),
        };
        worded(call, &code, &message, &about)
    }
}

/// What went wrong at the bottom of it.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

fn worded(call: &str, code: &str, message: &str, about: &str) -> Failure {
    let fix = match code {
        "ExecutionDoesNotExist" | "InvalidArn" => {
            return Failure::BadInput(format!(
                "Step Functions does not know the execution {about}; check the ARN, the region and the account (it keeps \
                 executions for 90 days)"
            ));
        }
        "ResourceNotFoundException" => {
            "check --jobs-table and --instances-table, the region and the account"
        }
        "ClusterNotFoundException" => "check --cluster, the region and the account",
        "StateMachineDoesNotExist" => "check --state-machine, the region and the account",
        "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            "get new credentials"
        }
        "DispatchFailure" | "TimeoutError" => "check the network, --region and --endpoint-url",
        code if code.starts_with("AccessDenied") => "your role must allow the call",
        _ => "try again; if it stays, look the error up",
    };
    Failure::Broken(format!("{call} failed with {code}: {message}\n  {fix}"))
}

/// A worker's error, for an operator at a terminal.
impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::AwsUnavailable(failure) | WorkerError::AwsRejected(failure) => {
                let message = match failure.code.as_str() {
                    // The SDK's own words are for programmers.
                    "DispatchFailure" => "AWS could not be reached",
                    "TimeoutError" => "AWS did not answer in time",
                    "ResponseError" => "the answer could not be read",
                    "ConstructionFailure" => "the call could not be made",
                    _ => &failure.message,
                };
                worded(failure.call, &failure.code, message, "asked for")
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

/// What an operator names: a job, an instance or an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Execution(ExecutionArn),
    Instance(InstanceId),
    Job(JobId),
}

/// Reads what an operator names.
///
/// # Errors
/// When it can be none of them.
pub fn named(text: &str) -> Result<Named, String> {
    if text.starts_with("arn:") {
        return execution(text).map(Named::Execution);
    }
    if let Ok(instance) = text.parse() {
        return Ok(Named::Instance(instance));
    }
    text.parse()
        .map(Named::Job)
        .map_err(|wrong: NotAnId| wrong.to_string())
}

/// Reads the id of a job or of an instance.
///
/// # Errors
/// When it can be neither.
pub fn recorded(text: &str) -> Result<Named, String> {
    match named(text)? {
        Named::Execution(_) => Err(
            "an execution is told by `gpu-recovery explain`; give a job or an instance".to_owned(),
        ),
        named => Ok(named),
    }
}

/// Reads an execution's ARN, or the id of the job whose recovery it is.
///
/// # Errors
/// When it can be neither.
pub fn recovery(text: &str) -> Result<Named, String> {
    match named(text)? {
        Named::Instance(_) => Err(
            "an instance has no execution of its own; give its job, or the execution that holds it (status INSTANCE names both)"
                .to_owned(),
        ),
        named => Ok(named),
    }
}

/// Reads an execution's ARN.
fn execution(text: &str) -> Result<ExecutionArn, String> {
    text.parse().map_err(|wrong: NotAnId| {
        format!("{wrong}, and `gpu-recovery status JOB` shows the one at work on a job")
    })
}

/// The person at the terminal, for the records.
pub fn whoami() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "an operator".to_owned())
}
