//! EventBridge: the stack's rules, and events of one's own.

use super::{
    PREFIX, missing,
    page::{answered, page, size},
    text,
};
use crate::account::Account;
use serde_json::{Value, json};
use simulator::{ACCOUNT, REGION, cloud::ALIAS, lambda::Lambda, wire::ApiError};

/// API_ListRules, API_ListTargetsByRule, API_ListRuleNamesByTarget.
const PAGE: usize = 100;
/// API_PutEvents: "up to 10".
const ENTRIES: usize = 10;

/// The rule of a schedule, which is not on the simulated bus, and how often it fires.
const LOOK: (&str, &str) = ("look-for-lost-stops", "rate(5 minutes)");

/// The role by which EventBridge starts a recovery.
pub fn start_role() -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{PREFIX}-start")
}

/// What the template lets each rule call: a function, or the state machine.
fn target(account: &Account, rule: &str) -> Option<Value> {
    let function = match rule {
        "task-stopped" => {
            return Some(json!({
                "Id": "Recovery",
                "Arn": format!("{}:{ALIAS}", account.cloud.state_machine_arn),
                "RoleArn": start_role(),
            }));
        }
        "instance-changed" | "command-ended" => "instance-events",
        "execution-failed" => "notify-failed-execution",
        "look-for-lost-stops" => "look-for-lost-stops",
        _ => return None,
    };
    let arn = format!("{}:{ALIAS}", Lambda::arn(function));
    Some(json!({ "Id": "Function", "Arn": arn }))
}

/// Every rule, by its name in the simulated account, as it is described.
fn rules(account: &Account) -> Vec<(String, Value)> {
    let mut rules: Vec<(String, Value)> = account
        .cloud
        .bus
        .rules()
        .into_iter()
        .map(|(name, pattern)| {
            let described = json!({ "EventPattern": pattern.to_string() });
            (name, described)
        })
        .collect();
    let schedule = json!({ "ScheduleExpression": LOOK.1 });
    rules.push((LOOK.0.to_owned(), schedule));
    rules.sort_by(|one, other| one.0.cmp(&other.0));
    for (name, rule) in &mut rules {
        let full = format!("{PREFIX}-{name}");
        rule["Arn"] = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{full}").into();
        rule["Name"] = full.into();
        rule["State"] = "ENABLED".into();
        rule["EventBusName"] = "default".into();
    }
    rules
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_Operations.html>
pub fn answer(account: &Account, action: &str, body: &Value) -> Result<Value, ApiError> {
    let refused = || ApiError::new("ValidationException", "Invalid NextToken.");
    let paged = |all: Vec<Value>, list: &str| {
        let (token, size) = (text(body, "NextToken"), size(&body["Limit"], PAGE));
        Ok(answered(
            list,
            "NextToken",
            page(all, token, size, refused)?,
        ))
    };
    match action {
        "ListRules" => {
            let prefix = text(body, "NamePrefix").unwrap_or_default();
            let rules = rules(account).into_iter().map(|(_, rule)| rule);
            let fitting = rules.filter(|rule| starts_with(&rule["Name"], prefix));
            paged(fitting.collect(), "Rules")
        }
        "DescribeRule" => Ok(named(account, body, "Name")?.1),
        "ListTargetsByRule" => {
            let (name, _) = named(account, body, "Rule")?;
            paged(target(account, &name).into_iter().collect(), "Targets")
        }
        "ListRuleNamesByTarget" => {
            let arn = text(body, "TargetArn").ok_or_else(|| missing("targetArn"))?;
            let rules = rules(account).into_iter();
            let names = rules.filter(|(name, _)| {
                target(account, name).is_some_and(|target| target["Arn"] == arn)
            });
            let names = names.map(|(_, rule)| rule["Name"].clone());
            paged(names.collect(), "RuleNames")
        }
        _ => put_events(account, body),
    }
}

fn starts_with(text: &Value, prefix: &str) -> bool {
    text.as_str().is_some_and(|text| text.starts_with(prefix))
}

fn named(account: &Account, body: &Value, member: &str) -> Result<(String, Value), ApiError> {
    let asked = text(body, member).ok_or_else(|| missing(&member.to_lowercase()))?;
    let mut rules = rules(account).into_iter();
    rules
        .find(|(_, rule)| rule["Name"] == asked)
        .ok_or_else(|| {
            ApiError::new(
                "ResourceNotFoundException",
                format!("Rule {asked} does not exist on EventBus default."),
            )
        })
}

/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>: an entry without source, type or detail
/// fails by itself; no source may begin with `aws.`.
fn put_events(account: &Account, body: &Value) -> Result<Value, ApiError> {
    let entries = body["Entries"].as_array().map(Vec::as_slice);
    let entries = entries.unwrap_or_default();
    if entries.is_empty() || entries.len() > ENTRIES {
        let says = "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
                    between 1 and 10";
        return Err(ApiError::new("ValidationException", says));
    }
    let refused = |code: &str, message: &str| json!({ "ErrorCode": code, "ErrorMessage": message });
    let put = |entry: &Value, number: u64| {
        let given = |member| text(entry, member).filter(|text| !text.is_empty());
        let (Some(source), Some(kind), Some(detail)) =
            (given("Source"), given("DetailType"), given("Detail"))
        else {
            return refused(
                "InvalidArgument",
                "Parameter Source, DetailType or Detail is not valid. Reason: it is a required argument.",
            );
        };
        if source.starts_with("aws.") {
            return refused(
                "NotAuthorizedForSourceException",
                "Not authorized for the source.",
            );
        }
        let Ok(detail @ Value::Object(_)) = serde_json::from_str(detail) else {
            return refused("MalformedDetail", "Detail is malformed.");
        };
        account.cloud.bus.put(source, kind, &[], detail);
        json!({ "EventId": format!("00000000-0000-4000-8000-{:012x}", account.seen() + number) })
    };
    let answered: Vec<Value> = entries
        .iter()
        .zip(0..)
        .map(|(entry, n)| put(entry, n))
        .collect();
    let failed = answered
        .iter()
        .filter(|entry| entry.get("ErrorCode").is_some());
    Ok(json!({ "FailedEntryCount": failed.count(), "Entries": answered }))
}
