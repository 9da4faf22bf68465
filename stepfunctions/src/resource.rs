//! What a Task state calls: a service integration, by service, action and pattern
//! (<https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html>).

use std::fmt;

/// A service integration, as the ARN of a Task's `Resource` names it. [`ToString`] writes it as the ARN does:
/// `lambda:invoke.waitForTaskToken`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `lambda`, `ecs`, `sns`; of an AWS SDK integration `aws-sdk:ssm`.
    pub service: String,
    /// `invoke`, `runTask`, `publish`.
    pub action: String,
    /// When the state goes on.
    pub pattern: Pattern,
}

/// When the state goes on (<https://docs.aws.amazon.com/step-functions/latest/dg/connect-to-resource.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// When the call is answered.
    RequestResponse,
    /// `.sync`: when the job that the call started has ended.
    Sync,
    /// `.sync:2`: likewise, and the result is JSON where `.sync` gives a string.
    Sync2,
    /// `.waitForTaskToken`: when whoever holds the token says so.
    WaitForTaskToken,
}

impl Pattern {
    fn suffix(self) -> &'static str {
        match self {
            Self::RequestResponse => "",
            Self::Sync => ".sync",
            Self::Sync2 => ".sync:2",
            Self::WaitForTaskToken => ".waitForTaskToken",
        }
    }

    /// Whether the history tells of the call's answer by an event of its own, TaskSubmitted.
    pub fn submits(self) -> bool {
        self != Self::RequestResponse
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.action_and_pattern())
    }
}

/// The optimized integrations, whether they have `.sync`, and whether they have `.waitForTaskToken`
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/integrate-optimized.html>).
const OPTIMIZED: [(&str, bool, bool); 21] = [
    ("apigateway", false, true),
    ("athena", true, false),
    ("batch", true, false),
    ("bedrock", true, true),
    ("codebuild", true, false),
    ("databrew", true, false),
    ("dynamodb", false, false),
    ("ecs", true, true),
    ("eks", true, true),
    ("elasticmapreduce", true, false),
    ("emr-containers", true, false),
    ("emr-serverless", true, false),
    ("events", false, true),
    ("glue", true, false),
    ("http", false, false),
    ("lambda", false, true),
    ("mediaconvert", true, false),
    ("sagemaker", true, false),
    ("sns", false, true),
    ("sqs", false, true),
    ("states", true, true),
];

impl Resource {
    /// As history events write it: `invoke.waitForTaskToken`.
    pub(crate) fn action_and_pattern(&self) -> String {
        format!("{}{}", self.action, self.pattern.suffix())
    }

    /// The service of an AWS SDK integration: `ssm`.
    pub fn sdk_service(&self) -> Option<&str> {
        self.service.strip_prefix("aws-sdk:")
    }

    /// The resource of an ARN `arn:aws:states:::…`.
    ///
    /// # Errors
    /// What is wrong with it, and what was expected.
    pub(crate) fn parse(arn: &str) -> Result<Self, String> {
        let name = arn
            .strip_prefix("arn:")
            .and_then(|arn| arn.split_once(":states:::"))
            .filter(|(partition, _)| ["aws", "aws-cn", "aws-us-gov"].contains(partition))
            .map(|(_, name)| name);
        let Some(name) = name else {
            let instead = if arn.contains(":lambda:") {
                "call the function by arn:aws:states:::lambda:invoke, with FunctionName in Arguments"
            } else {
                "expected arn:aws:states:::SERVICE:ACTION, such as arn:aws:states:::lambda:invoke"
            };
            return Err(format!("the resource '{arn}' cannot be played; {instead}"));
        };
        // `.sync:2` holds a colon, too.
        let (name, pattern) = [Pattern::Sync2, Pattern::Sync, Pattern::WaitForTaskToken]
            .into_iter()
            .find_map(|pattern| Some((name.strip_suffix(pattern.suffix())?, pattern)))
            .unwrap_or((name, Pattern::RequestResponse));
        let Some((service, action)) = name.rsplit_once(':').filter(|(service, action)| {
            let service = service.strip_prefix("aws-sdk:").unwrap_or(service);
            is_name(service) && is_name(action)
        }) else {
            return Err(format!(
                "'{arn}' names no integration; expected arn:aws:states:::SERVICE:ACTION or \
                 arn:aws:states:::aws-sdk:SERVICE:ACTION, and perhaps .sync or .waitForTaskToken"
            ));
        };
        let resource = Self {
            service: service.to_owned(),
            action: action.to_owned(),
            pattern,
        };
        resource.check().map(|()| resource)
    }

    fn check(&self) -> Result<(), String> {
        let service = self.service.as_str();
        let (sync, callback) = if self.sdk_service().is_some() {
            (false, true)
        } else if let Some((_, sync, callback)) = OPTIMIZED.iter().find(|(s, ..)| *s == service) {
            (*sync, *callback)
        } else {
            let known = OPTIMIZED.map(|(service, ..)| service);
            let hint = crate::nearest::hint(service, known);
            return Err(format!(
                "Step Functions has no optimized integration '{service}'{hint}; of any other service write \
                 arn:aws:states:::aws-sdk:SERVICE:ACTION"
            ));
        };
        let has = match self.pattern {
            Pattern::RequestResponse => true,
            Pattern::Sync | Pattern::Sync2 => sync,
            Pattern::WaitForTaskToken => callback,
        };
        if has {
            Ok(())
        } else {
            let pattern = self.pattern.suffix();
            Err(format!("{service}:{} has no {pattern}", self.action))
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
