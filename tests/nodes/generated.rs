//! A node gets one file: what several scripts share, and what stands in a table, is written into each of them.

use crate::{node::script, tables};
use std::{fs, path::Path};

/// `UPDATE_NODES=1` writes the scripts instead.
#[test]
fn generated_parts_are_those_of_their_sources() {
    for name in ["probe.sh", "reboot.sh", "health-check.sh"] {
        let found = script(name);
        let right = filled(name, &found);
        if found != right && std::env::var_os("UPDATE_NODES").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../infra/nodes")
                .join(name);
            fs::write(path, &right).unwrap();
        } else {
            assert!(
                found == right,
                "{name} differs from its sources; run: UPDATE_NODES=1 cargo test -p tests --test nodes generated"
            );
        }
    }
}

const TEMPLATE: &str = "../template.yaml";

/// The documents carry the scripts as they are. `UPDATE_NODES=1` writes the template instead.
#[test]
fn the_documents_carry_the_scripts_unchanged() {
    let found = script(TEMPLATE);
    let mut right = String::new();
    let mut lines = found.lines();
    while let Some(line) = lines.next() {
        right += &format!("{line}\n");
        let Some(begin) = line.trim_start().strip_prefix("# >>> ") else {
            continue;
        };
        let name = begin.split(':').next().unwrap();
        let indent = " ".repeat(line.len() - line.trim_start().len());
        right += &format!("{indent}runCommand:\n{indent}  - |\n");
        for of_script in script(name).lines() {
            right += format!("{indent}    {of_script}").trim_end();
            right += "\n";
        }
        let end = format!("{indent}# <<< {name}");
        lines.by_ref().find(|line| *line == end).unwrap();
        right += &format!("{end}\n");
    }
    if found != right && std::env::var_os("UPDATE_NODES").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/nodes");
        fs::write(folder.join(TEMPLATE), &right).unwrap();
    } else {
        assert!(
            found == right,
            "infra/template.yaml differs from infra/nodes/; run: UPDATE_NODES=1 cargo test -p tests --test nodes generated"
        );
    }
    for (document, name) in [("probe", "probe.sh"), ("reboot", "reboot.sh")] {
        assert_eq!(run_command(&right, document), script(name), "{name}");
    }
}

/// What a YAML reader finds as the command of the document of this name.
fn run_command(template: &str, document: &str) -> String {
    // CloudFormation's short tags are none of YAML's; the documents have none in their contents.
    let from = template
        .find(&format!("Name: !Sub ${{Prefix}}-{document}\n"))
        .unwrap();
    let content = &template[from + template[from..].find("      Content:\n").unwrap()..];
    let end = content.find(&format!("# <<< {document}.sh")).unwrap();
    let content: serde_json::Value = serde_saphyr::from_str(&content[..end]).unwrap();
    let step = &content["Content"]["mainSteps"][0];
    assert_eq!(step["action"], "aws:runShellScript");
    let commands = step["inputs"]["runCommand"].as_array().unwrap();
    assert_eq!(commands.len(), 1);
    commands[0].as_str().unwrap().to_owned()
}

/// The script with every part between `# >>> SOURCE: …` and `# <<< SOURCE` written anew.
fn filled(name: &str, text: &str) -> String {
    let mut right = String::new();
    let mut lines = text.lines();
    let mut parts = 0;
    while let Some(line) = lines.next() {
        right += &format!("{line}\n");
        let Some(begin) = line.strip_prefix("# >>> ") else {
            continue;
        };
        let source = begin.split(':').next().unwrap();
        let end = format!("# <<< {source}");
        lines
            .by_ref()
            .find(|line| *line == end)
            .unwrap_or_else(|| panic!("{name} has no `{end}`"));
        right += &part(source);
        right += &format!("{end}\n");
        parts += 1;
    }
    assert!(parts > 0, "{name} has no generated part");
    right
}

fn part(source: &str) -> String {
    match source {
        "holders.sh" => script(source),
        "xids.csv" => tables::xids_for_the_shell(),
        "dcgm-errors.csv" => tables::dcgm_errors_for_the_shell(),
        _ => panic!("{source}: no such source"),
    }
}
