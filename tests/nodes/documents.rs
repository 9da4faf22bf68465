//! The scripts as parts of the documents that carry them.

use crate::node::script;

const PAGE: &str = include_str!("../../docs/node-scripts.md");

/// Systems Manager user guide, "Creating SSM document content": 64 KB with the parameters. Twice the script leaves room for
/// its escapes in JSON. The container definition of an ECS task has 64 KB too.
#[test]
fn each_script_fits_into_a_document() {
    for name in ["probe.sh", "reboot.sh", "health-check.sh"] {
        let text = script(name);
        assert!(text.is_ascii(), "{name}");
        assert!(text.len() < 32 * 1024, "{name}: {} bytes", text.len());
    }
}

/// SSM reads `{{ … }}` anywhere in a document as a parameter.
#[test]
fn a_script_has_no_braces_but_its_parameters() {
    for (name, parameters) in [("probe.sh", 1), ("reboot.sh", 2), ("health-check.sh", 0)] {
        let text = script(name);
        assert_eq!(text.matches("{{").count(), parameters, "{name}");
        // A parameter is put in as text: between single quotes nothing in it is expanded.
        assert_eq!(text.matches("='{{ ").count(), parameters, "{name}");
    }
}

#[test]
fn the_page_names_every_word_and_exit_code() {
    for word in [
        "`none`",
        "`restart-app`",
        "`inspect`",
        "`reset`",
        "`reboot`",
        "`no-reboot-helps`",
        "`full`",
        "`part`",
        "`task`",
        "`orphan`",
        "`login`",
        "`xidN`",
        "`sxidN`",
        "`actN`",
        "`smiN`",
        "`hung`",
        "194",
        "64",
        "74",
        "75",
    ] {
        assert!(PAGE.contains(word), "{word}");
    }
    for word in [
        "healthy",
        "faulty",
        "no-reboot-helps",
        "misconfigured",
        "no-answer",
    ] {
        assert!(
            PAGE.contains(word) && script("health-check.sh").contains(word),
            "{word}"
        );
    }
}

/// The pattern that the document has to have is the one by which the script refuses.
#[test]
fn the_pages_patterns_are_the_scripts() {
    for (name, pattern) in [
        ("probe.sh", "^[0-9]{1,8}$"),
        (
            "reboot.sh",
            "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ),
    ] {
        assert!(script(name).contains(pattern), "{name}");
        assert!(PAGE.contains(&format!("`{pattern}`")), "{pattern}");
    }
}
