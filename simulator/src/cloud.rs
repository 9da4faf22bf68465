//! The whole: one account with the system deployed in it.

mod settings;

use crate::{
    clock::{self, Clock},
    dynamodb::DynamoDb,
    ec2::Ec2,
    ecs::{Ecs, EcsSettings, TaskDefinition, TaskKind},
    eventbridge::Bus,
    integrations::{self, TestCase},
    lambda::Lambda,
    rules,
    sns::Sns,
    ssm::Ssm,
    states,
    stepfunctions::{Definition, DefinitionErrors, StepFunctions, mocks::MockErrors},
    tap::{self, Seen},
    wire::Wire,
};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType,
};
use settings::{settings_over_defaults, substituted};
pub use settings::{stand_ins, substitutions};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::task::AbortHandle;
use workers::{
    Settings,
    aws::jobs::{RUNNING_INDEX, TASK_INDEX},
    settings::SettingsError,
};

/// The definition that is deployed, as it stands in `statemachine/`.
pub const RECOVERY: &str = include_str!("../../statemachine/recovery.asl.json");

/// The state machine's name.
pub const STATE_MACHINE: &str = "gpu-recovery";

/// The alias that rules and workers start it by.
pub const ALIAS: &str = "live";

/// The task family of the health check.
pub const HEALTH_CHECK: &str = "dcgm-health-check";

/// The task family of the drills' jobs.
pub const TRAINING: &str = "train";

/// An account. Its parts are open to whoever plays with it.
#[derive(Clone)]
pub struct Cloud {
    pub clock: Clock,
    pub wire: Wire,
    pub bus: Bus,
    pub tables: DynamoDb,
    pub fleet: Ecs,
    pub ssm: Ssm,
    pub sns: Sns,
    pub lambda: Lambda,
    pub stepfunctions: StepFunctions,
    pub settings: Settings,
    pub state_machine_arn: String,
    looking: Option<AbortHandle>,
}

/// How an account is made.
#[derive(Debug, Clone)]
pub struct CloudOptions {
    pub seed: u64,
    pub fleet: EcsSettings,
    /// Settings by their environment names, over the defaults.
    pub settings: BTreeMap<String, String>,
    pub definition: String,
    /// Mocks for states that no function of the system does.
    pub mocks: Option<TestCase>,
    /// Look for lost stops every five minutes, as the template's schedule does. Where no event is lost, a look finds
    /// nothing, and a drill shows its calls all the same.
    pub looks: bool,
    /// What its clock shows at first.
    pub start: SystemTime,
}

impl Default for CloudOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            fleet: EcsSettings::default(),
            settings: BTreeMap::new(),
            definition: RECOVERY.to_owned(),
            mocks: None,
            looks: false,
            start: clock::default_start(),
        }
    }
}

/// Why an account could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("statemachine/recovery.asl.json: {0}")]
    Definition(#[from] DefinitionErrors),
    #[error("the mocks: {0}")]
    Mocks(#[from] MockErrors),
    #[error(transparent)]
    Rule(#[from] crate::eventbridge::PatternError),
    #[error("Step Functions: {0}")]
    StepFunctions(String),
    #[error("DynamoDB: {0}")]
    DynamoDb(String),
}

impl Cloud {
    /// Makes an account and deploys the system into it. To be called within a tokio runtime whose clock is paused.
    ///
    /// # Errors
    /// When settings, definition or tables are refused.
    pub async fn new(options: CloudOptions) -> Result<Self, CloudError> {
        let CloudOptions {
            seed,
            fleet: fleet_settings,
            settings,
            definition,
            mocks,
            looks,
            start,
        } = options;
        let clock = Clock::new(start);
        let wire = Wire::new(clock, seed);
        let bus = Bus::new(clock, seed);
        let sns = Sns::new(clock, seed);
        let topic = sns.create_topic("gpu-recovery");
        let settings = settings_over_defaults(&settings, &fleet_settings.cluster, &topic)?;
        let fleet_settings = EcsSettings {
            own_check: settings
                .own_health_check
                .then(|| Duration::from_secs(u64::from(settings.dcgm_timeout_seconds))),
            ..fleet_settings
        };
        let fleet = Ecs::new(clock, seed, bus.clone(), fleet_settings);
        let ssm = Ssm::new(clock, seed, bus.clone(), fleet.clone());
        let tables = DynamoDb::new(clock).map_err(|e| CloudError::DynamoDb(e.to_string()))?;
        wire.register("dynamodb", tables.handler());
        wire.register("ecs", fleet.handler());
        wire.register("ssm", ssm.handler());
        wire.register("ec2", Ec2::new(fleet.clone()).handler());
        wire.register("sns", sns.handler());
        let lambda = Lambda::new(clock, seed, wire.clone(), settings.clone());
        let mut substitutions = substituted(&settings);
        if mocks.is_some() {
            stand_ins(&definition, &mut substitutions);
        }
        let definition = parsed(definition, substitutions)?;
        let mut runner = integrations::runner(wire.clone(), fleet.clone(), lambda.clone());
        if let Some(mocks) = mocks {
            runner = mocks.runner(runner, &definition)?;
        }
        let stepfunctions = states::service(clock, seed, bus.clone(), runner);
        wire.register("states", states::handler(&stepfunctions));
        if tap::is_on() {
            stepfunctions.on_event(|_, event| tap::tell(Seen::History(event)));
        }
        let state_machine_arn = stepfunctions.create_state_machine(STATE_MACHINE, definition);
        let alias_arn = stepfunctions
            .publish(&state_machine_arn, ALIAS)
            .map_err(|e| CloudError::StepFunctions(e.message))?;
        fleet.define(TaskDefinition::new(HEALTH_CHECK, TaskKind::GpuCheck, 8));
        fleet.define(TaskDefinition::new(TRAINING, TaskKind::Job, 8));
        create_tables(&wire, &settings).await?;
        let cluster = fleet.cluster_arn();
        rules::deploy(
            &bus,
            &wire,
            &lambda,
            &cluster,
            HEALTH_CHECK,
            &state_machine_arn,
            &alias_arn,
        )?;
        let looking = looks.then(|| rules::look_regularly(&lambda));
        Ok(Self {
            looking,
            clock,
            wire,
            bus,
            tables,
            fleet,
            ssm,
            sns,
            lambda,
            stepfunctions,
            settings,
            state_machine_arn,
        })
    }
}

impl Cloud {
    /// Takes the account apart. Its services call each other, so that none of them would ever be freed by itself.
    pub fn dissolve(self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
        self.wire.forget_services();
        self.wire
            .faults()
            .set_plan(|_| crate::faults::Fault::Proceed);
        self.bus.forget_rules();
        self.fleet.forget_hooks();
        self.stepfunctions.forget_hooks();
    }
}

/// The definition, which most accounts of a process share with the one before.
fn parsed(
    text: String,
    substitutions: BTreeMap<String, String>,
) -> Result<Definition, DefinitionErrors> {
    type Deployed = (String, BTreeMap<String, String>, Definition);
    static LAST: Mutex<Option<Deployed>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((of, with, definition)) = &*last
        && *of == text
        && *with == substitutions
    {
        return Ok(definition.clone());
    }
    let definition = Definition::parse(&text, &substitutions)?;
    *last = Some((text, substitutions, definition.clone()));
    Ok(definition)
}

/// The two tables as the template makes them.
async fn create_tables(wire: &Wire, settings: &Settings) -> Result<(), CloudError> {
    let client = wire.dynamodb("deploy");
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .map_err(|e| CloudError::DynamoDb(e.to_string()))
    };
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .map_err(|e| CloudError::DynamoDb(e.to_string()))
    };
    let running = GlobalSecondaryIndex::builder()
        .index_name(RUNNING_INDEX)
        .key_schema(key("running", KeyType::Hash)?)
        .key_schema(key("job_id", KeyType::Range)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
        .map_err(|e| CloudError::DynamoDb(e.to_string()))?;
    let by_task = GlobalSecondaryIndex::builder()
        .index_name(TASK_INDEX)
        .key_schema(key("task_arn", KeyType::Hash)?)
        .projection(
            Projection::builder()
                .projection_type(ProjectionType::KeysOnly)
                .build(),
        )
        .build()
        .map_err(|e| CloudError::DynamoDb(e.to_string()))?;
    client
        .create_table()
        .table_name(&settings.training_job_table)
        .attribute_definitions(attribute("job_id")?)
        .attribute_definitions(attribute("record")?)
        .attribute_definitions(attribute("task_arn")?)
        .key_schema(key("job_id", KeyType::Hash)?)
        .key_schema(key("record", KeyType::Range)?)
        .attribute_definitions(attribute("running")?)
        .global_secondary_indexes(by_task)
        .global_secondary_indexes(running)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .map_err(|e| CloudError::DynamoDb(format!("{e:?}")))?;
    client
        .create_table()
        .table_name(&settings.container_instance_table)
        .attribute_definitions(attribute("instance_id")?)
        .key_schema(key("instance_id", KeyType::Hash)?)
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .map_err(|e| CloudError::DynamoDb(format!("{e:?}")))?;
    Ok(())
}
