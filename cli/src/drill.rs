//! `drill`: plays a recovery in virtual time and shows it.

mod chaos;
mod filmed;
mod inputs;
pub(crate) mod live;
mod machine;
pub mod mocked;
mod report;
pub(crate) mod words;

use crate::{
    Failure,
    output::{self, Output},
};
use clap::{Args, builder::PossibleValuesParser};
use filmed::{Filmed, observer};
use live::{Audience, Live};
use serde_json::json;
use simulator::{
    integrations::TestCase,
    scenario::{self, PlayOptions, Report, Scenario},
};
use std::path::{Path, PathBuf};

const DEFAULT: &str = "gpu-fault";

const AFTER_HELP: &str = "\
Examples:
  gpu-recovery drill                                  a GPU fault in a job of 8 nodes
  gpu-recovery drill --list                           what else can happen
  gpu-recovery drill isolate --nodes 64 --seed 7
  gpu-recovery drill spare-takes-over                 a spare first, the repair beside the running job
  gpu-recovery drill isolate --html isolate.html      a page to watch it in a browser, or to hand on
  gpu-recovery drill --scenario mine.yaml --json > report.json
  gpu-recovery drill --chaos --seed 7                 a bad day drawn from a seed
  gpu-recovery drill --definition statemachine/recovery.asl.json
  gpu-recovery drill isolate --definition flow.asl.json --mocks MockConfigFile.json
  gpu-recovery drill --definition flow.asl.json --input event.json --mocks MockConfigFile.json

FILE may be - for standard input, once.

Exit codes:
  0  it ended as the scenario says it should, and every promise was kept;
     with --input: every execution SUCCEEDED
  1  it did not
  2  bad arguments, or a file that cannot be used; standard error says what and where";

/// Plays a recovery on this machine, in virtual time, and shows it live.
///
/// The real state machine and the real workers run against a simulated AWS account: nothing outside this machine is
/// called, and an hour's reboot takes milliseconds. The same seed gives the same drill.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// The scenario to play; gpu-fault when left out. --list shows them all.
    #[arg(
        value_parser = PossibleValuesParser::new(scenario::names()),
        hide_possible_values = true,
        conflicts_with_all = ["scenario", "input"],
    )]
    name: Option<String>,

    /// Lists the scenarios.
    #[arg(
        long,
        conflicts_with_all = ["name", "scenario", "nodes", "seed", "json", "history", "definition", "input", "mocks", "test_case"],
    )]
    list: bool,

    /// Plays a schedule drawn from the seed instead of a scenario: cluster, jobs, faults and people; checks every promise.
    #[arg(
        long,
        conflicts_with_all = ["name", "list", "scenario", "nodes", "history", "definition", "input", "mocks", "test_case"],
    )]
    chaos: bool,

    /// Plays the scenario in this file, YAML or JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    scenario: Option<PathBuf>,

    /// Nodes of the job, 1 to 1024, one rank each; 8 when neither this nor the scenario says. What the scenario does to a
    /// node that is not there then, it does to one of the last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), conflicts_with = "input")]
    nodes: Option<u32>,

    /// Nodes that stand by as spares, instead of the scenario's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=64), conflicts_with_all = ["input", "chaos", "list"])]
    spares: Option<u32>,

    /// What chance does: the same seed gives the same drill.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Writes the report as JSON to standard output, and nothing else.
    #[arg(long)]
    json: bool,

    /// Writes the history of the recovery's execution to this file, as GetExecutionHistory answers it; - writes it to
    /// standard output, and nothing else.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,

    /// Writes a page to this file that shows the drill in a browser, moment by moment: one document that loads nothing.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["list", "chaos", "input"])]
    html: Option<PathBuf>,

    /// Plays this state machine definition instead of the built-in one.
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,

    /// Plays an execution of the definition with this input, JSON, instead of a scenario. Its tasks need --mocks.
    #[arg(long, value_name = "FILE", requires = "definition")]
    input: Option<PathBuf>,

    /// Results of tasks, in the format of Step Functions Local's MockConfigFile.json. In a scenario they answer for the
    /// states that they name, beside the real workers; ${Name} may then stand for what is not deployed yet.
    #[arg(long, value_name = "FILE", requires = "definition")]
    mocks: Option<PathBuf>,

    /// With --mocks: plays this test case only, CASE or MACHINE#CASE. When left out, --input plays all of them, and a
    /// scenario the only one.
    #[arg(long, value_name = "CASE", requires = "mocks")]
    test_case: Option<String>,
}

impl Arguments {
    /// Standard output belongs to a program.
    fn for_programs(&self) -> bool {
        self.json || self.history_to_stdout()
    }

    fn history_to_stdout(&self) -> bool {
        self.history.as_deref().is_some_and(inputs::is_standard)
    }
}

/// Plays; true when it ended as it should.
///
/// # Errors
/// When it cannot be played.
pub fn run(arguments: &Arguments) -> Result<bool, Failure> {
    if arguments.list {
        return list();
    }
    if arguments.chaos {
        return chaos::run(arguments.seed, arguments.json);
    }
    if arguments.json && arguments.history_to_stdout() {
        return Err(Failure::BadInput(
            "--json and --history - both want standard output; give --history a file".to_owned(),
        ));
    }
    if arguments.html.as_deref().is_some_and(inputs::is_standard) {
        return Err(Failure::BadInput(
            "a page is for a browser: give --html a file".to_owned(),
        ));
    }
    let from_stdin = [
        &arguments.scenario,
        &arguments.definition,
        &arguments.input,
        &arguments.mocks,
    ];
    if from_stdin
        .into_iter()
        .flatten()
        .filter(|file| inputs::is_standard(file))
        .count()
        > 1
    {
        return Err(Failure::BadInput(
            "only one file can be -, standard input".to_owned(),
        ));
    }
    match &arguments.input {
        Some(input) => mocked::run(arguments, input),
        None => play(arguments),
    }
}

fn list() -> Result<bool, Failure> {
    let output = Output::new();
    let scenarios = scenario::builtins().map_err(|error| Failure::Broken(error.to_string()))?;
    let widest = scenarios
        .iter()
        .map(|s| s.name.len())
        .max()
        .unwrap_or_default();
    for scenario in scenarios {
        let name = output::paint(output::NAME, &scenario.name);
        if output.width() < 2 * widest {
            output.line(&name);
            output.text("  ", &scenario.about);
        } else {
            let gap = " ".repeat(widest - scenario.name.len() + 2);
            output.text(&format!("{name}{gap}"), &scenario.about);
        }
    }
    Ok(true)
}

fn scenario(arguments: &Arguments) -> Result<Scenario, Failure> {
    let bad = |error: scenario::ScenarioError| Failure::BadInput(error.to_string());
    let scenario = match &arguments.scenario {
        Some(file) => inputs::scenario(file)?,
        None => {
            let name = arguments.name.as_deref().unwrap_or(DEFAULT);
            let found = scenario::builtin(name);
            let unknown = || Failure::BadInput(format!("no scenario is called {name}"));
            found.ok_or_else(unknown)?.map_err(bad)?
        }
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

fn play(arguments: &Arguments) -> Result<bool, Failure> {
    let scenario = scenario(arguments)?;
    inputs::settings(arguments.scenario.as_deref(), &scenario)?;
    let (definition, mocks) = match &arguments.definition {
        Some(file) => changed(arguments, file, &scenario)?,
        None => (simulator::cloud::RECOVERY.to_owned(), None),
    };
    inputs::writable(arguments.history.as_deref())?;
    inputs::writable(arguments.html.as_deref())?;
    let output = Output::new();
    let live = (!arguments.for_programs()).then(|| {
        report::introduce(&output, &scenario, arguments.seed);
        Live::new(output.clone(), &definition, Audience::Drill)
    });
    output.progress("starting the job");
    let filmed = arguments
        .html
        .as_deref()
        .map(|file| Filmed::begin(file, &definition))
        .transpose()?;
    let options = PlayOptions {
        seed: arguments.seed,
        definition,
        mocks,
        observer: observer(live.as_ref(), filmed.as_ref()),
        onlooker: filmed.as_ref().map(|filmed| filmed.recorder.onlooker()),
        ..PlayOptions::default()
    };
    let played = scenario::play(&scenario, &options);
    if let Some(live) = &live {
        live.finish();
    }
    output.still();
    let report = played.map_err(|error| Failure::Broken(error.to_string()))?;
    if let Some(filmed) = &filmed {
        filmed.write(&scenario, &again(arguments))?;
    }
    publish(arguments, &output, &report)?;
    Ok(report.passed)
}

/// The text of another definition, and the mocks beside the real workers.
fn changed(
    arguments: &Arguments,
    file: &Path,
    scenario: &Scenario,
) -> Result<(String, Option<TestCase>), Failure> {
    let text = inputs::read(file)?;
    let mocked = arguments.mocks.is_some();
    let definition = inputs::definition(file, &text, &scenario.settings, mocked)?;
    let Some(file) = &arguments.mocks else {
        return Ok((text, None));
    };
    let mut cases = mocked::test_cases(file, arguments.test_case.as_deref())?;
    match (cases.pop(), cases.is_empty()) {
        (Some(case), true) => {
            mocked::answered(&case, file, &definition)?;
            Ok((text, Some(case)))
        }
        (last, _) => {
            cases.extend(last);
            Err(Failure::BadInput(format!(
                "{}: a scenario is played with one test case; choose with --test-case one of {}",
                file.display(),
                mocked::names(&cases, false)
            )))
        }
    }
}

fn publish(arguments: &Arguments, output: &Output, report: &Report) -> Result<(), Failure> {
    if let Some(file) = &arguments.history {
        inputs::write(file, &json!({ "events": report.history }))?;
    }
    if arguments.json {
        output::raw(&inputs::pretty(report)?);
    } else if !arguments.history_to_stdout() {
        report::show(output, report, &again(arguments));
    }
    Ok(())
}

/// The arguments that play the same again.
fn again(arguments: &Arguments) -> String {
    let mut again = match (&arguments.scenario, &arguments.name) {
        (Some(file), _) => format!("--scenario {}", file.display()),
        (None, Some(name)) => name.clone(),
        (None, None) => DEFAULT.to_owned(),
    };
    if let Some(nodes) = arguments.nodes {
        again += &format!(" --nodes {nodes}");
    }
    if let Some(spares) = arguments.spares {
        again += &format!(" --spares {spares}");
    }
    if let Some(definition) = &arguments.definition {
        again += &format!(" --definition {}", definition.display());
    }
    if let Some(mocks) = &arguments.mocks {
        again += &format!(" --mocks {}", mocks.display());
    }
    if let Some(case) = &arguments.test_case {
        again += &format!(" --test-case {case}");
    }
    again + &format!(" --seed {}", arguments.seed)
}
