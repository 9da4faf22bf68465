//! The cluster: what may end or replace its instances beside us, and whether the health check can run on each.

use super::Finding;
use crate::{
    Failure,
    account::{Desk, refused},
    commands::submit::pick,
    output::counted,
};
use aws_sdk_ecs::types::{
    AutoRepairActionsStatus, CapacityProvider, CapacityProviderType, Cluster, ContainerInstance,
    ContainerInstanceStatus, ManagedScalingStatus,
};
use std::collections::BTreeMap;

/// The cluster, its capacity providers, the health check's task definition, and the instances.
pub async fn cluster(desk: &Desk, task: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    match capacity(desk).await {
        Ok(findings) => found.extend(findings),
        Err(error) => found.push(Finding::bad(error.to_string(), "check --cluster")),
    }
    let definition = match pick::definition(desk, task).await {
        Ok(definition) => Some(definition),
        Err(error) => {
            let fix = "give --dcgm-task, or let the template register it";
            found.push(Finding::bad(error.to_string(), fix));
            None
        }
    };
    let active = Some(ContainerInstanceStatus::Active);
    let instances = match desk.container_instances(active).await {
        Ok(instances) => instances.into_values().collect::<Vec<_>>(),
        Err(error) => {
            found.push(Finding::bad(error.to_string(), "check --cluster"));
            return found;
        }
    };
    if instances.is_empty() {
        let cluster = &desk.context.settings.cluster;
        found.push(Finding::look(
            format!("the cluster {cluster} has no ACTIVE instance"),
            "check --cluster; without instances nothing can be checked here",
        ));
        return found;
    }
    if let Some(definition) = definition {
        found.push(fits(task, definition.gpus, &instances));
        found.push(places(task, &definition.requires, &instances));
    }
    found.push(agents(&instances));
    found.extend(versions(&instances));
    found.extend(hybrid(&instances));
    found
}

async fn capacity(desk: &Desk) -> Result<Vec<Finding>, Failure> {
    let name = &desk.context.settings.cluster;
    let answer = desk.ecs.describe_clusters().clusters(name).send().await;
    let answer = answer.map_err(refused("ecs:DescribeClusters", name))?;
    let Some(cluster) = answer.clusters().first() else {
        return Ok(vec![Finding::bad(
            format!("ECS does not know the cluster {name}"),
            "check --cluster, the region and the account",
        )]);
    };
    let names = cluster.capacity_providers();
    let mut providers = Vec::new();
    // Ten are described a call (API reference, DescribeCapacityProviders).
    for some in names.chunks(10) {
        let answer = desk
            .ecs
            .describe_capacity_providers()
            .set_capacity_providers(Some(some.to_vec()))
            .send()
            .await
            .map_err(refused("ecs:DescribeCapacityProviders", name))?;
        providers.extend(answer.capacity_providers.unwrap_or_default());
    }
    Ok(judged(cluster, &providers))
}

/// What ends instances by itself (ECS developer guide, managed-scaling-behavior; API reference,
/// AutoRepairConfiguration).
fn judged(cluster: &Cluster, providers: &[CapacityProvider]) -> Vec<Finding> {
    let mut found = Vec::new();
    if cluster.status() != Some("ACTIVE") {
        let status = cluster.status().unwrap_or("without a status");
        found.push(Finding::bad(
            format!("the cluster is {status}, not ACTIVE"),
            "no task can be started on it",
        ));
    }
    for provider in providers {
        let name = provider.name().unwrap_or("without a name");
        if provider.r#type() == Some(&CapacityProviderType::ManagedInstances)
            || provider.managed_instances_provider().is_some()
        {
            found.push(managed_instances(name, provider));
        }
        let scaling = provider
            .auto_scaling_group_provider()
            .and_then(|group| group.managed_scaling()?.status());
        if scaling == Some(&ManagedScalingStatus::Enabled) {
            found.push(Finding::bad(
                format!(
                    "managed scaling of the capacity provider {name} is on: while a recovery has stopped a job its \
                     instances are idle, and ECS ends idle instances"
                ),
                format!(
                    "aws ecs update-capacity-provider --name {name} --auto-scaling-group-provider \
                     'managedScaling={{status=DISABLED}}', and keep the group at a fixed size"
                ),
            ));
        }
    }
    let strategy = cluster.default_capacity_provider_strategy();
    if !strategy.is_empty() {
        let names: Vec<&str> = strategy.iter().map(|s| s.capacity_provider()).collect();
        found.push(Finding::look(
            format!(
                "the cluster's default strategy is {}: a job that is started by it is relaunched by a launch type, which \
                 managed scaling does not count",
                few(&names)
            ),
            "fine with a group of a fixed size",
        ));
    }
    if found.is_empty() {
        found.push(Finding::well(
            "no capacity provider of the cluster scales or repairs its instances",
        ));
    }
    found
}

fn managed_instances(name: &str, provider: &CapacityProvider) -> Finding {
    let repairs = provider
        .managed_instances_provider()
        .and_then(|managed| managed.auto_repair_configuration()?.actions_status());
    let repair = match repairs {
        Some(AutoRepairActionsStatus::Disabled) => "its auto repair is off",
        _ => "its auto repair replaces what we reboot",
    };
    Finding::bad(
        format!(
            "the capacity provider {name} has ECS Managed Instances: {repair}, its tasks need a capacity provider \
             strategy, and RunTask is called with a launch type here"
        ),
        "keep jobs that are to be recovered on instances of an Auto Scaling group or on hybrid nodes",
    )
}

fn ids<'a>(instances: impl Iterator<Item = &'a ContainerInstance>) -> Vec<&'a str> {
    instances.filter_map(|i| i.ec2_instance_id()).collect()
}

fn fits(task: &str, gpus: usize, instances: &[ContainerInstance]) -> Finding {
    if gpus == 0 {
        return Finding::look(
            format!("{task} asks for no GPU, so ECS may run it beside a task that uses them"),
            "let it ask for all GPUs of an instance",
        );
    }
    let others = instances
        .iter()
        .filter(|instance| pick::gpus(instance.registered_resources()) != gpus);
    let others = ids(others);
    if others.is_empty() {
        let all = counted(instances.len() as u64, "instance");
        return Finding::well(format!("{task} fits the {all}: {gpus} GPUs each"));
    }
    Finding::bad(
        format!(
            "{task} asks for {gpus} GPUs; other numbers have {}",
            few(&others)
        ),
        "it must ask for all GPUs of an instance: a check that cannot be placed is inconclusive, and the job fails",
    )
}

/// ECS places a task only where the instance has every attribute that its definition requires (API reference,
/// TaskDefinition, requiresAttributes): a log driver, or that the log driver takes the task execution role.
fn places(task: &str, requires: &[String], instances: &[ContainerInstance]) -> Finding {
    for name in requires {
        let without = instances.iter().filter(|instance| {
            let mut attributes = instance.attributes().iter();
            !attributes.any(|attribute| attribute.name() == name)
        });
        let without = ids(without);
        if !without.is_empty() {
            return Finding::bad(
                format!(
                    "{task} cannot be placed on {}: no attribute {name}",
                    few(&without)
                ),
                "set what it stands for in /etc/ecs/ecs.config and restart the ECS agent: docs/deploy.md, \"The first hour\"",
            );
        }
    }
    Finding::well(format!(
        "the instances have all that ECS requires for {task}"
    ))
}

fn agents(instances: &[ContainerInstance]) -> Finding {
    let away = ids(instances.iter().filter(|i| !i.agent_connected()));
    if away.is_empty() {
        return Finding::well("every agent of the cluster is connected");
    }
    Finding::look(
        format!("agents are away: {}", few(&away)),
        "for a minute or two that is normal; then look at the host and its ECS agent",
    )
}

/// One finding when the instances' ECS agents differ.
fn versions(instances: &[ContainerInstance]) -> Option<Finding> {
    let mut by_version: BTreeMap<&str, u64> = BTreeMap::new();
    for instance in instances {
        let version = instance
            .version_info()
            .and_then(|info| info.agent_version());
        *by_version.entry(version.unwrap_or("unknown")).or_default() += 1;
    }
    if by_version.len() == 1 {
        return None;
    }
    let each: Vec<String> = by_version
        .iter()
        .map(|(version, number)| format!("{version} on {}", counted(*number, "instance")))
        .collect();
    Some(Finding::look(
        format!(
            "the ECS agents have different versions: {}",
            each.join(", ")
        ),
        "update the older ones: aws ecs update-container-agent, or a newer image",
    ))
}

fn hybrid(instances: &[ContainerInstance]) -> Option<Finding> {
    let external = ids(instances.iter().filter(|instance| {
        let id = instance.ec2_instance_id();
        id.is_some_and(|id| id.starts_with("mi-"))
    }));
    (!external.is_empty()).then(|| {
        Finding::look(
            format!(
                "hybrid nodes: {}; no page of AWS says that a task can be placed on one by its id, as is done here",
                few(&external)
            ),
            "try it first: docs/deploy.md, \"The first hour on a real account\"",
        )
    })
}

fn few(names: &[&str]) -> String {
    match names {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Level;
    use aws_sdk_ecs::types::{
        Attribute, AutoRepairConfiguration, CapacityProviderStrategyItem, ManagedInstancesProvider,
        VersionInfo,
    };

    fn instance(id: &str, agent: &str, attributes: &[&str]) -> ContainerInstance {
        let attributes = attributes
            .iter()
            .map(|name| Attribute::builder().name(*name).build().expect("a name"));
        ContainerInstance::builder()
            .ec2_instance_id(id)
            .version_info(VersionInfo::builder().agent_version(agent).build())
            .set_attributes(Some(attributes.collect()))
            .build()
    }

    #[test]
    fn an_instance_that_the_health_check_cannot_be_placed_on_is_named() {
        let role = "ecs.capability.execution-role-awslogs";
        let both = [
            instance("i-1", "1.99.0", &[role, "ecs.os-type"]),
            instance("i-2", "1.99.0", &["ecs.os-type"]),
        ];
        let found = places("dcgm", &[role.to_owned()], &both);
        assert_eq!(found.level, Level::Bad);
        assert_eq!(
            found.what,
            format!("dcgm cannot be placed on i-2: no attribute {role}")
        );
        let needs = ["ecs.os-type".to_owned()];
        assert_eq!(places("dcgm", &needs, &both).level, Level::Well);
    }

    #[test]
    fn agents_of_different_versions_are_counted() {
        let of = |versions: &[&str]| {
            let all = versions.iter().map(|v| instance("i-1", v, &[]));
            versions_of(&all.collect::<Vec<_>>())
        };
        assert_eq!(of(&["1.99.0", "1.99.0"]), None);
        let what =
            "the ECS agents have different versions: 1.80.0 on 1 instance, 1.99.0 on 2 instances";
        assert_eq!(of(&["1.99.0", "1.80.0", "1.99.0"]).as_deref(), Some(what));
    }

    fn versions_of(instances: &[ContainerInstance]) -> Option<String> {
        versions(instances).map(|finding| finding.what)
    }

    #[test]
    fn hybrid_nodes_are_said_to_be_untried() {
        assert!(hybrid(&[instance("i-1", "1", &[])]).is_none());
        let found = hybrid(&[instance("mi-1", "1", &[])]).expect("a finding");
        assert!(found.what.contains("mi-1"), "{}", found.what);
    }

    #[test]
    fn a_second_remediator_and_a_default_strategy_are_seen() {
        let strategy = CapacityProviderStrategyItem::builder()
            .capacity_provider("gpus")
            .build()
            .expect("a name");
        let cluster = Cluster::builder()
            .status("ACTIVE")
            .default_capacity_provider_strategy(strategy)
            .build();
        let provider = |repair| {
            let repair = AutoRepairConfiguration::builder().actions_status(repair);
            let managed = ManagedInstancesProvider::builder()
                .auto_repair_configuration(repair.build())
                .build();
            CapacityProvider::builder()
                .name("gpus")
                .managed_instances_provider(managed)
                .build()
        };
        for (repair, says) in [
            (AutoRepairActionsStatus::Enabled, "auto repair replaces"),
            (AutoRepairActionsStatus::Disabled, "auto repair is off"),
        ] {
            let found = judged(&cluster, &[provider(repair)]);
            assert_eq!([found[0].level, found[1].level], [Level::Bad, Level::Look]);
            assert!(found[0].what.contains(says), "{}", found[0].what);
        }
        let gone = Cluster::builder().status("INACTIVE").build();
        assert_eq!(judged(&gone, &[])[0].level, Level::Bad);
    }
}
