//! `graph`.

use super::*;

#[tokio::test(start_paused = true)]
async fn an_execution_is_drawn_in_the_definition_that_it_ran() {
    let (world, execution) = World::aborted().await;
    let changed = simulator::cloud::RECOVERY.replace("\"StopSiblings\"", "\"StopOthers\"");
    let substitutions = simulator::cloud::substitutions(&BTreeMap::new()).expect("defaults");
    let changed = Definition::parse(&changed, &substitutions).expect("a definition");
    let service = &world.cloud.stepfunctions;
    let machine = service.create_state_machine("gpu-recovery", changed);
    let drawn = async |execution: &str| {
        let file = std::env::temp_dir().join(format!("own-{}.svg", std::process::id()));
        let file = file.to_str().expect("UTF-8");
        world.gives(0, &["graph", execution, "-o", file]).await;
        let drawn = std::fs::read_to_string(file).expect("it was written");
        std::fs::remove_file(file).expect("it is there");
        drawn
    };
    let old = drawn(&execution).await;
    assert!(old.contains("data-state=\"StopSiblings\""), "{old}");
    let task = json!({ "detail": { "lastStatus": "STOPPED", "containers": [] } });
    let started = service.start(&machine, Some("new"), task);
    let new = drawn(&started.expect("it starts")).await;
    assert!(new.contains("data-state=\"StopOthers\""), "{new}");
}

/// What the picture says of a state.
fn tip<'a>(drawn: &'a str, state: &str) -> &'a str {
    let (_, rest) = drawn
        .split_once(&format!("data-state=\"{state}\"><title>"))
        .unwrap_or_else(|| panic!("no {state}"));
    rest.split_once("</title>").expect("it ends").0
}

#[tokio::test(start_paused = true)]
async fn a_picture_says_whose_it_is_what_came_of_it_and_when() {
    let (world, execution) = World::aborted().await;
    let file = std::env::temp_dir().join(format!("heading-{}.svg", std::process::id()));
    let name = file.to_str().expect("UTF-8");
    world.gives(0, &["graph", JOB, "-o", name]).await;
    let drawn = std::fs::read_to_string(&file).expect("it was written");
    let what =
        "EXECUTION ABORTED llama-7b: waiting for i-0f3a9c5d7e0000001 to come back from its reboot";
    has(
        &drawn,
        &[
            &format!("<title>{what}</title>"),
            &format!(">{what}</text>"),
            &format!(
                ", execution {}</text>",
                execution.rsplit(':').next().unwrap()
            ),
            ">2026-01-05 ",
        ],
    );
    // Nothing failed there: an operator cut it off.
    has(tip(&drawn, "WaitForInstanceActive"), &["[Aborted"]);
    assert!(!drawn.contains("[Failed"), "{drawn}");
    world.gives(0, &["replay", JOB]).await;
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(120).await;
    world.gives(0, &["graph", &execution, "-o", name]).await;
    let drawn = std::fs::read_to_string(&file).expect("it was written");
    std::fs::remove_file(file).expect("it is there");
    has(
        &drawn,
        &[
            "RECOVERED llama-7b in 15 min: rebooted i-0f3a9c5d7e0000001 (rank 1)</title>",
            "redriven once, execution",
        ],
    );
}
