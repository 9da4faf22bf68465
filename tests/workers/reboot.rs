//! A cordoned instance, and an execution that waits for its reboot: what the tests of the wait share.

use serde_json::{Value, json};
use simulator::stepfunctions::{ExecutionStatus, ExecutionView};
use tests::{Recovery, World, fixtures, instance_id};

pub const SUCCESS: &str = "Success";

pub struct Reboot {
    pub w: World,
    pub recovery: Recovery,
    /// The execution whose state waits for the token.
    pub waiting: String,
    pub token: String,
    pub command: String,
}

impl Reboot {
    pub async fn new() -> Self {
        let w = World::with_job(2).await;
        let recovery = w.claim_and_cordon(1).await;
        let (waiting, token) = w.waiting_execution().await;
        let command = "e8d3c0e4-71f7-4491-898f-c9b35bee5f3b".to_owned();
        Self {
            w,
            recovery,
            waiting,
            token,
            command,
        }
    }

    /// The same, and the token is stored.
    pub async fn awaited() -> Self {
        let reboot = Self::new().await;
        reboot
            .w
            .outcome("await-instance", reboot.await_input(), "Waiting")
            .await;
        reboot
    }

    /// WaitForInstanceActive's input before the node has told another boot id.
    pub fn await_input(&self) -> Value {
        self.recovery.on(
            1,
            json!({ "commandId": self.command, "proven": false, "taskToken": self.token }),
        )
    }

    /// And when it has.
    pub fn proven_input(&self) -> Value {
        let mut input = self.await_input();
        input["proven"] = json!(true);
        input
    }

    /// The wait has ended, with this in it.
    pub fn assert_ended(&self, back: bool) {
        let ended = self.waiting_state();
        assert_eq!(ended.status, ExecutionStatus::Succeeded);
        assert_eq!(
            *ended.output.unwrap(),
            json!({ "instance": instance_id(1), "back": back })
        );
    }

    /// As Systems Manager sends it.
    pub fn command_event(&self, status: &str) -> Value {
        let mut event = fixtures::event("command-invocation-success");
        event["detail"]["command-id"] = json!(self.command);
        event["detail"]["instance-id"] = json!(instance_id(1));
        event["detail"]["status"] = json!(status);
        event
    }

    /// As ECS sends it.
    pub fn instance_event(&self, connected: bool) -> Value {
        let mut event = fixtures::event("instance-connected-ec2");
        let arn = self.w.cloud.fleet.instance(&instance_id(1)).unwrap().arn;
        event["detail"]["containerInstanceArn"] = json!(arn);
        event["detail"]["ec2InstanceId"] = json!(instance_id(1));
        event["detail"]["agentConnected"] = json!(connected);
        event
    }

    pub fn waiting_state(&self) -> ExecutionView {
        self.w.cloud.stepfunctions.describe(&self.waiting).unwrap()
    }
}
