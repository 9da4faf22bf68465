//! The engine in the account: through the real SDK, on the bus, and with the definition that is deployed.

mod recovery;
mod sdk;
mod support;

use serde_json::json;
use std::sync::Arc;

#[tokio::test(start_paused = true)]
async fn every_status_change_is_an_event_on_the_bus() {
    let (sfn, bus) = support::cloud(Arc::new(|_| Box::pin(std::future::pending())));
    let states = json!({ "A": { "Type": "Fail", "Error": "E", "Cause": "C" } });
    let machine = sfn.create_state_machine("m", support::definition(states));
    let execution = sfn.start(&machine, Some("e"), json!({})).unwrap();
    sfn.finished(&execution).await;
    let events = bus.record();
    let told: Vec<_> = events
        .iter()
        .map(|event| &event["detail"]["status"])
        .collect();
    assert_eq!(told, ["RUNNING", "FAILED"]);
    assert_eq!(events[1]["source"], "aws.states");
    assert_eq!(
        events[1]["detail-type"],
        "Step Functions Execution Status Change"
    );
    assert_eq!(events[1]["resources"], json!([execution]));
}
