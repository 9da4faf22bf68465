//! `sandbox`: the deployed system on this machine, behind an endpoint that the clients of AWS speak to.

mod by_hand;

use crate::{
    Failure,
    drill::live::{Audience, Live},
    files,
    output::{self, DIM, HEADING, Output, paint, span},
    page,
};
use by_hand::Order;
use clap::Args;
use sandbox::{Furniture, Ready, Sandbox, SandboxError};
use simulator::scenario::{self, Scenario};
use std::path::PathBuf;

/// Nothing happens by itself.
const CALM: &str = "
name: calm
about: A job runs, and nothing happens until it is made to.
expect: { job: IN_PROGRESS, attempt: 1, notifications: [] }
";

/// As LocalStack's, so that habits fit.
const PORT: u16 = 4566;

const AFTER_HELP: &str = "\
A job of --nodes ranks runs on as many nodes. In a second terminal, after the lines that it prints, every command of \
gpu-recovery works on it as on AWS; so do the AWS CLI and boto3. Nothing outside this machine is called.

Examples:
  gpu-recovery sandbox                                    a job of 8 nodes, an hour a minute
  gpu-recovery sandbox do break-gpu 3                     in the second terminal: now there is a recovery
  gpu-recovery sandbox do --help                          what else can happen
  gpu-recovery sandbox time step                          to the next event, and stand still
  gpu-recovery sandbox --scenario isolate --speed 10
  gpu-recovery sandbox --state ~/practice                 kept, and taken up again by the same command

Exit codes:
  0  it was ended, by Ctrl-C or SIGTERM
  1  it broke; standard error says why
  2  bad arguments, a port that is taken, a directory that cannot be used";

/// The whole system on this machine, to practise on with the real commands.
///
/// The real state machine and the real workers run over a simulated account whose time runs. It answers on loopback in
/// AWS's own protocols.
#[derive(Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    order: Option<Order>,

    /// Nodes of the job, 1 to 1024, one rank each; 8 when neither this nor the scenario says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    nodes: Option<u32>,

    /// Nodes that stand by as spares, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    spares: Option<u32>,

    /// Free nodes, for jobs of your own; none when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    free: Option<u32>,

    /// What happens by itself: a scenario of `drill --list`, or a file of one's own (docs/scenarios.md). Nothing when left
    /// out.
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,

    /// What chance does; 1 when left out.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Port of the endpoint; 0 picks a free one.
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,

    /// Virtual seconds a real second, 0.1 to 3600; 1 is real time.
    #[arg(long, value_name = "N", default_value_t = 60.0, value_parser = speed)]
    speed: f64,

    /// Time stands still until `sandbox time go`.
    #[arg(long)]
    paused: bool,

    /// Keeps the sandbox in this directory; takes it up again when it holds one.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match sandbox::SPEEDS.contains(&speed) {
        true => Ok(speed),
        false => Err(format!(
            "it is {} to {}",
            sandbox::SPEEDS.start(),
            sandbox::SPEEDS.end()
        )),
    }
}

/// Runs a sandbox, or asks one.
///
/// # Errors
/// When it cannot be made, or does not answer.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if let Some(order) = &arguments.order {
        return by_hand::run(order);
    }
    let furniture = Furniture {
        scenario: scenario(arguments)?,
        free: arguments.free.unwrap_or(0),
        seed: arguments.seed.unwrap_or(1),
    };
    let named = arguments.nodes.is_some()
        || arguments.spares.is_some()
        || arguments.free.is_some()
        || arguments.scenario.is_some()
        || arguments.seed.is_some();
    let output = Output::new();
    let live = Live::new(output.clone(), simulator::cloud::RECOVERY, Audience::Drill);
    let definition = serde_json::from_str(simulator::cloud::RECOVERY)
        .map_err(|error| Failure::Broken(error.to_string()))?;
    let sandbox = Sandbox {
        wanted: named.then(|| furniture.clone()),
        furniture,
        port: arguments.port,
        speed: arguments.speed,
        paused: arguments.paused,
        state: arguments.state.clone(),
        page: page::live(definition),
    };
    let done = sandbox.run(live.observer(), |ready| {
        introduce(&output, ready, arguments);
    });
    live.finish();
    output.still();
    match done {
        Ok(()) => Ok(0),
        Err(error @ (SandboxError::PortTaken(_) | SandboxError::Journal(_))) => {
            Err(Failure::BadInput(error.to_string()))
        }
        Err(error) => Err(Failure::Broken(error.to_string())),
    }
}

/// The scenario that is named, of as many nodes as are wanted.
fn scenario(arguments: &Arguments) -> Result<Scenario, Failure> {
    let bad = |error: scenario::ScenarioError| Failure::BadInput(error.to_string());
    let scenario = match arguments.scenario.as_deref() {
        None => Scenario::parse("calm", CALM).map_err(bad)?,
        Some(name) => match scenario::builtin(name) {
            Some(scenario) => scenario.map_err(bad)?,
            None => from_file(name)?,
        },
    };
    let scenario = match arguments.nodes {
        Some(nodes) => scenario.with_nodes(nodes).map_err(bad)?,
        None => scenario,
    };
    match arguments.spares {
        Some(spares) => scenario.with_spares(spares).map_err(bad),
        None => Ok(scenario),
    }
}

fn from_file(name: &str) -> Result<Scenario, Failure> {
    let file = PathBuf::from(name);
    if !file.exists() && !name.contains(['/', '.']) {
        let known: Vec<&str> = scenario::names().collect();
        return Err(Failure::BadInput(format!(
            "no scenario is called {name}; there are {}, or give a file",
            known.join(", ")
        )));
    }
    let text = files::read(&file)?;
    Scenario::parse(&files::name(&file), &text)
        .map_err(|error| Failure::BadInput(error.to_string()))
}

/// What is there, and what the other terminal needs.
fn introduce(output: &Output, ready: &Ready, arguments: &Arguments) {
    let time = match (arguments.paused, arguments.speed) {
        (true, _) => "its time stands still".to_owned(),
        (false, speed) => format!("{speed} of its seconds in one of yours"),
    };
    let since = match ready.since_start.as_secs() {
        0..60 => String::new(),
        _ => format!(", taken up after {}", span(ready.since_start.as_secs_f64())),
    };
    let what = format!(
        "job {} on a cluster of {} nodes, {time}{since}. Ctrl-C ends it.",
        ready.job, ready.nodes
    );
    output.lines(output::wrapped(
        &format!("{} {what}", paint(HEADING, "sandbox:")),
        output.width(),
        "",
        "",
    ));
    output.text(
        "",
        &format!("Watch it in a browser: http://127.0.0.1:{}", ready.port),
    );
    output.line(&paint(DIM, "In another terminal:"));
    output.line("");
    for line in exports(ready) {
        output.line(&format!("  {line}"));
    }
    output.line("");
}

/// The lines to export. The credentials are as good as any: nobody looks at them.
fn exports(ready: &Ready) -> [String; 4] {
    [
        format!(
            "export AWS_ENDPOINT_URL=http://127.0.0.1:{} AWS_REGION={region} AWS_DEFAULT_REGION={region}",
            ready.port,
            region = simulator::REGION
        ),
        "export AWS_ACCESS_KEY_ID=sandbox AWS_SECRET_ACCESS_KEY=sandbox; unset AWS_PROFILE AWS_SESSION_TOKEN".to_owned(),
        format!(
            "export ECS_CLUSTER_NAME={} SNS_TOPIC_ARN={}",
            ready.cluster, ready.topic
        ),
        format!("export STATE_MACHINE_ARN={}", ready.state_machine),
    ]
}
