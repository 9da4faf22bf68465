//! The cluster query language, as far as placement constraints and filters here need it
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-query-language.html>).

use super::model::Instance;

/// A checked expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// It has the attribute, or has it not.
    Exists {
        attribute: String,
        negated: bool,
    },
    Test {
        subject: Subject,
        negated: bool,
        any_of: Vec<String>,
    },
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    Ec2InstanceId,
    AgentConnected,
    Attribute(String),
}

impl Expression {
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let mut words = words.iter().map(String::as_str).peekable();
        let expression = any(&mut words)?;
        match words.next() {
            None => Ok(expression),
            Some(word) => Err(format!("unexpected {word}")),
        }
    }

    /// The one instance that can match, when the expression pins to one.
    pub fn pinned(&self) -> Option<&str> {
        match self {
            Self::Test {
                subject: Subject::Ec2InstanceId,
                negated: false,
                any_of,
            } if any_of.len() == 1 => any_of.first().map(String::as_str),
            Self::All(all) => all.iter().find_map(Self::pinned),
            _ => None,
        }
    }

    pub fn matches(&self, instance: &Instance) -> bool {
        match self {
            Self::All(all) => all.iter().all(|e| e.matches(instance)),
            Self::Any(any) => any.iter().any(|e| e.matches(instance)),
            Self::Exists { attribute, negated } => {
                let mut all = instance.all_attributes().into_iter();
                all.any(|(name, _)| name == attribute) != *negated
            }
            Self::Test {
                subject,
                negated,
                any_of,
            } => {
                let value = match subject {
                    Subject::Ec2InstanceId => instance.id.as_str(),
                    Subject::AgentConnected if instance.agent_connected => "true",
                    Subject::AgentConnected => "false",
                    Subject::Attribute(attribute) => {
                        let mut all = instance.all_attributes().into_iter();
                        let found = all.find(|(name, _)| name == attribute);
                        found.and_then(|(_, value)| value).unwrap_or_default()
                    }
                };
                any_of.iter().any(|wanted| wanted == value) != *negated
            }
        }
    }
}

type Words<'a, I> = std::iter::Peekable<I>;

fn any<'a>(words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> Result<Expression, String> {
    let mut any_of = vec![all(words)?];
    while words.next_if(|w| matches!(*w, "or" | "||")).is_some() {
        any_of.push(all(words)?);
    }
    Ok(single_or(any_of, Expression::Any))
}

fn all<'a>(words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> Result<Expression, String> {
    let mut all_of = vec![test(words)?];
    while words.next_if(|w| matches!(*w, "and" | "&&")).is_some() {
        all_of.push(test(words)?);
    }
    Ok(single_or(all_of, Expression::All))
}

fn single_or(mut list: Vec<Expression>, wrap: fn(Vec<Expression>) -> Expression) -> Expression {
    if list.len() == 1 {
        list.remove(0)
    } else {
        wrap(list)
    }
}

fn test<'a>(words: &mut Words<'a, impl Iterator<Item = &'a str>>) -> Result<Expression, String> {
    let subject = match words.next() {
        Some("ec2InstanceId") => Subject::Ec2InstanceId,
        Some("agentConnected") => Subject::AgentConnected,
        Some(word) => match word.strip_prefix("attribute:") {
            Some(attribute) => Subject::Attribute(attribute.to_owned()),
            None => return Err(format!("unknown subject {word}")),
        },
        None => return Err("unknown subject (none)".to_owned()),
    };
    let operator = words.next().unwrap_or("(none)");
    if let ("exists" | "!exists" | "not_exists", Subject::Attribute(attribute)) =
        (operator, &subject)
    {
        return Ok(Expression::Exists {
            attribute: attribute.clone(),
            negated: operator != "exists",
        });
    }
    let negated = matches!(operator, "!=" | "not_equals" | "!in" | "not_in");
    let any_of = match operator {
        "==" | "equals" | "!=" | "not_equals" => {
            vec![words.next().ok_or("a value is missing")?.to_owned()]
        }
        "in" | "!in" | "not_in" => {
            if words.next() != Some("[") {
                return Err("in takes a list in brackets".to_owned());
            }
            let mut list = Vec::new();
            loop {
                match words.next().ok_or("the list is not closed")? {
                    "]" => break list,
                    "," => {}
                    value => list.push(value.to_owned()),
                }
            }
        }
        other => return Err(format!("unknown operator {other}")),
    };
    Ok(Expression::Test {
        subject,
        negated,
        any_of,
    })
}

/// Words, brackets and commas; quotes are taken off.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' | '"' => {
                let end = rest[1..].find(first).ok_or("a quote is not closed")?;
                words.push(rest[1..=end].to_owned());
                end + 2
            }
            '[' | ']' | ',' => {
                words.push(first.to_string());
                1
            }
            _ if ["==", "!=", "&&", "||"].iter().any(|o| rest.starts_with(o)) => {
                words.push(rest[..2].to_owned());
                2
            }
            _ => {
                let end = rest
                    .find(|c: char| {
                        c.is_whitespace()
                            || "[],'\"=&|".contains(c)
                            || (c == '!' && !rest.starts_with('!'))
                    })
                    .unwrap_or(rest.len());
                words.push(rest[..end.max(1)].to_owned());
                end.max(1)
            }
        };
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_found_and_nonsense_is_refused() {
        let pin = |text: &str| Expression::parse(text).unwrap().pinned().map(str::to_owned);
        assert_eq!(pin("ec2InstanceId == 'i-1'").as_deref(), Some("i-1"));
        assert_eq!(
            pin("ec2InstanceId==i-1 && agentConnected != false").as_deref(),
            Some("i-1")
        );
        assert_eq!(pin("ec2InstanceId == i-1 or ec2InstanceId == i-2"), None);
        assert_eq!(pin("ec2InstanceId in ['i-1', 'i-2']"), None);
        for wrong in [
            "",
            "moon == full",
            "ec2InstanceId ~ 'x'",
            "ec2InstanceId == 'x",
            "ec2InstanceId == x y",
        ] {
            assert!(Expression::parse(wrong).is_err(), "{wrong}");
        }
    }
}
