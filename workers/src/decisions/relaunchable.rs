//! What RunTask was given (API_RunTask) and a relaunch cannot give again: ECS describes a task's overrides, tags, group and
//! execute command, but not its security groups and not its volumes' settings. Propagated tags are tags like any other then.

use aws_sdk_ecs::types::{Attachment, LaunchType, Task};

/// True for a task with a network interface of its own, whose security groups its launcher must keep.
pub fn is_awsvpc(task: &Task) -> bool {
    has(task, &["ElasticNetworkInterface", "eni"])
}

/// Why a task cannot be started again as it was started, with what to do about it.
pub fn hindrance(task: &Task) -> Option<String> {
    // API_Attachment: "such as ElasticNetworkInterface, Service Connect, and AmazonElasticBlockStorage".
    if let Some(ebs) = find(task, &["AmazonElasticBlockStorage"]) {
        let name = ebs.details().iter();
        let name = name
            .filter(|detail| detail.name() == Some("volumeName"))
            .find_map(|detail| detail.value());
        return Some(volume_at_launch(name.unwrap_or("of EBS")));
    }
    match task.launch_type() {
        Some(LaunchType::Ec2 | LaunchType::External) | None => None,
        Some(other) => Some(format!(
            "launch type {other}: a rank is relaunched on its own instance by launch type EC2 or EXTERNAL; start it on \
             instances of your own"
        )),
    }
}

/// A volume that the task definition leaves to RunTask.
pub fn volume_at_launch(name: &str) -> String {
    format!(
        "volume {name} is configured at launch (volumeConfigurations), and a relaunch cannot give its settings again; use \
         a volume that the task definition describes whole (host, Docker, EFS)"
    )
}

/// What a relaunch does in another way than the task was started, although it can.
pub fn difference(task: &Task) -> Option<String> {
    let provider = task.capacity_provider_name()?;
    Some(format!(
        "capacity provider {provider} started it; a relaunch starts it on the same instance by launch type, which managed \
         scaling does not count: keep managed scaling off, or managed termination protection on"
    ))
}

fn has(task: &Task, kinds: &[&str]) -> bool {
    find(task, kinds).is_some()
}

fn find<'a>(task: &'a Task, kinds: &[&str]) -> Option<&'a Attachment> {
    task.attachments().iter().find(|attachment| {
        attachment
            .r#type()
            .is_some_and(|kind| kinds.contains(&kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ecs::types::KeyValuePair;

    #[test]
    fn what_a_relaunch_cannot_give_again_is_named_with_its_field_and_the_fix() {
        let plain = Task::builder().launch_type(LaunchType::External);
        assert_eq!(hindrance(&plain.build()), None);
        let detail = KeyValuePair::builder()
            .name("volumeName")
            .value("scratch")
            .build();
        let ebs = Attachment::builder()
            .r#type("AmazonElasticBlockStorage")
            .details(detail)
            .build();
        let told = hindrance(&Task::builder().attachments(ebs).build()).unwrap();
        assert!(
            told.contains("volume scratch is configured at launch (volumeConfigurations)")
                && told.contains("(host, Docker, EFS)"),
            "{told}"
        );
        let managed = Task::builder().launch_type(LaunchType::ManagedInstances);
        let told = hindrance(&managed.build()).unwrap();
        assert!(told.contains("launch type MANAGED_INSTANCES"), "{told}");
    }

    #[test]
    fn a_capacity_provider_is_a_difference_and_no_hindrance() {
        let task = Task::builder()
            .launch_type(LaunchType::Ec2)
            .capacity_provider_name("p5")
            .build();
        assert_eq!(hindrance(&task), None);
        let told = difference(&task).unwrap();
        assert!(
            told.starts_with("capacity provider p5 started it"),
            "{told}"
        );
        assert_eq!(difference(&Task::builder().build()), None);
    }
}
