//! Which spare takes which rank.

use crate::{
    aws::{address::ADDRESS, marks::attribute},
    ids::{ContainerInstanceArn, InstanceId},
};
use aws_sdk_ecs::types::{ContainerInstance, Resource};
use std::collections::BTreeMap;

/// A spare, as ECS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub instance: InstanceId,
    pub arn: ContainerInstanceArn,
    /// No task holds a GPU of it.
    pub all_free: bool,
    /// When its last health check ended, RFC 3339.
    pub checked_at: Option<String>,
    pub like: Wanted,
}

/// What a node must be like to replace another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    gpus: usize,
    attributes: BTreeMap<String, String>,
    /// The others are told where it is.
    reachable: bool,
}

impl Node {
    /// `None` for one that ECS does not name.
    pub fn of(arn: ContainerInstanceArn, instance: &ContainerInstance) -> Option<Self> {
        let like = Wanted::like(Some(instance));
        Some(Self {
            instance: instance.ec2_instance_id().map(InstanceId::new)?,
            all_free: like.gpus > 0 && gpus(instance.remaining_resources()) == like.gpus,
            arn,
            checked_at: None,
            like,
        })
    }
}

impl Wanted {
    /// As this node is; of one that ECS does not know any more nothing is known, and nothing fits.
    pub fn like(instance: Option<&ContainerInstance>) -> Self {
        let Some(instance) = instance else {
            return Self::default();
        };
        let attributes = instance.attributes().iter();
        let named = attributes.map(|a| a.name());
        let valued =
            named.filter_map(|name| Some((name.to_owned(), attribute(instance, name)?.to_owned())));
        Self {
            gpus: gpus(instance.registered_resources()),
            attributes: valued.collect(),
            reachable: false,
        }
    }

    /// The same, and its address must be known.
    pub fn reachable(self) -> Self {
        Self {
            reachable: true,
            ..self
        }
    }

    /// An attribute that both lack is not equal.
    fn fits(&self, spare: &Self, names: &[String]) -> bool {
        let equal = |name: &String| {
            let own = self.attributes.get(name);
            own.is_some() && own == spare.attributes.get(name)
        };
        let found = !self.reachable || spare.attributes.contains_key(ADDRESS);
        found && self.gpus > 0 && self.gpus == spare.gpus && names.iter().all(equal)
    }
}

/// A spare for each, the one that was checked last first; `None` when there are not enough that fit. Nodes that fit one
/// another are alike in all that counts, so that taking the first never takes another's only one.
pub fn assign<'a>(wanted: &[Wanted], free: &'a [Node], names: &[String]) -> Option<Vec<&'a Node>> {
    let mut left: Vec<&Node> = free.iter().filter(|node| node.all_free).collect();
    left.sort_by(|a, b| (&b.checked_at, &a.instance).cmp(&(&a.checked_at, &b.instance)));
    let mut take = |wanted: &Wanted| {
        let first = left
            .iter()
            .position(|node| wanted.fits(&node.like, names))?;
        Some(left.remove(first))
    };
    wanted.iter().map(&mut take).collect()
}

fn gpus(resources: &[Resource]) -> usize {
    let gpus = resources
        .iter()
        .find(|resource| resource.name() == Some("GPU"));
    gpus.map_or(0, |gpus| gpus.string_set_value().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(gpus: usize, kind: Option<&str>) -> Wanted {
        let attributes = kind.map(|kind| ("ecs.instance-type".to_owned(), kind.to_owned()));
        Wanted {
            gpus,
            attributes: attributes.into_iter().collect(),
            reachable: false,
        }
    }

    fn spare(nth: u8, checked: u8, like: Wanted) -> Node {
        Node {
            instance: InstanceId::new(format!("i-0000000{nth}")),
            arn: ContainerInstanceArn::new(""),
            all_free: true,
            checked_at: Some(format!("2026-01-0{checked}T00:00:00Z")),
            like,
        }
    }

    fn chosen(wanted: &[Wanted], free: &[Node]) -> Option<Vec<String>> {
        let names = ["ecs.instance-type".to_owned()];
        let chosen = assign(wanted, free, &names)?;
        Some(
            chosen
                .iter()
                .map(|node| node.instance.to_string())
                .collect(),
        )
    }

    #[test]
    fn the_spare_that_was_checked_last_comes_first_and_each_is_taken_once() {
        let p5 = || like(8, Some("p5"));
        let free = [spare(1, 3, p5()), spare(2, 5, p5()), spare(3, 4, p5())];
        let two = chosen(&[p5(), p5()], &free).unwrap();
        assert_eq!(two, ["i-00000002", "i-00000003"]);
        assert_eq!(chosen(&[p5(), p5(), p5(), p5()], &free), None);
    }

    #[test]
    fn a_spare_of_another_kind_or_size_or_of_no_known_kind_does_not_fit() {
        let free = [
            spare(1, 1, like(8, Some("p4d"))),
            spare(2, 1, like(4, Some("p5"))),
            spare(3, 1, like(8, None)),
        ];
        assert_eq!(chosen(&[like(8, Some("p5"))], &free), None);
        // What both lack is not equal.
        assert_eq!(chosen(&[like(8, None)], &free), None);
        // Of a node that ECS does not know any more nothing is known.
        assert_eq!(chosen(&[Wanted::default()], &free), None);
        assert!(assign(&[like(8, None)], &free, &[]).is_some());
    }

    #[test]
    fn rank_0_moves_only_to_a_spare_whose_address_is_known() {
        let p5 = || like(8, Some("p5"));
        let mut known = p5();
        known
            .attributes
            .insert(ADDRESS.to_owned(), "10.0.0.2".to_owned());
        let free = [spare(1, 5, p5()), spare(2, 3, known)];
        assert_eq!(chosen(&[p5().reachable()], &free[..1]), None);
        let both = chosen(&[p5().reachable(), p5()], &free).unwrap();
        assert_eq!(both, ["i-00000002", "i-00000001"]);
    }

    #[test]
    fn a_spare_on_which_a_task_holds_a_gpu_is_not_taken() {
        let busy = Node {
            all_free: false,
            ..spare(1, 1, like(8, Some("p5")))
        };
        assert_eq!(chosen(&[like(8, Some("p5"))], &[busy]), None);
    }
}
