//! `graph`: draws the state machine, plain or with an execution's path.

mod overlay;

use super::Told;
use crate::{
    Failure,
    account::{self, Desk, Needs},
    files,
    graph::{self, GraphError, Theme},
    history::{self, path::Path},
};
use clap::{Args, ValueEnum};
pub use overlay::{overlay, status};
use serde_json::Value;
use std::{
    io::IsTerminal,
    path::{self, PathBuf},
};

const AFTER_HELP: &str = "\
Examples:
  gpu-recovery graph --output recovery.svg
  gpu-recovery graph llama-7b --output llama-7b.svg
  gpu-recovery graph arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME --output recovery.png
  gpu-recovery drill isolate --history history.json && gpu-recovery graph --history history.json > isolate.svg
  gpu-recovery graph --format png --theme dark | wl-copy
  gpu-recovery graph --format mermaid

A PNG has two pixels for each of the SVG's, and needs no font of the machine; its own has Latin, Greek and Cyrillic.

Exit codes:
  0  drawn
  1  AWS did not give the history, or no execution is known of the job
  2  bad arguments, or a file that cannot be used; standard error says what and where";

/// Draws the state machine, plain or with the path that an execution took, its times and failures.
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// Draws this definition instead of the one that the execution ran, or of the built-in one.
    #[arg(long, value_name = "FILE")]
    definition: Option<PathBuf>,

    /// What to write; when left out, what the name of --output ends in says, and svg on standard output.
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// The colours of an SVG or a PNG.
    #[arg(long, value_enum, default_value_t = Theme::Auto)]
    theme: Theme,

    /// Writes the picture to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    pub told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Svg,
    Png,
    Mermaid,
}

impl Format {
    /// By the ending of a file's name; upper case is as good.
    fn of(file: &path::Path) -> Option<Self> {
        let ending = file.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "svg" => Some(Self::Svg),
            "png" => Some(Self::Png),
            "mmd" | "mermaid" => Some(Self::Mermaid),
            _ => None,
        }
    }
}

impl Arguments {
    fn format(&self) -> Format {
        let named = self.output.as_deref().and_then(Format::of);
        self.format.or(named).unwrap_or(Format::Svg)
    }

    /// Refuses early what cannot be written.
    fn check(&self) -> Result<(), Failure> {
        let file = self.output.as_deref();
        if let Some(file) = file.filter(|file| !files::is_standard(file))
            && self.format.is_none()
            && Format::of(file).is_none()
        {
            return Err(Failure::BadInput(format!(
                "{} does not say what to write: name it .svg, .png, .mmd or .mermaid, or give --format",
                files::name(file)
            )));
        }
        let standard = file.is_none_or(files::is_standard);
        if self.format() == Format::Png && standard && std::io::stdout().is_terminal() {
            return Err(Failure::BadInput(
                "a terminal cannot show a PNG: give --output FILE.png, or pipe it to a program"
                    .to_owned(),
            ));
        }
        if self.format() == Format::Mermaid && self.theme != Theme::Auto {
            return Err(Failure::BadInput(
                "--theme is for svg and png: what draws Mermaid chooses its colours; leave --theme out".to_owned(),
            ));
        }
        files::writable(file)
    }
}

/// Draws.
///
/// # Errors
/// When the definition or the history cannot be used.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    arguments.check()?;
    if arguments.told.name.is_none() {
        return draw(arguments, arguments.told.of_file()?, None, None);
    }
    account::run(async {
        let desk = Desk::open(&arguments.told.account, Needs::Nothing).await?;
        at(arguments, &desk).await
    })
}

/// The same with what it works with.
pub async fn at(arguments: &Arguments, desk: &Desk) -> Result<u8, Failure> {
    let execution = arguments.told.execution(desk).await?;
    let events = arguments.told.events(desk, execution.as_ref()).await?;
    // The machine may have another definition since.
    let own = match &execution {
        Some(execution) => history::definition_of(&desk.sfn, execution.as_str()).await,
        None => None,
    };
    let name = execution.as_ref().map(|execution| execution.name());
    draw(arguments, events, own, name)
}

/// `own` is the definition that the execution ran, when that is known.
fn draw(
    arguments: &Arguments,
    events: Option<Vec<Value>>,
    own: Option<Value>,
    name: Option<&str>,
) -> Result<u8, Failure> {
    let definition = match (&arguments.definition, own) {
        (Some(file), _) => files::json(file)?,
        (None, Some(own)) => own,
        (None, None) => serde_json::from_str(simulator::cloud::RECOVERY)
            .map_err(|error| Failure::Broken(error.to_string()))?,
    };
    let overlay = events.map(|events| {
        let mut path = Path::of(&events);
        path.name = name.map(str::to_owned);
        overlay(&path, &definition, None)
    });
    let overlay = overlay.as_ref();
    let file = arguments.output.clone().unwrap_or_else(|| "-".into());
    let text = match arguments.format() {
        Format::Svg => graph::svg(&definition, overlay, arguments.theme),
        Format::Mermaid => graph::mermaid(&definition, overlay),
        Format::Png => {
            let drawn = graph::png(&definition, overlay, arguments.theme);
            let drawn = drawn.map_err(|error| worded(&error, arguments))?;
            return files::write_bytes(&file, &drawn).map(|()| 0);
        }
    };
    let text = text.map_err(|error| worded(&error, arguments))?;
    files::write_text(&file, text.trim_end())?;
    Ok(0)
}

fn worded(error: &GraphError, arguments: &Arguments) -> Failure {
    let place = match &arguments.definition {
        Some(file) => files::name(file),
        None => "the built-in definition".to_owned(),
    };
    let fix = match error {
        GraphError::NotInDefinition { .. } => {
            "\n  give the one it ran with --definition: aws stepfunctions describe-state-machine-for-execution \
             --execution-arn ARN --query definition --output text > FILE"
        }
        _ => "",
    };
    Failure::BadInput(format!("{place}: {error}{fix}"))
}
