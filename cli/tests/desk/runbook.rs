//! The runbook, as it is printed.

use super::*;

/// The runbook's blocks of commands, each with the world that the comment before it names.
fn runbook() -> Vec<(String, Vec<String>)> {
    let text = include_str!("../../../docs/runbook.md");
    let mut blocks = Vec::new();
    let mut world = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.strip_prefix("<!-- simulated: ") {
            world = named.strip_suffix(" -->");
        } else if line == "```sh" {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let commands = block
                .filter(|line| line.starts_with("gpu-recovery "))
                .map(str::to_owned)
                .collect();
            let world = world.take().expect("each block names its world");
            blocks.push((world.to_owned(), commands));
        }
    }
    blocks
}

/// The words of a command line: single and double quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![];
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in line.chars() {
        match (letter, quote) {
            (letter, Some(open)) if letter == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (letter, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

impl World {
    /// After a recovery whose operators were told what the check of such GPUs led to, and its execution.
    async fn told_of(health: GpuHealth) -> (Self, String) {
        let world = Self::new().await;
        world.cloud.fleet.set_gpu_health(BAD, health);
        world
            .until(|world| world.history_has("NotifyOperators"))
            .await;
        world.pass(60).await;
        let execution = world.recovery().arn;
        (world, execution)
    }
}

#[tokio::test(start_paused = true)]
async fn every_command_of_the_runbook_does_what_it_says() {
    let blocks = runbook();
    assert!(blocks.len() >= 8, "{blocks:?}");
    let directory = std::env::temp_dir();
    for (name, commands) in blocks {
        let (world, execution) = match name.as_str() {
            "aborted" => World::aborted().await,
            "running" => (World::new().await, String::new()),
            "recovering" => {
                let world = World::new().await;
                world
                    .until(|world| world.history_has("WaitForInstanceActive"))
                    .await;
                let execution = world.recovery().arn;
                (world, execution)
            }
            "failed" => World::told_of(GpuHealth::Healthy).await,
            "quarantined" => World::told_of(GpuHealth::Isolate).await,
            "idle" => {
                let world = World::new().await;
                for nth in 2..4 {
                    let id = format!("i-0f3a9c5d7e{nth:07x}");
                    world.cloud.fleet.add_instance(NewInstance::p5(&id));
                }
                (world, String::new())
            }
            other => panic!("the runbook names an unknown world: {other}"),
        };
        for command in commands {
            let expected = command.split("# exits ").nth(1);
            let expected = expected.and_then(|rest| rest.split(' ').next()?.parse().ok());
            let line: Vec<String> = words(&command)
                .into_iter()
                .skip(1)
                .map(|word| word.replace("$EXECUTION", &execution))
                .map(
                    |word| match word.ends_with(".svg") || word.ends_with(".png") {
                        true => directory.join(&word).display().to_string(),
                        false => word,
                    },
                )
                .collect();
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            if line.contains(&"check") {
                // The GPU was replaced.
                world.cloud.fleet.set_gpu_health(BAD, GpuHealth::Healthy);
            }
            let (code, written) = world.run(&line).await;
            assert_eq!(code, expected.unwrap_or(0), "{name}: {command}: {written}");
            world.pass(30).await;
        }
    }
}
