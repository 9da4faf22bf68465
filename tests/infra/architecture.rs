//! docs/architecture.svg: the pieces of `infra/template.yaml`, and an arrow for each rule's target and each call that a role
//! allows. Only where a piece stands is said here; what it holds and what calls what is read off the template.

mod draw;

use crate::{
    iam::{grants, roles},
    template::{Template, text},
};
use draw::{Place, Route};
use serde_json::Value;
use simulator::integrations::STATE_MACHINE;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

/// A box of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    Cluster,
    Rules,
    StateMachine,
    /// Functions that the state machine calls.
    Workers,
    /// Functions that rules call.
    Listeners,
    Tables,
    Topic,
    DeadLetters,
    Watch,
}
use Piece::{Cluster, DeadLetters, Listeners, Rules, StateMachine, Tables, Topic, Watch, Workers};

const PLACES: [(Piece, &str, Place); 9] = [
    (
        Cluster,
        "Your ECS cluster",
        Place::new(20.0, 110.0, 200.0).down_to(734.0),
    ),
    (Rules, "EventBridge rules", Place::new(440.0, 110.0, 220.0)),
    (
        StateMachine,
        "Step Functions",
        Place::new(440.0, 340.0, 220.0),
    ),
    (
        Workers,
        "Lambda: the steps",
        Place::new(440.0, 520.0, 220.0),
    ),
    (
        Listeners,
        "Lambda: called by rules",
        Place::new(880.0, 110.0, 220.0),
    ),
    (Tables, "DynamoDB", Place::new(880.0, 520.0, 220.0)),
    (DeadLetters, "SQS", Place::new(1310.0, 110.0, 190.0)),
    (Topic, "SNS", Place::new(1310.0, 340.0, 190.0)),
    (Watch, "CloudWatch", Place::new(1310.0, 520.0, 190.0)),
];

/// The way of each arrow, and where its label begins. An arrow of the template without a way fails the test.
#[rustfmt::skip]
const ROUTES: [(Piece, Piece, Route); 16] = [
    (Cluster, Rules, Route { way: &[(220.0, 150.0), (440.0, 150.0)], label: (228.0, 162.0, 200.0) }),
    (Rules, StateMachine, Route { way: &[(490.0, 227.0), (490.0, 340.0)], label: (380.0, 285.0, 104.0) }),
    (StateMachine, Rules, Route { way: &[(620.0, 340.0), (620.0, 227.0)], label: (508.0, 285.0, 108.0) }),
    (Rules, Listeners, Route { way: &[(660.0, 150.0), (880.0, 150.0)], label: (668.0, 162.0, 204.0) }),
    (Rules, DeadLetters, Route { way: &[(600.0, 110.0), (600.0, 50.0), (1400.0, 50.0), (1400.0, 110.0)], label: (1130.0, 34.0, 260.0) }),
    (StateMachine, Workers, Route { way: &[(480.0, 410.0), (480.0, 520.0)], label: (380.0, 470.0, 94.0) }),
    (StateMachine, Cluster, Route { way: &[(440.0, 375.0), (220.0, 375.0)], label: (228.0, 387.0, 140.0) }),
    (Workers, StateMachine, Route { way: &[(620.0, 520.0), (620.0, 410.0)], label: (500.0, 445.0, 116.0) }),
    (Workers, Cluster, Route { way: &[(440.0, 600.0), (220.0, 600.0)], label: (228.0, 612.0, 204.0) }),
    (Workers, Tables, Route { way: &[(660.0, 545.0), (880.0, 545.0)], label: (668.0, 557.0, 204.0) }),
    (Workers, Topic, Route { way: &[(660.0, 690.0), (1260.0, 690.0), (1260.0, 390.0), (1310.0, 390.0)], label: (1180.0, 702.0, 80.0) }),
    (Listeners, StateMachine, Route { way: &[(930.0, 195.0), (930.0, 375.0), (660.0, 375.0)], label: (668.0, 387.0, 250.0) }),
    (Listeners, Cluster, Route { way: &[(990.0, 110.0), (990.0, 76.0), (120.0, 76.0), (120.0, 110.0)], label: (128.0, 60.0, 400.0) }),
    (Listeners, Tables, Route { way: &[(1000.0, 195.0), (1000.0, 520.0)], label: (1008.0, 450.0, 180.0) }),
    (Listeners, DeadLetters, Route { way: &[(1100.0, 150.0), (1310.0, 150.0)], label: (1108.0, 162.0, 190.0) }),
    (Listeners, Topic, Route { way: &[(1070.0, 195.0), (1070.0, 355.0), (1310.0, 355.0)], label: (1120.0, 345.0, 120.0) }),
];
const ALARMS: Route = Route {
    way: &[(1400.0, 520.0), (1400.0, 394.0)],
    label: (1410.0, 470.0, 90.0),
};

/// What a piece holds, line by line.
fn contents(template: &Template) -> BTreeMap<Piece, Vec<String>> {
    let mut lines: BTreeMap<Piece, Vec<String>> = BTreeMap::new();
    let mut add = |piece, line: &str| lines.entry(piece).or_default().push(line.to_owned());
    for line in [
        "jobs: a task on each node",
        "nodes: EC2, ECS Anywhere",
        "ECS and SSM agents",
    ] {
        add(Cluster, line);
    }
    let named = |value: &Value| text(value).expect("a name").replace("gpu-recovery-", "");
    let resources = template.body["Resources"].as_object().expect("resources");
    let kinds: BTreeSet<&str> = resources
        .values()
        .filter_map(|r| r["Type"].as_str())
        .collect();
    for kind in kinds {
        let found = template.resources(kind);
        let count = found.len();
        for properties in found.values() {
            match kind {
                "AWS::Events::Rule" => add(Rules, &named(&properties["Name"])),
                "AWS::Serverless::StateMachine" => {
                    add(
                        StateMachine,
                        &format!("{}, alias live", text(&properties["Name"]).expect("a name")),
                    );
                    add(StateMachine, "one execution: one recovery");
                }
                "AWS::Serverless::Function" => {
                    let handler = text(&properties["Handler"]).expect("a handler");
                    add(of_function(template, &handler), &handler);
                }
                "AWS::DynamoDB::Table" => {
                    add(Tables, &text(&properties["TableName"]).expect("a name"))
                }
                "AWS::SNS::Topic" => add(Topic, "the operators' topic, encrypted"),
                "AWS::SQS::Queue" => add(DeadLetters, &named(&properties["QueueName"])),
                "AWS::ECS::TaskDefinition" => add(Cluster, "the GPU health check"),
                "AWS::SSM::Document" => {
                    add(Cluster, &format!("document {}", named(&properties["Name"])))
                }
                _ => {}
            }
        }
        match kind {
            "AWS::CloudWatch::Alarm" => add(Watch, &format!("{count} alarms")),
            "AWS::CloudWatch::Dashboard" => add(Watch, "a dashboard"),
            "AWS::Logs::LogGroup" => add(Watch, &format!("{count} log groups")),
            "AWS::Events::Rule" | "AWS::Serverless::StateMachine" | "AWS::Serverless::Function"
            | "AWS::DynamoDB::Table" | "AWS::SNS::Topic" | "AWS::SQS::Queue" | "AWS::ECS::TaskDefinition" | "AWS::SSM::Document"
            // Each belongs to a piece that is drawn.
            | "AWS::IAM::Role" | "AWS::Lambda::Permission" | "AWS::SQS::QueuePolicy" | "AWS::SNS::TopicPolicy"
            | "AWS::SNS::Subscription" | "AWS::KMS::Key" => {}
            other => panic!("say how {other} is drawn"),
        }
    }
    lines
}

/// Who calls the function decides where it stands.
fn of_function(template: &Template, handler: &str) -> Piece {
    let given = &template.resource("Recovery")["DefinitionSubstitutions"];
    let called = given
        .as_object()
        .expect("substitutions")
        .values()
        .filter_map(text)
        .any(|arn| arn.contains(&format!(":gpu-recovery-{handler}:")));
    if called { Workers } else { Listeners }
}

/// Each arrow with what it carries.
fn arrows(template: &Template) -> BTreeMap<(Piece, Piece), BTreeSet<String>> {
    let mut arrows: BTreeMap<(Piece, Piece), BTreeSet<String>> = BTreeMap::new();
    let mut add = |from, to, what: &str| {
        if from != to {
            arrows
                .entry((from, to))
                .or_default()
                .insert(what.to_owned());
        }
    };
    for rule in template.resources("AWS::Events::Rule").into_values() {
        let name = text(&rule["Name"])
            .expect("a name")
            .replace("gpu-recovery-", "");
        let pattern = &rule["EventPattern"];
        for (source, kind) in pattern["source"]
            .as_array()
            .into_iter()
            .flatten()
            .zip(pattern["detail-type"].as_array().into_iter().flatten())
        {
            let from = if source == "aws.states" {
                StateMachine
            } else {
                Cluster
            };
            add(from, Rules, &text(kind).expect("a detail type"));
        }
        for target in rule["Targets"].as_array().expect("targets") {
            let arn = text(&target["Arn"]).expect("a target");
            let to = if arn.contains(":states:") {
                StateMachine
            } else {
                Listeners
            };
            add(Rules, to, &name);
            if !target["DeadLetterConfig"].is_null() {
                add(Rules, DeadLetters, "what a target refuses");
            }
        }
    }
    for (holder, statements) in roles(template) {
        let from = match holder.as_str() {
            STATE_MACHINE => StateMachine,
            "eventbridge" => continue,
            handler => of_function(template, handler),
        };
        for grant in grants(&statements) {
            let (service, action) = grant.action.split_once(':').expect("service:action");
            let to = match service {
                "ecs" | "ssm" | "ec2" => Cluster,
                "dynamodb" => Tables,
                "sns" => Topic,
                "sqs" => DeadLetters,
                "states" => StateMachine,
                "lambda" => Workers,
                // What AWS asks beside a call: logs, traces, keys, roles to pass, the rule behind `.sync`.
                "logs" | "xray" | "kms" | "iam" | "events" => continue,
                other => panic!("say where calls of {other} go"),
            };
            add(from, to, action);
        }
    }
    arrows
}

fn svg() -> String {
    let template = Template::new();
    let contents = contents(&template);
    let arrows = arrows(&template);
    let ways: BTreeMap<(Piece, Piece), &Route> =
        ROUTES.iter().map(|(f, t, r)| ((*f, *t), r)).collect();
    let drawn: BTreeSet<_> = ways.keys().collect();
    assert_eq!(
        arrows.keys().collect::<BTreeSet<_>>(),
        drawn,
        "each arrow has a way"
    );
    let boxes: Vec<_> = PLACES
        .iter()
        .map(|(piece, title, place)| (*title, *place, contents[piece].as_slice()))
        .collect();
    let mut lines: Vec<(&Route, String)> = arrows
        .iter()
        .map(|(ends, what)| {
            (
                ways[ends],
                what.iter().cloned().collect::<Vec<_>>().join(", "),
            )
        })
        .collect();
    lines.push((&ALARMS, "alarms".to_owned()));
    draw::svg(&boxes, &lines)
}

/// `UPDATE_PICTURE=1` draws it instead.
#[test]
fn the_architecture_is_drawn_from_the_template() {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.svg");
    let drawn = svg();
    if std::env::var_os("UPDATE_PICTURE").is_some_and(|value| value == "1") {
        fs::write(&file, &drawn).unwrap();
    }
    assert!(
        fs::read_to_string(&file).is_ok_and(|found| found == drawn),
        "docs/architecture.svg is not what the template says; UPDATE_PICTURE=1 cargo test -p tests --test infra architecture"
    );
}
