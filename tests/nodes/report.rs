//! Reports of `dcgmi diag -j` in the shapes of its versions, printed as JsonCpp prints them.

use serde_json::{Map, Value, json};

/// An error on a GPU; a negative id is one that the version does not print.
#[derive(Clone, Copy)]
pub struct Error {
    pub id: i32,
    pub severity: u32,
    pub category: u32,
    pub gpu: u32,
    pub text: &'static str,
}

pub const MONITOR: Error = Error {
    id: 10,
    severity: 1,
    category: 9,
    gpu: 3,
    text: "Detected clocks event due to thermal violation in GPU 3.",
};
pub const CONFIG: Error = Error {
    id: 28,
    severity: 5,
    category: 6,
    gpu: 0,
    text: "Environment variable CUDA_VISIBLE_DEVICES hurts \"CUDA\".",
};
pub const PERSISTENCE: Error = Error {
    id: 29,
    severity: 5,
    category: 8,
    gpu: 1,
    text: "Persistence mode for GPU 1 is disabled.",
};
pub const REBOOT: Error = Error {
    id: 126,
    severity: 2,
    category: 15,
    gpu: 5,
    text: "GPU 5 fault may have left the OS in an inconsistent state. Recovery action: 2 (NODE_REBOOT).",
};
pub const UNCONTAINED: Error = Error {
    id: 81,
    severity: 2,
    category: 5,
    gpu: 2,
    text: "GPU had an uncontained error (XID 95)",
};
pub const OFF_THE_BUS: Error = Error {
    id: 120,
    severity: 2,
    category: 15,
    gpu: 7,
    text: "GPU 7 has fallen off the bus",
};
pub const FAULTY_MEMORY: Error = Error {
    id: 52,
    severity: 2,
    category: 10,
    gpu: 4,
    text: "Found 12 faulty memory elements on GPU 4",
};
pub const RESET: Error = Error {
    id: 85,
    severity: 6,
    category: 10,
    gpu: 6,
    text: "GPU 6 has uncorrectable memory errors and row remappings are pending",
};
pub const UNKNOWN: Error = Error {
    id: 1,
    severity: 3,
    category: 0,
    gpu: 6,
    text: "Unknown error.",
};

pub struct V3_2;
pub struct V3_3;
pub struct V4;

const GPUS: u32 = 8;

impl V4 {
    /// `testing/python3/dcgm_diag_schema.json`: a result for each entity, and all errors again in the test's summary.
    pub fn report(&self, errors: &[Error]) -> String {
        styled(&Self::value(errors, 1))
    }

    /// A passed check of the GPUs beside a failed one of a CPU.
    pub fn report_of_a_cpu(&self, error: &Error) -> String {
        let mut report = Self::value(&[], 1);
        let failed = Self::value(&[*error], 7);
        let test = failed["DCGM Diagnostic"]["test_categories"][0]["tests"][0].clone();
        report["DCGM Diagnostic"]["test_categories"][1]["tests"]
            .as_array_mut()
            .unwrap()
            .push(test);
        styled(&report)
    }

    fn value(errors: &[Error], group: u32) -> Value {
        let warning = |error: &Error| json!({"error_category": error.category, "error_id": error.id, "error_severity": error.severity, "warning": error.text});
        let last = errors
            .iter()
            .map(|error| error.gpu + 1)
            .max()
            .unwrap_or(0)
            .max(GPUS);
        let results: Vec<Value> = (0..last)
            .map(|gpu| {
                let warnings: Vec<Value> = errors.iter().filter(|error| error.gpu == gpu).map(warning).collect();
                let mut result = json!({"entity_group": "GPU", "entity_group_id": group, "entity_id": gpu, "status": status(warnings.is_empty())});
                if !warnings.is_empty() {
                    result["warnings"] = warnings.into();
                }
                result
            })
            .collect();
        let mut summary = json!({"status": status(errors.is_empty())});
        if !errors.is_empty() {
            summary["warnings"] = errors.iter().map(warning).collect();
        }
        let passed: Vec<Value> = (0..GPUS)
            .map(|gpu| json!({"entity_group": "GPU", "entity_group_id": 1, "entity_id": gpu, "info": ["GPU to Host bandwidth: 25.1 GB/s"], "status": "Pass"}))
            .collect();
        json!({
            "DCGM Diagnostic": {"test_categories": [
                {"category": if group == 1 { "Deployment" } else { "Hardware" }, "tests": [{"name": "software", "results": results, "test_summary": summary}]},
                {"category": "Integration", "tests": [{"name": "pcie", "results": passed, "test_summary": {"status": "Pass"}}]},
            ]},
            "entity_groups": [{"entities": (0..GPUS).map(|gpu| json!({"device_id": "2330", "entity_id": gpu, "serial_num": "1"})).collect::<Vec<_>>(), "entity_group": "GPU", "entity_group_id": 1}],
            "metadata": {"Driver Version Detected": "580.159.04", "version": "4.5.2"},
        })
    }
}

impl V3_3 {
    /// `HelperJsonAddBasicTests` and `HelperJsonAddResult` in `dcgmi/Diag.cpp` of v3.3.9: the text of a software test's
    /// warning stands under `warnings`, and an empty slot before it is null.
    pub fn report(&self, errors: &[Error]) -> String {
        Self::styled(
            errors,
            |error| json!([{"gpu_id": error.gpu, "status": "Fail", "warnings": [null, Self::warning(error, "warnings")]}]),
        )
    }

    /// v3.3.1: the warning of a software test is the result itself.
    pub fn first_report(&self, errors: &[Error]) -> String {
        Self::styled(errors, |error| {
            let mut result = Self::warning(error, "warnings");
            result["status"] = "Fail".into();
            json!([result])
        })
    }

    fn warning(error: &Error, text: &str) -> Value {
        json!({"error_category": error.category, "error_id": error.id, "error_severity": error.severity, text: error.text})
    }

    /// Errors of memory (category 10) are found by a test of the GPUs, all others by the software tests.
    fn styled(errors: &[Error], results: impl Fn(&Error) -> Value) -> String {
        let (memory, software): (Vec<&Error>, Vec<&Error>) =
            errors.iter().partition(|error| error.category == 10);
        let software: Vec<Value> = software
            .iter()
            .map(|error| json!({"name": "Environmental Variables", "results": results(error)}))
            .chain([json!({"name": "Denylist", "results": [{"status": "Pass"}]})])
            .collect();
        let memory: Vec<Value> = (0..GPUS)
            .map(|gpu| {
                let warnings: Vec<Value> = memory
                    .iter()
                    .filter(|error| error.gpu == gpu)
                    .map(|error| Self::warning(error, "warning"))
                    .collect();
                let mut result = json!({"gpu_id": gpu.to_string(), "info": "Allocated 80 GB", "status": status(warnings.is_empty())});
                if !warnings.is_empty() {
                    result["warnings"] = warnings.into();
                }
                result
            })
            .collect();
        styled(&json!({
            "DCGM GPU Diagnostic": {"test_categories": [
                {"category": "Deployment", "tests": software},
                {"category": "Hardware", "tests": [{"name": "GPU Memory", "results": memory}]},
            ]},
            "Driver Version Detected": "580.159.04",
            "GPU Device IDs": ["2330"],
            "GPU Device Serials": {"0": "1"},
            "version": "3.3.9",
        }))
    }
}

impl V3_2 {
    /// v3.2.6: a result has one error, as a text with the id beside it.
    pub fn report(&self, errors: &[Error]) -> String {
        let memory: Vec<Value> = (0..GPUS)
            .map(|gpu| match errors.iter().find(|error| error.gpu == gpu) {
                None => json!({"gpu_ids": gpu.to_string(), "status": "Pass"}),
                Some(error) if error.id < 0 => json!({"gpu_ids": gpu.to_string(), "status": "Fail", "warnings": error.text}),
                Some(error) => json!({"error_id": error.id, "gpu_ids": gpu.to_string(), "status": "Fail", "warnings": error.text}),
            })
            .collect();
        styled(&json!({
            "DCGM GPU Diagnostic": {"test_categories": [
                {"category": "Deployment", "tests": [{"name": "Denylist", "results": [{"status": "Pass"}]}]},
                {"category": "Hardware", "tests": [{"name": "GPU Memory", "results": memory}]},
            ]},
            "Driver Version Detected": "580.159.04",
            "GPU Device IDs": ["2330"],
            "version": "3.2.6",
        }))
    }
}

fn status(passed: bool) -> &'static str {
    if passed { "Pass" } else { "Fail" }
}

/// `Json::Value::toStyledString`: a blank before the colon, tabs, members in the order of their names.
pub fn styled(value: &Value) -> String {
    fn write(value: &Value, depth: usize, text: &mut String) {
        let tabs = "\t".repeat(depth + 1);
        let close = "\t".repeat(depth);
        match value {
            Value::Object(members) if !members.is_empty() => {
                let sorted: std::collections::BTreeMap<_, _> = Map::iter(members).collect();
                *text += "{\n";
                for (number, (key, member)) in sorted.iter().enumerate() {
                    *text += if number > 0 { ",\n" } else { "" };
                    *text += &format!("{tabs}{} : ", json!(key));
                    if member.is_object() || member.is_array() {
                        *text += &format!("\n{tabs}");
                    }
                    write(member, depth + 1, text);
                }
                *text += &format!("\n{close}}}");
            }
            Value::Array(items) if !items.is_empty() => {
                *text += "[\n";
                for (number, item) in items.iter().enumerate() {
                    *text += if number > 0 { ",\n" } else { "" };
                    *text += &tabs;
                    write(item, depth + 1, text);
                }
                *text += &format!("\n{close}]");
            }
            other => *text += &other.to_string(),
        }
    }
    let mut text = String::new();
    write(value, 0, &mut text);
    text + "\n"
}
