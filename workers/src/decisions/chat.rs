//! The same message for a chat channel, Slack or Microsoft Teams: a custom notification of Amazon Q Developer in chat
//! applications. Any other text that is published to such a channel's topic is not delivered.

use super::message::{Message, sections};
use serde_json::{Value, json};

/// AWS documents no bounds of the texts; so much is read in a chat, and Slack shows it unfolded.
const DESCRIPTION_CHARACTERS: usize = 3000;
const STEP_CHARACTERS: usize = 300;
const STEPS: usize = 5;

/// The notification (administrator guide, custom-notifs, "Event schema"). Messages of one job share a thread.
pub fn notification(message: &Message) -> Value {
    let attribute = |name: &str| {
        let mut all = message.attributes.iter();
        let found = all.find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    };
    let (headline, sections) = sections(&message.body);
    let mut description = headline.to_owned();
    let mut steps = Vec::new();
    for (heading, lines) in sections {
        if heading == "What to do next" {
            let first = lines.into_iter().take(STEPS);
            steps.extend(first.map(|line| cut(line, STEP_CHARACTERS)));
        } else {
            description += &format!("\n\n*{heading}*\n{}", lines.join("\n"));
        }
    }
    let title = message.subject.trim_start_matches("[gpu-recovery] ");
    let thread = attribute("job_id").or(attribute("execution"));
    let keywords: Vec<&str> = ["severity", "cluster"]
        .into_iter()
        .filter_map(attribute)
        .collect();
    let mut notification = json!({
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": cut(&description, DESCRIPTION_CHARACTERS),
            "nextSteps": steps,
            "keywords": keywords,
        },
        "metadata": {
            "threadId": thread.unwrap_or("gpu-recovery"),
            "summary": title,
            "eventType": attribute("event").unwrap_or("GpuRecovery"),
        },
    });
    let related: Vec<&str> = attribute("execution").into_iter().collect();
    if !related.is_empty() {
        notification["metadata"]["relatedResources"] = json!(related);
    }
    notification
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decisions::message::Body;

    /// What the administrator guide (custom-notifs, "Event schema" and "Parameter details") says of a notification.
    fn documented() -> jsonschema::Validator {
        let text = json!({ "type": "string", "minLength": 1 });
        let texts = json!({ "type": "array", "items": text });
        let object = |members: Value, required: &[&str]| {
            json!({
                "type": "object", "properties": members, "required": required, "additionalProperties": false,
            })
        };
        let content = object(
            json!({
                "textType": { "const": "client-markdown" }, "title": text, "description": text,
                "nextSteps": texts, "keywords": texts,
            }),
            &["description"],
        );
        let metadata = object(
            json!({
                "threadId": text, "summary": text, "eventType": text, "relatedResources": texts,
                "additionalContext": { "type": "object", "additionalProperties": text },
            }),
            &[],
        );
        let schema = object(
            json!({
                "version": { "const": "1.0" }, "source": { "const": "custom" }, "id": text,
                "content": content, "metadata": metadata,
            }),
            &["version", "source", "content"],
        );
        jsonschema::validator_for(&schema).unwrap()
    }

    fn message(body: Body, attributes: &[(&'static str, &str)]) -> Message {
        Message {
            subject: "[gpu-recovery] FAILED llama-7b: rank 3, no GPU fault found".into(),
            body: body.finish(),
            attributes: attributes
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        }
    }

    fn fits(notification: &Value) {
        let schema = documented();
        let wrong: Vec<String> = schema
            .iter_errors(notification)
            .map(|e| e.to_string())
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}: {notification:#}");
    }

    #[test]
    fn a_message_reads_in_a_chat_as_in_a_mail_in_the_documented_schema() {
        let mut body = Body::new("Job llama-7b is FAILED: no GPU fault found.");
        body.section(
            "What happened",
            &["rank 3 ended".into(), "Task: arn".into()],
        );
        body.section(
            "What to do next",
            &["Read the log.".into(), "Start it again.".into()],
        );
        let attributes = [
            ("event", "JobFailed"),
            ("severity", "error"),
            ("job_id", "llama-7b"),
            ("cluster", "training"),
            (
                "execution",
                "arn:aws:states:us-east-1:123456789012:execution:gpu-recovery:e-1",
            ),
        ];
        let said = notification(&message(body, &attributes));
        fits(&said);
        assert_eq!(
            said["content"],
            json!({
                "textType": "client-markdown",
                "title": "FAILED llama-7b: rank 3, no GPU fault found",
                "description": "Job llama-7b is FAILED: no GPU fault found.\n\n*What happened*\nrank 3 ended\nTask: arn",
                "nextSteps": ["Read the log.", "Start it again."],
                "keywords": ["error", "training"],
            })
        );
        assert_eq!(said["metadata"]["threadId"], "llama-7b");
        assert_eq!(said["metadata"]["eventType"], "JobFailed");
    }

    #[test]
    fn a_message_of_no_job_and_a_very_long_one_fit_too() {
        let bare = notification(&message(Body::new("Nothing is known."), &[]));
        fits(&bare);
        let mut body = Body::new("Job x is FAILED.");
        let lines = vec!["ü".repeat(2000); 20];
        body.section("What the check found", &lines);
        body.section("What to do next", &lines);
        let long = notification(&message(body, &[]));
        fits(&long);
        assert!(
            long.to_string().len() < 16 * 1024,
            "{}",
            long.to_string().len()
        );
        assert_eq!(
            long["content"]["nextSteps"].as_array().unwrap().len(),
            STEPS
        );
    }
}
