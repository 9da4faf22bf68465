//! Deeds as words, as on the command line: what a form is made of, and what it sends.

use super::Deed;
use clap::{Arg, Command, FromArgMatches, Subcommand};
use serde_json::{Value, json};

fn command() -> Command {
    Deed::augment_subcommands(Command::new("do").no_binary_name(true)).disable_help_subcommand(true)
}

/// Everything that can be made to happen, with its arguments.
pub fn catalogue() -> Value {
    let mut command = command();
    // Makes what follows from the arguments' declarations.
    command.build();
    let deeds = command.get_subcommands().map(|deed| {
        let arguments = deed.get_arguments().filter(|arg| arg.get_id() != "help");
        json!({
            "name": deed.get_name(),
            "about": deed.get_about().map(ToString::to_string),
            "arguments": arguments.map(argument).collect::<Vec<_>>(),
        })
    });
    deeds.collect()
}

fn argument(arg: &Arg) -> Value {
    let defaults = arg.get_default_values().iter();
    let defaults: Vec<_> = defaults.map(|value| value.to_string_lossy()).collect();
    let flag = !arg.get_action().takes_values();
    json!({
        "name": arg.get_id().as_str(),
        // None of one that is told by its place.
        "option": arg.get_long(),
        "flag": flag,
        "required": arg.is_required_set(),
        "help": arg.get_help().map(ToString::to_string),
        "default": if flag { String::new() } else { defaults.join(" ") },
    })
}

/// The deed that words name.
///
/// # Errors
/// What the command line would say.
pub fn deed(words: &[String]) -> Result<Deed, String> {
    let matches = command().try_get_matches_from(words);
    let deed = matches.and_then(|matches| Deed::from_arg_matches(&matches));
    deed.map_err(|error| {
        let says = error.to_string();
        let says = says.split("\n\n").next().unwrap_or_default();
        says.trim_start_matches("error: ").to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deed::Node;
    use simulator::ecs::GpuHealth;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn words_are_read_as_on_the_command_line() {
        let read = deed(&words("break-gpu 3 --gpu=dcgm-exits=203 --quietly"));
        let expected = Deed::BreakGpu {
            node: Node::Number(3),
            gpu: GpuHealth::DcgmCrashes(203),
            quietly: true,
        };
        assert_eq!(read, Ok(expected));
        for (line, says) in [
            ("break-gpu", "required"),
            ("break-gpu one", "a node is a number"),
            ("brake-gpu 3", "unrecognized subcommand 'brake-gpu'"),
            ("end-rank x", "invalid"),
            ("--help", ""),
            ("", "unrecognized"),
        ] {
            let why = deed(&words(line)).unwrap_err();
            assert!(
                why.contains(says) && !why.contains('\u{1b}'),
                "{line}: {why}"
            );
        }
    }

    #[test]
    fn the_catalogue_has_every_deed_with_what_it_takes() {
        let catalogue = catalogue();
        let deeds = catalogue.as_array().unwrap();
        assert_eq!(deeds.len(), command().get_subcommands().count());
        let gpu = deeds
            .iter()
            .find(|deed| deed["name"] == "break-gpu")
            .unwrap();
        let arguments = gpu["arguments"].as_array().unwrap();
        let named = |name| arguments.iter().find(|arg| arg["name"] == name).unwrap();
        assert_eq!(named("node")["required"], true);
        assert_eq!(named("node")["option"], Value::Null);
        assert_eq!(named("gpu")["default"], "fault-until-reboot");
        assert_eq!(named("quietly")["flag"], true);
        // What a form sends when only what is required is filled in.
        for deed in deeds {
            let mut line = vec![deed["name"].as_str().unwrap().to_owned()];
            for arg in deed["arguments"].as_array().unwrap() {
                if arg["required"] == true {
                    let value = match arg["name"].as_str().unwrap() {
                        "outcome" => "returns",
                        "agent" => "running",
                        _ => "1",
                    };
                    line.push(value.to_owned());
                }
            }
            assert!(super::deed(&line).is_ok(), "{line:?}");
        }
    }
}
