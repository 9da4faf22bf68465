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
