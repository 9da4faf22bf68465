//! Identifiers, checked once where they come in: from a command line, from an event, from a table.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A text that is not the identifier it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {what}; {reads}")]
pub struct NotAnId {
    text: String,
    what: &'static str,
    /// How one reads.
    reads: &'static str,
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $pattern:literal, $fits:expr, $reads:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String")]
        #[schemars(!try_from, transparent)]
        pub struct $name(#[schemars(regex(pattern = $pattern))] String);

        impl $name {
            /// What AWS has answered, taken as it is; whatever anybody else wrote is parsed.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;

            fn try_from(text: String) -> Result<Self, NotAnId> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) {
                    Ok(Self(text))
                } else {
                    Err(NotAnId { text, what: $what, reads: $reads })
                }
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::try_from(text.to_owned())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// A training job's id, as its launcher chose it.
    JobId, "job id",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| {
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    },
    "it has 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first"
}
identifier! {
    /// A pool of spares: the value of their mark, an ECS attribute.
    Pool, "pool",
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    |text| {
        text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    },
    "it has 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first"
}
identifier! {
    /// An ECS task ARN.
    TaskArn, "task ARN",
    r"^arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:task/.+$",
    |text| is_arn(text, "ecs", "task/"),
    "one reads arn:aws:ecs:us-east-1:123456789012:task/CLUSTER/ID"
}
identifier! {
    /// A container instance ARN.
    ContainerInstanceArn, "container instance ARN",
    r"^arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:container-instance/.+$",
    |text| is_arn(text, "ecs", "container-instance/"),
    "one reads arn:aws:ecs:us-east-1:123456789012:container-instance/CLUSTER/ID"
}
identifier! {
    /// A Step Functions execution ARN: who holds a job or an instance.
    ExecutionArn, "execution ARN",
    r"^arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:execution:[^:]+:.+$",
    |text| {
        is_arn(text, "states", "execution:")
            && text.splitn(8, ':').skip(6).filter(|part| !part.is_empty()).count() == 2
    },
    "one reads arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:NAME"
}
identifier! {
    /// An EC2 instance id (`i-…`) or a hybrid managed node id (`mi-…`).
    InstanceId, "instance id",
    r"^m?i-[0-9a-f]{8,17}$",
    |text| {
        let digits = text.strip_prefix('m').unwrap_or(text).strip_prefix("i-");
        digits.is_some_and(|digits| {
            (8..=17).contains(&digits.len())
                && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
        })
    },
    "one reads i-0123456789abcdef0, or mi-… on premises"
}

/// `arn:partition:service:region:account:resource` (IAM user guide, reference-arns), with a resource of this kind.
fn is_arn(text: &str, service: &str, resource: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let [arn, partition, of, region, account, what] = parts[..] else {
        return false;
    };
    let only = |text: &str, fits: fn(char) -> bool| !text.is_empty() && text.chars().all(fits);
    arn == "arn"
        && partition.starts_with("aws")
        && only(partition, |c| c.is_ascii_lowercase() || c == '-')
        && of == service
        && only(region, |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
        })
        && account.len() == 12
        && only(account, |c| c.is_ascii_digit())
        && what.len() > resource.len()
        && what.starts_with(resource)
        && !what.contains(['\n', '\r'])
}

impl ExecutionArn {
    /// The region the execution runs in (fourth field of the ARN).
    pub fn region(&self) -> &str {
        self.0.split(':').nth(3).unwrap_or_default()
    }

    /// The AWS partition (`aws`, `aws-cn`, `aws-us-gov`).
    pub fn partition(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or("aws")
    }

    /// The execution's name (last field of the ARN).
    pub fn name(&self) -> &str {
        self.0.rsplit(':').next().unwrap_or_default()
    }
}

impl Default for Pool {
    /// The pool of a job, and of a spare, that names none.
    fn default() -> Self {
        Self::new("default")
    }
}

impl InstanceId {
    /// True for a hybrid (ECS Anywhere) node, whose launch type is EXTERNAL.
    pub fn is_hybrid(&self) -> bool {
        self.0.starts_with("mi-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn agrees<T: FromStr<Err = NotAnId> + JsonSchema>(texts: &[&str], right: usize) {
        let schema = schemars::schema_for!(T);
        let schema = jsonschema::validator_for(schema.as_value()).unwrap();
        for (place, text) in texts.iter().enumerate() {
            let parsed = text.parse::<T>();
            assert_eq!(parsed.is_ok(), place < right, "{text:?}");
            assert_eq!(parsed.is_ok(), schema.is_valid(&json!(text)), "{text:?}");
        }
    }

    #[test]
    fn schema_and_parser_take_the_same_texts() {
        let long = "x".repeat(65);
        let jobs = [
            "bert",
            "7",
            "Llama-3.1_8b",
            &long[1..],
            "",
            "-bert",
            "be rt",
            "größe",
            &long,
        ];
        agrees::<JobId>(&jobs, 4);
        agrees::<Pool>(&jobs, 4);
        let nodes = [
            "i-0123456789abcdef0",
            "mi-0a1b2c3d",
            "i-0a1b2c",
            "i-0A1B2C3D",
            "m-0a1b2c3d",
            "i-0123456789abcdef01",
            "0a1b2c3d",
        ];
        agrees::<InstanceId>(&nodes, 2);
        let executions = [
            "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1",
            "arn:aws-us-gov:states:us-gov-west-1:123456789012:execution:gpu-recovery:e:1",
            "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery",
            "arn:aws:states:us-east-1:123456789012:execution::e-1",
            "arn:aws:states:us-east-1:12345678901:execution:gpu-recovery:e-1",
            "arn:aws:states:us-east-1:123456789012:stateMachine:gpu-recovery",
            "arn:aws:states::123456789012:execution:gpu-recovery:e-1",
        ];
        agrees::<ExecutionArn>(&executions, 2);
        let tasks = [
            "arn:aws:ecs:us-east-1:123456789012:task/training/abc",
            "arn:aws-cn:ecs:cn-north-1:123456789012:task/abc",
            "arn:aws:ecs:us-east-1:123456789012:task/",
            "arn:aws:ecs:us-east-1:123456789012:container-instance/training/abc",
            "arn:gcp:ecs:us-east-1:123456789012:task/abc",
            "task/abc",
        ];
        agrees::<TaskArn>(&tasks, 2);
        let instances = [
            "arn:aws:ecs:us-east-1:123456789012:container-instance/training/abc",
            "arn:aws:ecs:us-east-1:123456789012:task/training/abc",
        ];
        agrees::<ContainerInstanceArn>(&instances, 1);
    }

    #[test]
    fn a_wrong_id_is_told_with_what_a_right_one_looks_like() {
        let error = "i-xyz".parse::<InstanceId>().unwrap_err().to_string();
        assert!(
            error.contains("'i-xyz' is no instance id; one reads i-"),
            "{error}"
        );
        let error = serde_json::from_value::<JobId>(json!("a job")).unwrap_err();
        assert!(
            error.to_string().contains("'a job' is no job id"),
            "{error}"
        );
    }
}
