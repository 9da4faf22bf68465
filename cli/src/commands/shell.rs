//! `completions` and `man`: for the shell and for `man`.

use crate::{Cli, Failure, files, output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::{fs, io::Write, path::PathBuf};

const COMPLETIONS_HELP: &str = "\
Examples:
  gpu-recovery completions bash > ~/.local/share/bash-completion/completions/gpu-recovery
  gpu-recovery completions zsh > \"${fpath[1]}/_gpu-recovery\"
  gpu-recovery completions fish > ~/.config/fish/completions/gpu-recovery.fish

Exit codes:
  0  written
  2  bad arguments";

const MAN_HELP: &str = "\
Examples:
  gpu-recovery man ~/.local/share/man/man1 && man gpu-recovery-replay

Exit codes:
  0  written
  2  the directory cannot be written";

/// Writes the completions for a shell to standard output.
#[derive(Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub struct Completions {
    shell: Shell,
}

/// Writes a man page for each command.
#[derive(Args)]
#[command(after_help = MAN_HELP)]
pub struct Pages {
    /// Directory for the pages; it is made when it is not there.
    directory: PathBuf,
}

/// Writes completions.
///
/// # Errors
/// When standard output cannot be written.
pub fn completions(arguments: &Completions) -> Result<u8, Failure> {
    let mut script = Vec::new();
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::raw(String::from_utf8_lossy(&script).trim_end());
    Ok(0)
}

/// Writes man pages.
///
/// # Errors
/// When they cannot be written.
pub fn pages(arguments: &Pages) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    let failed = |error: std::io::Error| {
        Failure::BadInput(format!(
            "{} cannot be written: {}",
            directory.display(),
            files::plain(&error)
        ))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let mut command = Cli::command();
    command.build();
    let names = command
        .get_subcommands()
        .map(|sub| Some(sub.get_name().to_owned()));
    for name in std::iter::once(None).chain(names) {
        let (page, file) = match &name {
            Some(name) => {
                let sub = command.find_subcommand(name).cloned().unwrap_or_default();
                let full = format!("gpu-recovery-{name}");
                (sub.display_name(&full), format!("{full}.1"))
            }
            None => (command.clone(), "gpu-recovery.1".to_owned()),
        };
        let mut text = Vec::new();
        Man::new(page).render(&mut text).map_err(failed)?;
        let mut written = fs::File::create(directory.join(&file)).map_err(failed)?;
        written.write_all(&text).map_err(failed)?;
    }
    Ok(0)
}
