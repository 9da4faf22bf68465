use super::*;
use crate::{
    dynamodb::DynamoDb,
    sns::{Sns, Subscription},
    throttle::Limit,
};
use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    operation::{transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
        ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TransactWriteItem,
    },
};
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::json;
use tokio::time::Instant;

/// Bytes (API_Publish).
const MAX_MESSAGE: usize = 256 * 1024;

struct World {
    wire: Wire,
    sns: Sns,
}

async fn world() -> World {
    let clock = Clock::default();
    let wire = Wire::new(clock, 3);
    let sns = Sns::new(clock, 3);
    wire.register("dynamodb", DynamoDb::new(clock).unwrap().handler());
    wire.register("sns", sns.handler());
    let attribute = AttributeDefinition::builder()
        .attribute_name("id")
        .attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder()
        .attribute_name("id")
        .key_type(KeyType::Hash);
    wire.dynamodb("setup")
        .create_table()
        .table_name("jobs")
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
    World { wire, sns }
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

impl World {
    /// Takes the job for a holder, if nobody has it.
    fn claim(
        &self,
        caller: &str,
        holder: &str,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.wire
            .dynamodb(caller)
            .update_item()
            .table_name("jobs")
            .key("id", s("job-1"))
            .update_expression("SET holder = :h")
            .condition_expression("attribute_not_exists(holder) OR holder = :h")
            .expression_attribute_values(":h", s(holder))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_conditional_update_returns_the_item_that_stands() {
    let w = world().await;
    w.claim("a", "execution-1").send().await.unwrap();
    let refused = w
        .claim("b", "execution-2")
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let UpdateItemError::ConditionalCheckFailedException(refused) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refused.item().unwrap()["holder"], s("execution-1"));
    let calls = w.wire.calls();
    let last = calls.last().unwrap();
    assert_eq!(
        last.outcome,
        Err("ConditionalCheckFailedException".to_owned())
    );
    assert_eq!(
        (last.caller.as_str(), last.resource.as_deref()),
        ("b", Some("jobs"))
    );
    assert_eq!(calls[1].units, 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_transaction_says_why_for_each_item() {
    let w = world().await;
    w.claim("a", "execution-1").send().await.unwrap();
    let put = |id: &str| {
        let put = Put::builder()
            .table_name("jobs")
            .item("id", s(id))
            .condition_expression("attribute_not_exists(id)");
        TransactWriteItem::builder()
            .put(put.build().unwrap())
            .build()
    };
    let call = w.wire.dynamodb("a").transact_write_items();
    let call = call
        .transact_items(put("job-2"))
        .transact_items(put("job-1"));
    let error = call.send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(error) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = error
        .cancellation_reasons()
        .iter()
        .map(|r| r.code().unwrap())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_retried_after_its_effect() {
    let w = world().await;
    w.wire
        .faults()
        .set_plan(|call| match (call.action, call.nth) {
            ("UpdateItem", 1) => Fault::FailAfterEffect,
            ("UpdateItem", 2) => Fault::TimeoutBefore,
            ("UpdateItem", 3) => Fault::server_error(),
            _ => Fault::Proceed,
        });
    let start = Instant::now();
    w.claim("a", "execution-1").send().await.unwrap();
    let waited = start.elapsed();
    assert!(
        waited > 2 * CONNECTION_TIMEOUT + Duration::from_secs(7),
        "{waited:?}"
    );
    let outcomes: Vec<_> = w.wire.calls()[1..]
        .iter()
        .map(|c| c.outcome.clone())
        .collect();
    let timeout = Err("Timeout".to_owned());
    let server = Err("InternalServerError".to_owned());
    assert_eq!(outcomes, [timeout.clone(), timeout, server, Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_killed_caller_never_gets_its_answer_but_the_effect_stays() {
    let w = world().await;
    w.wire.faults().set_plan(|call| match call.role() {
        "claim" => Fault::KillCaller { after_effect: true },
        _ => Fault::Proceed,
    });
    let killed = w.wire.faults().killed("claim#1");
    let invocation = w.claim("claim#1", "execution-1").send();
    tokio::select! {
        biased;
        () = killed => {}
        _ = invocation => panic!("the caller lives"),
    }
    let item = w
        .wire
        .dynamodb("test")
        .get_item()
        .table_name("jobs")
        .key("id", s("job-1"));
    assert_eq!(
        item.send().await.unwrap().item.unwrap()["holder"],
        s("execution-1")
    );
    assert_eq!(w.wire.calls()[1].outcome, Err("NoAnswer".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_state_machines_own_calls_are_throttled_and_recorded_without_retry() {
    let w = world().await;
    w.wire.register(
        "ecs",
        Arc::new(|operation, _| {
            let answer = json!({ "operation": operation });
            Box::pin(async move { Ok(answer) })
        }),
    );
    let limit = Limit {
        burst: 1.0,
        per_second: 0.01,
    };
    w.wire.throttle().set_limit("ecs", "RunTask", limit);
    let call = || {
        w.wire.internal_call(
            "machine",
            "ecs",
            "RunTask",
            json!({ "taskDefinition": "dcgm" }),
        )
    };
    assert_eq!(call().await.unwrap(), json!({ "operation": "RunTask" }));
    assert_eq!(call().await.unwrap_err().code, "ThrottlingException");
    let unknown = w
        .wire
        .internal_call("machine", "s3", "PutObject", json!({}))
        .await;
    assert_eq!(unknown.unwrap_err().code, "UnknownServiceException");
    let last = &w.wire.calls()[1];
    assert_eq!(
        (last.service.as_str(), last.resource.as_deref()),
        ("ecs", Some("dcgm"))
    );
}

#[tokio::test(start_paused = true)]
async fn sns_keeps_its_limits_and_records_what_is_published() {
    let w = world().await;
    let topic = w.sns.create_topic("operators");
    let publish = |topic: &str, subject: &str, message: &str| {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value("high & low");
        let call = w.wire.sns("notify").publish().topic_arn(topic);
        call.subject(subject)
            .message(message)
            .message_attributes("severity", attribute.build().unwrap())
    };
    let text = "rank 3 <failed> & \"recovered\" ü";
    let sent = publish(&topic, "Job recovered", text).send().await.unwrap();
    assert!(sent.message_id().is_some());
    let published = w.sns.published();
    assert_eq!(published[0].message, text);
    assert_eq!(published[0].subject.as_deref(), Some("Job recovered"));
    assert_eq!(published[0].attributes["severity"], "high & low");
    let long = "x".repeat(101);
    let large = "x".repeat(MAX_MESSAGE + 1);
    for (subject, message) in [
        (long.as_str(), "m"),
        ("line\nbreak", "m"),
        ("größer", "m"),
        ("s", &large),
    ] {
        let refused = publish(&topic, subject, message).send().await.unwrap_err();
        assert_eq!(refused.code(), Some("InvalidParameter"), "{subject}");
    }
    let refused = publish(&format!("{topic}-none"), "s", "m")
        .send()
        .await
        .unwrap_err();
    assert!(refused.into_service_error().is_not_found_exception());
    assert_eq!(w.sns.published().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sns_lists_who_is_subscribed_page_by_page_and_who_has_not_confirmed() {
    let w = world().await;
    let topic = w.sns.create_topic("operators");
    for number in 0..101 {
        let subscription = Subscription {
            protocol: "email".to_owned(),
            endpoint: format!("ops+{number}&<x>@example.com"),
            confirmed: number > 0,
        };
        w.sns.subscribe(&topic, subscription);
    }
    let client = w.wire.sns("operator");
    let list = || client.list_subscriptions_by_topic().topic_arn(&topic);
    let first = list().send().await.unwrap();
    assert_eq!(first.subscriptions().len(), 100);
    let (waits, subscribed) = (&first.subscriptions()[0], &first.subscriptions()[1]);
    assert_eq!(waits.subscription_arn(), Some("PendingConfirmation"));
    assert_eq!(waits.endpoint(), Some("ops+0&<x>@example.com"));
    let arn = subscribed.subscription_arn().unwrap();
    assert!(arn.starts_with(&format!("{topic}:")), "{arn}");
    let last = list()
        .set_next_token(first.next_token)
        .send()
        .await
        .unwrap();
    assert_eq!((last.subscriptions().len(), last.next_token()), (1, None));
    let refused = client.list_subscriptions_by_topic();
    let refused = refused.topic_arn(format!("{topic}-none")).send().await;
    let refused = refused.unwrap_err().into_service_error();
    assert!(refused.is_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn latencies_pass_in_virtual_time_and_missing_tables_are_told() {
    let w = world().await;
    let client = w.wire.dynamodb("test");
    let start = Instant::now();
    for n in 0..20 {
        let put = client
            .put_item()
            .table_name("jobs")
            .item("id", s(&n.to_string()));
        put.send().await.unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    let get = client
        .get_item()
        .table_name("jobs")
        .key("id", s("7"))
        .consistent_read(true);
    assert!(get.send().await.unwrap().item.is_some());
    let missing = client
        .get_item()
        .table_name("none")
        .key("id", s("7"))
        .send()
        .await;
    assert!(
        missing
            .unwrap_err()
            .into_service_error()
            .is_resource_not_found_exception()
    );
}
