//! States with flows inside: Map and Parallel.

use super::{
    super::{
        analysis::Available,
        fields::Fields,
        model::{Exit, Flow, Kind, Map, Next, Parallel},
        template::Template,
    },
    flow,
    states::StateReader,
};
use serde_json::Value;

impl StateReader<'_, '_> {
    pub(super) fn map(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Map",
            &[
                "Items",
                "ItemSelector",
                "MaxConcurrency",
                "ToleratedFailureCount",
                "ToleratedFailurePercentage",
                "ItemProcessor",
                "Retry",
                "Catch",
                "Assign",
                "Output",
                "Next",
                "End",
            ],
        );
        let items = self.fields.template("Items", available, self.notes);
        if let Some(Template::Literal(value)) = &items
            && !value.is_array()
        {
            self.notes.error(
                self.fields.at("Items"),
                "Items must be an array or JSONata; objects are for distributed Maps",
            );
        }
        let selecting = Available {
            map_item: true,
            ..available
        };
        let item_selector = self.fields.template("ItemSelector", selecting, self.notes);
        let max_concurrency = self
            .fields
            .seconds("MaxConcurrency", 0, available, self.notes);
        for field in ["ToleratedFailureCount", "ToleratedFailurePercentage"] {
            let tolerated = self.fields.template(field, available, self.notes);
            if tolerated.is_some() {
                let message = format!(
                    "{field} counts in distributed Maps only; here one failure fails the Map"
                );
                self.notes.warn(self.fields.at(field), message);
            }
        }
        let processor = self.processor();
        let (exit, handling) = self.handled(available);
        let next = self.next(&exit)?;
        let map = Map {
            items,
            item_selector,
            max_concurrency,
            processor: processor?,
            handling,
        };
        Some((Kind::Map(Box::new(map)), exit, Some(next)))
    }

    fn processor(&mut self) -> Option<Flow> {
        const FIELD: &str = "ItemProcessor";
        let pointer = self.fields.at(FIELD);
        let Some(members) = self.fields.members.get(FIELD).and_then(Value::as_object) else {
            self.notes.error(
                self.fields.pointer,
                "the field ItemProcessor is required, an object",
            );
            return None;
        };
        let fields = Fields::new(members, &pointer, "");
        fields.only(
            &["ProcessorConfig", "StartAt", "States", "Comment"],
            FIELD,
            self.notes,
        );
        if let Some(config) = members.get("ProcessorConfig") {
            let pointer = fields.at("ProcessorConfig");
            let inline = config.as_object().is_some_and(|config| {
                config.keys().all(|field| field == "Mode")
                    && config.get("Mode").is_none_or(|mode| mode == "INLINE")
            });
            if !inline {
                self.notes
                    .error(pointer, "only {\"Mode\": \"INLINE\"} is simulated");
            }
        }
        let (flow, facts) = flow(members, &pointer, true, self.notes);
        self.facts.inner.push(facts);
        flow
    }

    pub(super) fn parallel(&mut self, available: Available) -> Option<(Kind, Exit, Option<Next>)> {
        self.only(
            "Parallel",
            &[
                "Arguments",
                "Branches",
                "Retry",
                "Catch",
                "Assign",
                "Output",
                "Next",
                "End",
            ],
        );
        let arguments = self.fields.template("Arguments", available, self.notes);
        let pointer = self.fields.at("Branches");
        let list = self
            .fields
            .members
            .get("Branches")
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty());
        let mut branches = Vec::new();
        match list {
            None => self
                .notes
                .error(self.fields.pointer, "Branches must be a non-empty array"),
            Some(list) => {
                for (index, branch) in list.iter().enumerate() {
                    branches.push(self.branch(branch, &format!("{pointer}/{index}")));
                }
            }
        }
        let (exit, handling) = self.handled(available);
        let next = self.next(&exit)?;
        let branches: Option<Vec<Flow>> = branches.into_iter().collect();
        let parallel = Parallel {
            arguments,
            branches: branches?,
            handling,
        };
        list.map(|_| (Kind::Parallel(Box::new(parallel)), exit, Some(next)))
    }

    fn branch(&mut self, branch: &Value, pointer: &str) -> Option<Flow> {
        let Some(members) = branch.as_object() else {
            self.notes.error(pointer, "a branch must be an object");
            return None;
        };
        Fields::new(members, pointer, "").only(
            &["StartAt", "States", "Comment"],
            "a branch",
            self.notes,
        );
        let (flow, facts) = flow(members, pointer, self.in_map, self.notes);
        self.facts.inner.push(facts);
        flow
    }
}
