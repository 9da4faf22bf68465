use super::*;

#[test]
fn a_wrong_scenario_is_one_clear_error() {
    let parse = |text: &str| Scenario::parse("x.yaml", text).unwrap_err().to_string();
    let base = "name: x\nabout: y\nexpect: { job: FAILED, attempt: 1, notifications: [] }\n";
    let field = parse(&format!("{base}nodess: 4\n"));
    assert!(field.contains("nodess") && field.contains('4'), "{field}");
    let unit = parse(&format!(
        "{base}others: {{ exits: {{ after: 10 parsecs, code: 1 }} }}\n"
    ));
    assert!(unit.contains("write it like 90s"), "{unit}");
    let node = parse(&format!(
        "{base}nodes: 2\ninstances: {{ 5: {{ gpu: isolate }} }}\n"
    ));
    assert!(
        node.contains("instances names 5") && node.contains("at least 6"),
        "{node}"
    );
    let twice = parse(&format!(
        "{base}others: {{ doesNotStart: no, exits: {{ after: 1s, code: 1 }} }}\n"
    ));
    assert!(twice.contains("others can end in one way only"), "{twice}");
    let action = parse(&format!("{base}actions: [{{ at: 1m }}]\n"));
    assert!(action.contains("actions[0] must do one thing"), "{action}");
}
