//! The scripts in the template, as they are in their files.

use crate::node::script;
use std::{fs, path::Path};

/// `UPDATE_NODES=1` writes the template instead.
#[test]
fn the_template_has_the_scripts_as_they_are() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    let found = fs::read_to_string(&path).unwrap();
    let right = filled(&found);
    if found != right && std::env::var_os("UPDATE_NODES").is_some() {
        fs::write(path, &right).unwrap();
    } else {
        assert!(
            found == right,
            "infra/template.yaml differs from infra/nodes; run: UPDATE_NODES=1 cargo test -p tests --test nodes template"
        );
    }
}

/// Every block between `# >>> SCRIPT: ...` and `# <<< SCRIPT` written anew. Its first line opens a YAML literal (`|`), and
/// what stands in it is two spaces further in.
fn filled(text: &str) -> String {
    let mut right = String::new();
    let mut lines = text.lines();
    let mut blocks = 0;
    while let Some(line) = lines.next() {
        right += &format!("{line}\n");
        let Some(begin) = line.trim_start().strip_prefix("# >>> ") else {
            continue;
        };
        let name = begin.split(':').next().unwrap();
        let opening = lines.next().unwrap();
        assert!(opening.ends_with('|'), "{name}: {opening} opens no literal");
        right += &format!("{opening}\n");
        let indent = opening.len() - opening.trim_start().len() + 2;
        for line in script(name).lines() {
            let pad = if line.is_empty() { 0 } else { indent };
            right += &format!("{:pad$}{line}\n", "");
        }
        let end = format!("# <<< {name}");
        let last = lines.by_ref().find(|line| line.trim_start() == end);
        right += &format!("{}\n", last.unwrap_or_else(|| panic!("no `{end}`")));
        blocks += 1;
    }
    assert!(blocks > 0, "the template has no script");
    right
}

/// The documents carry nothing but the scripts.
#[test]
fn a_yaml_reader_finds_the_scripts_in_the_documents() {
    let template = script("../template.yaml");
    for name in ["probe", "reboot"] {
        let file = format!("{name}.sh");
        assert_eq!(run_command(&template, name), script(&file), "{file}");
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
