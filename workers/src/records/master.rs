//! What a launch says of rank 0: where a text names `{master_addr}`, it is filled in at every launch, because rank 0 may have
//! moved. And each launch says which attempt it is.

use super::launch::{ATTEMPT_VARIABLE, ContainerOverrides, LaunchSpec, Overrides};

/// Stands for the address of rank 0's instance, in values of the environment and in words of the command.
pub const MASTER: &str = "{master_addr}";

/// "A total of 8192 characters are allowed for overrides. This limit includes the JSON formatting characters of the override
/// structure." (API_TaskOverride)
const MOST_CHARACTERS: usize = 8192;

impl LaunchSpec {
    /// True when the rank is to be told the address of rank 0.
    pub fn names_master(&self) -> bool {
        let containers = self.containers();
        containers.iter().any(|container| {
            let values = container.environment.iter().map(|(_, value)| value);
            values
                .chain(&container.command)
                .any(|text| text.contains(MASTER))
        })
    }

    /// As ECS describes the task, but with what the launcher has left open.
    pub fn left_open_as(self, recorded: Option<Self>) -> Self {
        match recorded {
            Some(recorded) if recorded.names_master() => Self {
                overrides: recorded.overrides,
                ..self
            },
            _ => self,
        }
    }

    /// As the rank is started in this attempt.
    pub fn filled_in(&self, attempt: u32, master: Option<&str>) -> Self {
        let mut filled = self.clone();
        if let Some(master) = master {
            for container in filled.containers_mut() {
                let values = container.environment.iter_mut().map(|(_, value)| value);
                for text in values.chain(&mut container.command) {
                    *text = text.replace(MASTER, master);
                }
            }
        }
        let without = filled.clone();
        for container in filled.containers_mut() {
            container
                .environment
                .retain(|(name, _)| name != ATTEMPT_VARIABLE);
            let attempt = (ATTEMPT_VARIABLE.to_owned(), attempt.to_string());
            container.environment.push(attempt);
        }
        // Better started without it than not at all.
        match filled.characters() <= MOST_CHARACTERS {
            true => filled,
            false => without,
        }
    }

    fn containers(&self) -> &[ContainerOverrides] {
        let overrides = self.overrides.as_ref();
        overrides.map_or(&[], |overrides| &overrides.container_overrides)
    }

    fn containers_mut(&mut self) -> impl Iterator<Item = &mut ContainerOverrides> {
        let overrides = self.overrides.iter_mut();
        overrides.flat_map(|overrides| &mut overrides.container_overrides)
    }

    /// At most so many characters as ECS counts them, which writes a variable as an object where this crate writes a pair.
    fn characters(&self) -> usize {
        const MORE: usize = r#"{"name":,"value":}"#.len();
        let text = self
            .overrides
            .as_ref()
            .map(serde_json::to_string::<Overrides>);
        let variables: usize = self.containers().iter().map(|c| c.environment.len()).sum();
        text.and_then(Result::ok).map_or(0, |text| text.len()) + MORE * variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(environment: &[(&str, &str)], command: &[&str]) -> LaunchSpec {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        LaunchSpec {
            overrides: Some(Overrides {
                container_overrides: vec![ContainerOverrides {
                    name: "trainer".into(),
                    environment: environment.iter().map(own).collect(),
                    command: command.iter().map(|word| (*word).to_owned()).collect(),
                    ..ContainerOverrides::default()
                }],
                ..Overrides::default()
            }),
            ..LaunchSpec::default()
        }
    }

    #[test]
    fn every_launch_is_told_where_rank_0_is_and_which_attempt_it_is() {
        let open = spec(
            &[
                ("PEER", "tcp://{master_addr}:1"),
                ("GPU_RECOVERY_ATTEMPT", "1"),
            ],
            &["--master", "{master_addr}"],
        );
        assert!(open.names_master());
        let filled = open.filled_in(2, Some("10.0.0.7"));
        let expected = spec(
            &[("PEER", "tcp://10.0.0.7:1"), ("GPU_RECOVERY_ATTEMPT", "2")],
            &["--master", "10.0.0.7"],
        );
        assert_eq!(filled, expected);
        assert!(!filled.names_master());
    }

    #[test]
    fn what_the_launcher_left_open_stays_open_and_all_else_is_as_ecs_tells() {
        let open = spec(&[("MASTER_ADDR", MASTER)], &[]);
        let described = LaunchSpec {
            task_definition: "train:7".into(),
            ..open.filled_in(1, Some("10.0.0.7"))
        };
        let kept = described.clone().left_open_as(Some(open.clone()));
        assert_eq!(kept.overrides, open.overrides);
        assert_eq!(kept.task_definition, "train:7");
        assert_eq!(described.clone().left_open_as(None), described);
        let closed = spec(&[("RANK", "0")], &[]);
        assert_eq!(described.clone().left_open_as(Some(closed)), described);
    }

    #[test]
    fn overrides_that_are_nearly_too_long_are_not_made_longer() {
        let long = "x".repeat(MOST_CHARACTERS);
        let most = |spare: usize| spec(&[("A", &long[spare..])], &[]);
        let overhead = most(0).characters() - MOST_CHARACTERS;
        let full = most(overhead + 10);
        assert_eq!(full.filled_in(2, None), full);
        let shorter = most(overhead + 100);
        assert_ne!(shorter.filled_in(2, None), shorter);
    }
}
