//! Identifiers, checked once where they come in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $pattern:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(regex(pattern = $pattern))] String);

        impl $name {
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }
            pub fn as_str(&self) -> &str {
                &self.0
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
    JobId, r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
}
identifier! {
    /// An ECS task ARN.
    TaskArn, r"^arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:task/.+$"
}
identifier! {
    /// A container instance ARN.
    ContainerInstanceArn, r"^arn:aws[a-z-]*:ecs:[a-z0-9-]+:\d{12}:container-instance/.+$"
}
identifier! {
    /// A Step Functions execution ARN: who holds a job or an instance.
    ExecutionArn, r"^arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:execution:[^:]+:.+$"
}
identifier! {
    /// An EC2 instance id (`i-…`) or a hybrid managed node id (`mi-…`).
    InstanceId, r"^m?i-[0-9a-f]{8,17}$"
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

impl InstanceId {
    /// True for a hybrid (ECS Anywhere) node, whose launch type is EXTERNAL.
    pub fn is_hybrid(&self) -> bool {
        self.0.starts_with("mi-")
    }
}
