//! CONTRIBUTING.md is true: each guide has five steps, and every file, test and command that it names is there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const PAGE: &str = include_str!("../../CONTRIBUTING.md");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What stands between backticks in a line of text, and each line of a block of commands.
fn quoted() -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut in_block = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.push(line.split('#').next().unwrap().trim());
        } else {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// The repository's Rust code.
fn code() -> String {
    fn read(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                read(&path, text);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    for member in ["workers", "stepfunctions", "simulator", "cli", "tests"] {
        read(&root().join(member), &mut text);
    }
    text
}

#[test]
fn each_guide_has_five_steps() {
    let guides: Vec<&str> = PAGE.split("\n## Add ").skip(1).collect();
    assert_eq!(guides.len(), 4, "a state, a worker, a scenario, a promise");
    for guide in guides {
        let guide = guide.split("\n## ").next().unwrap();
        let steps: Vec<&str> = guide
            .lines()
            .filter_map(|line| line.split_once(". "))
            .filter(|(number, _)| number.parse::<u32>().is_ok())
            .map(|(number, _)| number)
            .collect();
        assert_eq!(steps, ["1", "2", "3", "4", "5"], "Add {guide}");
    }
}

#[test]
fn every_file_that_it_names_is_there() {
    let linked = PAGE
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let named = quoted()
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter(|word| word.contains('/') || word.ends_with(".md") || word.ends_with(".toml"));
    let mut count = 0;
    for path in linked.chain(named) {
        assert!(root().join(path).exists(), "{path} is not there");
        count += 1;
    }
    assert!(count >= 25, "{count} files");
}

#[test]
fn every_test_that_it_names_is_one() {
    let code = code();
    let is_test = |word: &str| {
        word.matches('_').count() >= 3
            && word
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
    };
    let named: Vec<&str> = quoted().into_iter().filter(|word| is_test(word)).collect();
    assert!(named.len() >= 5, "{named:?}");
    for test in named {
        assert!(code.contains(&format!("fn {test}(")), "no test {test}");
    }
}

/// Package, test binary, profile, variable and the filter's word: what cargo would only say after it has built all.
#[test]
fn every_cargo_command_that_it_names_can_run() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let packages: BTreeSet<String> = ["workers", "stepfunctions", "simulator", "cli", "tests"]
        .iter()
        .map(|member| fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap())
        .map(|text| {
            text.split("name = \"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let code = code();
    let mut count = 0;
    for command in quoted().into_iter().filter(|c| c.contains("cargo ")) {
        count += 1;
        let own = command.split(" -- ").next().unwrap();
        let mut words = own.split_whitespace();
        let mut package = false;
        while let Some(word) = words.next() {
            match word {
                "-p" => {
                    package = true;
                    let name = words.next().unwrap();
                    assert!(packages.contains(name), "{command}: no package {name}");
                }
                "--test" => {
                    let name = words.next().unwrap();
                    let main = root().join("tests").join(name).join("main.rs");
                    assert!(main.exists(), "{command}: no test {name}");
                }
                "--profile" => {
                    let name = words.next().unwrap();
                    assert!(manifest.contains(&format!("[profile.{name}]")), "{command}");
                }
                "cargo" | "run" | "test" | "--" | "--workspace" => {}
                variable if variable.ends_with("=1") => {
                    let name = variable.trim_end_matches("=1");
                    assert!(code.contains(&format!("var_os(\"{name}\")")), "{command}");
                }
                filter => {
                    assert!(package, "{command}: {filter}");
                    let named = code.contains(&format!("mod {filter}"))
                        || code
                            .split("fn ")
                            .any(|f| f.split('(').next().unwrap().contains(filter));
                    assert!(named, "{command}: no test is called {filter}");
                }
            }
        }
    }
    assert!(count >= 12, "{count} commands");
}
