//! `infra/template.yaml`, read as CloudFormation and SAM read it, in an account of the simulator's.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;
use simulator::{ACCOUNT, REGION};
use std::{collections::BTreeMap, fmt};

pub const TEXT: &str = include_str!("../../infra/template.yaml");

/// The cluster that the simulator's account has.
pub fn cluster() -> String {
    simulator::ecs::EcsSettings::default().cluster
}

/// The template with a value for every parameter.
pub struct Template {
    pub body: Value,
    parameters: BTreeMap<String, Value>,
    partition: &'static str,
}

impl Template {
    /// As deployed with the defaults.
    pub fn new() -> Self {
        Self::with("aws", &[])
    }

    /// As deployed in a partition with these parameters over the defaults.
    pub fn with(partition: &'static str, parameters: &[(&str, &str)]) -> Self {
        let Node(body) = serde_saphyr::from_str(TEXT).expect("the template is YAML");
        let cluster = cluster();
        let given: BTreeMap<&str, &str> = [("EcsClusterName", cluster.as_str())]
            .into_iter()
            .chain(parameters.iter().copied())
            .collect();
        let parameters = body["Parameters"]
            .as_object()
            .expect("there are parameters")
            .iter()
            .map(|(name, declared)| {
                let text = match given.get(name.as_str()) {
                    Some(text) => (*text).to_owned(),
                    None => text(&declared["Default"])
                        .unwrap_or_else(|| panic!("parameter {name} needs a value")),
                };
                let value = if declared["Type"] == "CommaDelimitedList" {
                    json!(text.split(',').collect::<Vec<_>>())
                } else {
                    json!(text)
                };
                (name.clone(), value)
            })
            .collect();
        Self {
            body,
            parameters,
            partition,
        }
    }

    /// The resources of a type that are made with these parameters, each with its properties resolved.
    pub fn resources(&self, kind: &str) -> BTreeMap<String, Value> {
        let all = self.body["Resources"]
            .as_object()
            .expect("there are resources");
        all.iter()
            .filter(|(_, resource)| resource["Type"] == kind && self.made(resource))
            .map(|(name, resource)| {
                let mut properties = self.resolve(&resource["Properties"]);
                if kind == "AWS::Serverless::Function" {
                    properties = under(self.resolve(&self.body["Globals"]["Function"]), properties);
                }
                (name.clone(), properties)
            })
            .collect()
    }

    /// One resource's resolved properties.
    pub fn resource(&self, name: &str) -> Value {
        let kind = self.body["Resources"][name]["Type"].as_str();
        let kind = kind.unwrap_or_else(|| panic!("no resource {name}"));
        self.resources(kind)
            .remove(name)
            .unwrap_or_else(|| panic!("{name} is not made"))
    }

    fn made(&self, resource: &Value) -> bool {
        resource["Condition"]
            .as_str()
            .is_none_or(|name| self.condition(name))
    }

    fn condition(&self, name: &str) -> bool {
        let condition = &self.body["Conditions"][name];
        assert!(!condition.is_null(), "no condition {name}");
        self.holds(condition)
    }

    fn holds(&self, condition: &Value) -> bool {
        let (function, argument) = function(condition).expect("a condition is a function");
        let list = || argument.as_array().expect("a list");
        match function {
            "Fn::Equals" => self.resolve(&list()[0]) == self.resolve(&list()[1]),
            "Fn::Not" => !self.holds(&list()[0]),
            "Fn::And" => list().iter().all(|c| self.holds(c)),
            "Fn::Or" => list().iter().any(|c| self.holds(c)),
            "Condition" => self.condition(argument.as_str().expect("a name")),
            other => panic!("no such condition function: {other}"),
        }
    }

    /// The value with every function replaced by what it stands for; panics at a name that nothing has.
    pub fn resolve(&self, value: &Value) -> Value {
        if let Some((function, argument)) = function(value) {
            return self.call(function, argument);
        }
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), self.resolve(value)))
                .filter(|(_, value)| *value != no_value())
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(items) => items
                .iter()
                .map(|item| self.resolve(item))
                .filter(|value| *value != no_value())
                .collect(),
            other => other.clone(),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        let list = || argument.as_array().expect("a list");
        let string = |value: &Value| {
            text(&self.resolve(value)).unwrap_or_else(|| panic!("{function}: {value} is no text"))
        };
        match function {
            "Ref" => self.reference(argument.as_str().expect("a name")),
            "Fn::GetAtt" => {
                let parts: Vec<String> = match argument {
                    Value::String(path) => path.splitn(2, '.').map(str::to_owned).collect(),
                    parts => parts
                        .as_array()
                        .expect("a list")
                        .iter()
                        .map(string)
                        .collect(),
                };
                self.attribute(&parts[0], &parts[1])
            }
            "Fn::Sub" => match argument {
                Value::Array(parts) => {
                    let local = parts[1].as_object().expect("the names of a Sub");
                    let local = local.iter().map(|(n, v)| (n.clone(), string(v))).collect();
                    self.substitute(parts[0].as_str().expect("a text"), &local)
                }
                text => self.substitute(text.as_str().expect("a text"), &BTreeMap::new()),
            },
            "Fn::If" => {
                let [name, yes, no] = list().as_slice() else {
                    panic!("Fn::If takes three");
                };
                let holds = self.condition(name.as_str().expect("a condition's name"));
                self.resolve(if holds { yes } else { no })
            }
            "Fn::Join" => {
                let parts = self.resolve(&list()[1]);
                let parts: Vec<String> = parts
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(string)
                    .collect();
                json!(parts.join(list()[0].as_str().expect("a text")))
            }
            "Fn::Split" => {
                let separator = list()[0].as_str().expect("a text");
                json!(string(&list()[1]).split(separator).collect::<Vec<_>>())
            }
            "Fn::Select" => {
                let nth: usize = string(&list()[0]).parse().expect("a number");
                self.resolve(&list()[1])[nth].clone()
            }
            "Fn::FindInMap" => {
                let [map, first, second] = list().as_slice() else {
                    panic!("Fn::FindInMap takes three");
                };
                let found = &self.body["Mappings"][string(map)][string(first)][string(second)];
                assert!(!found.is_null(), "no {argument} in the mappings");
                found.clone()
            }
            other => panic!("no such function: {other}"),
        }
    }

    fn substitute(&self, text: &str, local: &BTreeMap<String, String>) -> Value {
        let mut done = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').expect("a closed name");
            done.push_str(before);
            let value = match local.get(name) {
                Some(value) => json!(value),
                None => match name.split_once('.') {
                    Some((resource, attribute)) => self.attribute(resource, attribute),
                    None => self.reference(name),
                },
            };
            done.push_str(&self::text(&value).unwrap_or_else(|| panic!("{name} is no text")));
            rest = after;
        }
        done.push_str(rest);
        json!(done)
    }

    fn reference(&self, name: &str) -> Value {
        match name {
            "AWS::Partition" => return json!(self.partition),
            "AWS::Region" => return json!(REGION),
            "AWS::AccountId" => return json!(ACCOUNT),
            "AWS::NoValue" => return no_value(),
            _ => {}
        }
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        // SAM's own names (SAM developer guide, sam-specification-generated-resources).
        if let Some((function, kind)) = name.split_once('.') {
            let arn = text(&self.attribute(function, "Arn")).unwrap_or_default();
            return match kind {
                "Version" => json!(format!("{arn}:1")),
                "Alias" => json!(format!("{arn}:live")),
                other => panic!("SAM makes no {other} of {function}"),
            };
        }
        if let Some(machine) = name.strip_suffix("Aliaslive") {
            let properties = &self.body["Resources"][machine]["Properties"];
            assert_eq!(
                properties["AutoPublishAlias"], "live",
                "{machine} has no alias live"
            );
            return json!(format!(
                "{}:live",
                text(&self.reference(machine)).unwrap_or_default()
            ));
        }
        let resource = &self.body["Resources"][name];
        assert!(!resource.is_null(), "nothing is called {name}");
        match resource["Type"].as_str().unwrap_or_default() {
            "AWS::Serverless::StateMachine" | "AWS::SNS::Topic" => self.attribute(name, "Arn"),
            "AWS::SQS::Queue" => json!(format!(
                "https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{}",
                self.name_of(name)
            )),
            _ => json!(self.name_of(name)),
        }
    }

    fn attribute(&self, name: &str, attribute: &str) -> Value {
        let resource = &self.body["Resources"][name];
        assert!(!resource.is_null(), "nothing is called {name}");
        let called = self.name_of(name);
        let kind = resource["Type"].as_str().unwrap_or_default();
        let (service, rest) = match (kind, attribute) {
            ("AWS::SQS::Queue", "QueueName") => return json!(called),
            (_, other) if other != "Arn" => panic!("{name} has no attribute {other}"),
            ("AWS::Serverless::Function", _) => ("lambda", format!("function:{called}")),
            ("AWS::Serverless::StateMachine", _) => ("states", format!("stateMachine:{called}")),
            ("AWS::DynamoDB::Table", _) => ("dynamodb", format!("table/{called}")),
            ("AWS::SNS::Topic", _) => ("sns", called),
            ("AWS::SQS::Queue", _) => ("sqs", called),
            ("AWS::Logs::LogGroup", _) => ("logs", format!("log-group:{called}:*")),
            ("AWS::KMS::Key", _) => ("kms", format!("key/{name}")),
            ("AWS::Events::Rule", _) => ("events", format!("rule/{called}")),
            ("AWS::CloudWatch::Alarm", _) => ("cloudwatch", format!("alarm:{called}")),
            ("AWS::IAM::Role", _) => {
                return json!(format!("arn:{}:iam::{ACCOUNT}:role/{name}", self.partition));
            }
            (other, _) => panic!("no ARN of a {other} is known here"),
        };
        json!(format!(
            "arn:{}:{service}:{REGION}:{ACCOUNT}:{rest}",
            self.partition
        ))
    }

    /// The name that a resource is given, or its logical name where AWS makes one up.
    fn name_of(&self, resource: &str) -> String {
        const NAMES: [&str; 10] = [
            "FunctionName",
            "TableName",
            "TopicName",
            "QueueName",
            "LogGroupName",
            "AlarmName",
            "DashboardName",
            "RoleName",
            "Family",
            "Name",
        ];
        let properties = &self.body["Resources"][resource]["Properties"];
        let given = NAMES.iter().find(|name| !properties[**name].is_null());
        match given {
            Some(name) => text(&self.resolve(&properties[*name])).expect("a name is text"),
            None => resource.to_owned(),
        }
    }

    /// Every output's value.
    pub fn outputs(&self) -> BTreeMap<String, String> {
        let outputs = self.body["Outputs"].as_object().expect("there are outputs");
        outputs
            .iter()
            .map(|(name, o)| {
                (
                    name.clone(),
                    text(&self.resolve(&o["Value"])).expect("text"),
                )
            })
            .collect()
    }

    /// The resolved event pattern and only target of every rule that hears events, by its name without the prefix.
    pub fn rules(&self) -> BTreeMap<String, (Value, Value)> {
        self.resources("AWS::Events::Rule")
            .into_values()
            .filter(|rule| !rule["EventPattern"].is_null())
            .map(|rule| {
                let name = rule["Name"].as_str().expect("a rule has a name");
                let targets = rule["Targets"].as_array().expect("a rule has targets");
                assert_eq!(targets.len(), 1, "{name}");
                (
                    name.trim_start_matches("gpu-recovery-").to_owned(),
                    (rule["EventPattern"].clone(), targets[0].clone()),
                )
            })
            .collect()
    }
}

/// `over` with what `base` has beside it, at every depth, as SAM merges its globals.
fn under(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (name, value) in over {
                let merged = match base.remove(&name) {
                    Some(known) => under(known, value),
                    None => value,
                };
                base.insert(name, merged);
            }
            base.into()
        }
        (_, over) => over,
    }
}

fn no_value() -> Value {
    json!({ "Ref": "AWS::NoValue" })
}

/// Parameters are texts, whatever they stand for.
pub fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `{"Fn::Sub": …}` and its like. `Condition` is one too, where it stands alone.
fn function(value: &Value) -> Option<(&str, &Value)> {
    let members = value.as_object().filter(|members| members.len() == 1)?;
    let (name, argument) = members.iter().next()?;
    let is_function = name.starts_with("Fn::") || name == "Ref";
    let is_condition = name == "Condition" && argument.is_string();
    (is_function || is_condition).then_some((name.as_str(), argument))
}

/// A node with the short form of a function (`!Sub x`) written out.
struct Node(Value);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Tagged(Plain(value), tag) = Tagged::deserialize(deserializer)?;
        let short = tag.as_deref().and_then(|tag| tag.strip_prefix('!'));
        Ok(Self(match short {
            None => value,
            Some(tag) if tag.starts_with('!') || tag.starts_with("tag:") => value,
            Some(tag @ ("Ref" | "Condition")) => json!({ tag: value }),
            Some(function) => json!({ format!("Fn::{function}"): value }),
        }))
    }
}

struct Plain(Value);

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Self)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node of a template")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Node(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Node(value))) = members.next_entry::<String, Node>()? {
            map.insert(name, value);
        }
        Ok(map.into())
    }
}

#[test]
fn short_forms_are_read_as_cloudformation_reads_them() {
    let text = "a: !Sub '${X}-1'\nb: !If [C, !Ref X, !GetAtt Y.Arn]\nc: {n: 1, t: '1', f: true}\n";
    let Node(value) = serde_saphyr::from_str(text).unwrap();
    assert_eq!(
        value,
        json!({
            "a": { "Fn::Sub": "${X}-1" },
            "b": { "Fn::If": ["C", { "Ref": "X" }, { "Fn::GetAtt": "Y.Arn" }] },
            "c": { "n": 1, "t": "1", "f": true },
        })
    );
}
