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

#[test]
fn what_cannot_be_is_refused_with_what_can() {
    let base = "name: x\nabout: y\nexpect: { job: FAILED, attempt: 1, notifications: [] }\n";
    let cases = [
        ("nodess: 4", "did you mean 'nodes'?"),
        (
            "actions: [{ at: 1m, stopTsk: { rank: 1, reason: x } }]",
            "did you mean 'stopTask'?",
        ),
        (
            "instances: { 1: { gpu: isolte } }",
            "did you mean 'isolate'?",
        ),
        (
            "others: { exits: { after: 1s, code: 300 } }",
            "others.exits.code is 300; give an exit code from 0 to 255",
        ),
        (
            "ranks: { 1: { abortsWithGang: { after: 1s, code: -1 } } }",
            "ranks.1.abortsWithGang.code is -1",
        ),
        (
            "ranks: { 1: { attempts: 2, later: [{ startsAfter: 1m }] } }",
            "ranks.1 has attempts and later; give one",
        ),
        (
            "ranks: { 1: { later: [{ attempts: 2 }] } }",
            "ranks.1.later[0] is one launch",
        ),
        (
            "instances: { 1: { gpu: { dcgm-exits: 256 } } }",
            "instances.1.gpu.dcgm-exits is 256",
        ),
        (
            "throttle: [{ service: ecs, action: StopTak, burst: 1, perSecond: 1 }]",
            "ecs StopTak (did you mean 'StopTask'?)",
        ),
    ];
    for (text, says) in cases {
        let error = Scenario::parse("x.yaml", &format!("{base}{text}\n")).unwrap_err();
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    let told = base.replace("[]", "[JobFailde]");
    let error = Scenario::parse("x.yaml", &told).unwrap_err().to_string();
    assert!(
        error.contains("JobFailde (did you mean 'JobFailed'?)"),
        "{error}"
    );
}

#[test]
fn a_scenario_fits_a_job_of_any_size_that_holds_the_nodes_it_names() {
    let with_nodes = |name: &str, nodes| builtin(name).unwrap().unwrap().with_nodes(nodes);
    let small = with_nodes("gpu-fault", 1).unwrap();
    assert_eq!(small.instances.keys().collect::<Vec<_>>(), [&0]);
    assert_eq!(small.expect.reboots.keys().collect::<Vec<_>>(), [&0]);
    let pair = with_nodes("two-bad-instances", 2).unwrap();
    assert_eq!(pair.instances.keys().collect::<Vec<_>>(), [&0, &1]);
    let large = with_nodes("gpu-fault", 1024).unwrap();
    assert_eq!(large.instances.keys().collect::<Vec<_>>(), [&3]);
    let error = with_nodes("two-bad-instances", 1).unwrap_err().to_string();
    assert!(error.contains("at least"), "{error}");
}
