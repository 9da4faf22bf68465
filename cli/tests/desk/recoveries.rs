//! `recoveries`.

use super::*;

#[tokio::test(start_paused = true)]
async fn recoveries_are_listed_with_outcome_and_instances_and_nothing_else_is() {
    let world = World::new().await;
    has(&world.gives(0, &["recoveries"]).await, &["no recovery"]);
    world
        .until(|world| world.history_has("WaitForInstanceActive"))
        .await;
    let running = world.gives(0, &["recoveries"]).await;
    has(&running, &["llama-7b under way", BAD]);
    world.until(|world| world.history_has("RelaunchJob")).await;
    world.pass(60).await;
    let json = world.json(&["recoveries", "--json"]).await;
    let all = json["recoveries"].as_array().expect("a list");
    assert_eq!(all.len(), 1, "{json}");
    assert_eq!(all[0]["jobId"], JOB, "{json}");
    assert_eq!(
        all[0]["outcome"], "RECOVERED: rebooted i-0f3a9c5d7e0000001 (rank 1)",
        "{json}"
    );
    assert_eq!(all[0]["instances"], json!([BAD]), "{json}");
    assert!(
        all[0]["seconds"].as_f64().expect("a number") > 300.0,
        "{json}"
    );
    // The others are stops of the job's own ranks.
    let executions = world.cloud.stepfunctions.executions().len();
    assert_eq!(json["others"], executions - 1, "{json}");
    let recent = world.json(&["recoveries", "--since", "1m", "--json"]).await;
    assert_eq!(recent["recoveries"], json!([]), "{recent}");
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_broke_is_listed_also_when_it_knows_no_job() {
    let world = World::new().await;
    world.broken_before_its_claim().await;
    let told = world.gives(0, &["recoveries"]).await;
    has(&told, &["- FAILED: gpu-recovery explain"]);
}
