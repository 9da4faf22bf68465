//! What people read: README.md, the other pages at the root and those in docs/.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every page, by its path from the root.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in ["", "docs"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = Path::new(folder).join(entry.unwrap().file_name());
            if name.extension().is_some_and(|e| e == "md") {
                let text = fs::read_to_string(root().join(&name)).unwrap();
                found.push((name, text));
            }
        }
    }
    assert!(found.len() > 12, "{} pages", found.len());
    found
}

/// The page without its blocks of code.
fn prose(page: &str) -> String {
    let mut in_block = false;
    let lines = page.lines().filter(|line| {
        let fence = line.starts_with("```");
        in_block ^= fence;
        !in_block && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Its words, one space between them, without what stands between backticks: names are code's.
fn words(prose: &str) -> String {
    let spoken: Vec<&str> = prose.split('`').step_by(2).collect();
    spaced(&spoken.join(" code "))
}

/// Words in small letters, one space around each.
fn spaced(text: &str) -> String {
    let text = text.to_lowercase();
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    format!(" {} ", words.join(" "))
}

/// What an engineer would not write, and what to write.
const FORBIDDEN: [(&str, &str); 8] = [
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("mending", "fixing"),
    ("a person", "an operator"),
    ("persons", "operators"),
    ("so often", "how often, or the number"),
    ("so long", "how long, or the time"),
];

/// The forbidden words in a page. "Without a person" stays: it says what the product is for.
fn forbidden(page: &str) -> Vec<String> {
    let words = words(&prose(page)).replace(" without a person ", " ");
    FORBIDDEN
        .iter()
        .filter(|(word, _)| words.contains(&format!(" {word} ")))
        .map(|(word, better)| format!("\"{word}\": write {better}"))
        .collect()
}

#[test]
fn the_pages_say_fix_and_operator_in_plain_words() {
    for (name, text) in pages() {
        // A change of words has to name the old one.
        if !name.ends_with("CHANGELOG.md") {
            assert_eq!(forbidden(&text), [""; 0], "{}", name.display());
        }
    }
}

/// Every source file below a folder: Rust, and the JSON and YAML that operators read in the console.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // What has been released stays as it is.
            if !path.ends_with("released") {
                sources(&path, found);
            }
        } else if path
            .extension()
            .is_some_and(|e| e == "rs" || e == "json" || e == "yaml")
        {
            found.push(path);
        }
    }
}

#[test]
fn the_code_and_its_messages_say_fix_and_operator() {
    let mut found = Vec::new();
    for folder in [
        "workers",
        "statemachine",
        "infra",
        "stepfunctions",
        "simulator",
        "sandbox",
        "cli",
        "tests",
    ] {
        sources(&root().join(folder), &mut found);
    }
    assert!(found.len() > 300, "{} files", found.len());
    for path in found
        .iter()
        .filter(|path| !path.ends_with(file!().rsplit('/').next().unwrap()))
    {
        // A comment goes on after the slashes of its next line.
        let text = spaced(&fs::read_to_string(path).unwrap()).replace(" without a person ", " ");
        for (word, better) in &FORBIDDEN[..6] {
            assert!(
                !text.contains(&format!(" {word} ")),
                "{}: \"{word}\": write {better}",
                path.display()
            );
        }
    }
}

#[test]
fn a_forbidden_word_is_found_across_lines_and_left_alone_in_code() {
    assert_eq!(
        forbidden("It waits for a\nperson."),
        ["\"a person\": write an operator"]
    );
    assert_eq!(forbidden("Mended, so\nlong after.").len(), 2);
    assert_eq!(forbidden("It runs without a person."), [""; 0]);
    assert_eq!(forbidden("`a person`\n```sh\nmend\n```\namended"), [""; 0]);
}

#[test]
fn the_readme_is_read_in_one_go() {
    let lines = fs::read_to_string(root().join("README.md"))
        .unwrap()
        .lines()
        .count();
    assert!(
        lines <= 200,
        "{lines} lines: move what fewer readers need to docs/"
    );
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let mut count = 0;
    for (name, text) in pages() {
        let text = prose(&text);
        for target in text
            .split("](")
            .skip(1)
            .map(|l| l.split(')').next().unwrap())
        {
            if target.starts_with("https://") {
                continue;
            }
            count += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => root().join(&name),
                file => root().join(name.parent().unwrap()).join(file),
            };
            assert!(path.exists(), "{}: {target} is not there", name.display());
            if !heading.is_empty() {
                let page = prose(&fs::read_to_string(&path).unwrap());
                let has = page
                    .lines()
                    .any(|l| l.starts_with('#') && anchor(l) == heading);
                assert!(has, "{}: {target} has no such heading", name.display());
            }
        }
    }
    assert!(count > 40, "{count} links");
}

/// The names that `settings.rs` reads.
fn settings() -> BTreeSet<String> {
    let code = fs::read_to_string(root().join("workers/src/settings.rs")).unwrap();
    let (reader, _) = code.split_once("#[cfg(test)]").unwrap_or((&code, ""));
    let names =
        reader.split('"').skip(1).step_by(2).filter(|name| {
            name.len() > 5 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        });
    names.map(str::to_owned).collect()
}

#[test]
fn every_setting_has_its_row_in_the_table_of_settings() {
    let page = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let rows: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    let mut read = settings();
    // The stack sets it for one function; no operator chooses it.
    assert!(read.remove("STATE_MACHINE_ARN"));
    assert!(read.len() > 20, "{read:?}");
    assert_eq!(rows, read);
}
