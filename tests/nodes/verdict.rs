//! The health check beside reports of every DCGM, made after what each version's source prints: 3.1 and 3.2
//! (`dcgmi/Diag.cpp` of v3.2.6), 3.3 (v3.3.9), 4.x (`dcgm_diag_schema.json` of v4.6.0).

use crate::{
    health_check::{FAULTY, HEALTHY, MISCONFIGURED, NO_ANSWER, NO_REBOOT_HELPS, judged},
    report::*,
};
use serde_json::Value;

#[test]
fn a_pass_is_healthy_in_every_version() {
    for (version, report) in [
        ("4.6.0", V4.report(&[])),
        ("4.0.0", V4.report(&[])),
        ("3.3.9", V3_3.report(&[])),
        ("3.2.6", V3_2.report(&[])),
    ] {
        let (code, line) = judged(version, 0, &report);
        assert_eq!(code, HEALTHY, "{version}: {line}");
        assert_eq!(
            (&line["verdict"], &line["gpus"], &line["driver"]),
            (&"healthy".into(), &8.into(), &"580.159.04".into()),
            "{version}"
        );
        assert_eq!(line["errors"], Value::Array(vec![]));
    }
}

/// What dcgmi ends with is the same for most of them; what they mean is not.
#[test]
fn an_error_means_what_its_id_means() {
    for (errors, exit, expected) in [
        (vec![MONITOR], 226, HEALTHY),
        (vec![PERSISTENCE], 226, HEALTHY),
        (vec![PERSISTENCE, MONITOR], 226, HEALTHY),
        (vec![CONFIG], 226, MISCONFIGURED),
        (vec![CONFIG, MONITOR], 226, MISCONFIGURED),
        (vec![REBOOT], 205, FAULTY),
        (vec![UNCONTAINED], 205, FAULTY),
        (vec![OFF_THE_BUS], 205, FAULTY),
        (vec![RESET], 226, FAULTY),
        (vec![FAULTY_MEMORY], 205, NO_REBOOT_HELPS),
        (vec![UNKNOWN], 226, NO_ANSWER),
        // Several: the one that asks for most.
        (vec![CONFIG, REBOOT, MONITOR], 205, FAULTY),
        (vec![RESET, FAULTY_MEMORY, REBOOT], 205, NO_REBOOT_HELPS),
        (vec![UNKNOWN, RESET], 226, FAULTY),
        (vec![UNKNOWN, CONFIG], 226, NO_ANSWER),
    ] {
        for (version, report) in [
            ("4.5.2", V4.report(&errors)),
            ("3.3.1", V3_3.first_report(&errors)),
            ("3.3.9", V3_3.report(&errors)),
        ] {
            let (code, line) = judged(version, exit, &report);
            assert_eq!(code, expected, "{version}: {line}");
            for error in &errors {
                let text = error.text.replace('"', "'");
                assert!(
                    line["errors"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .any(|told| told["text"] == text),
                    "{line}"
                );
            }
            assert_eq!(
                line["errors"].as_array().unwrap().len(),
                errors.len(),
                "each once: {line}"
            );
        }
    }
}

#[test]
fn the_line_has_ids_severities_gpus_and_versions() {
    let (_, line) = judged("4.5.2", 205, &V4.report(&[REBOOT, CONFIG]));
    assert_eq!(line["dcgm"], "4.5.2");
    assert_eq!(line["dcgmi_exit"], "205");
    assert_eq!(line["level"], "2");
    assert_eq!((&line["passed"], &line["failed"]), (&14.into(), &2.into()));
    let error = &line["errors"][1];
    assert_eq!(
        (&error["id"], &error["severity"], &error["category"]),
        (&"126".into(), &"ISOLATE".into(), &"15".into())
    );
    assert_eq!(
        (&error["gpu"], &error["test"], &error["means"]),
        (&"5".into(), &"software".into(), &"faulty".into())
    );
    assert_eq!(error["text"], REBOOT.text);
    assert_eq!(line["errors"][0]["text"], CONFIG.text.replace('"', "'"));
}

/// The same number is MONITOR in DCGM 3.3 and ISOLATE in 3.2, which does not print it: the id decides.
#[test]
fn dcgm_3_2_is_read_by_its_ids() {
    for (error, exit, expected) in [
        (MONITOR, 226, HEALTHY),
        (PERSISTENCE, 205, HEALTHY),
        (UNCONTAINED, 205, FAULTY),
        (FAULTY_MEMORY, 205, NO_REBOOT_HELPS),
    ] {
        let (code, line) = judged("3.2.6", exit, &V3_2.report(&[error]));
        assert_eq!(code, expected, "{line}");
        assert_eq!(line["errors"][0]["severity"], "");
    }
}

/// 3.1 prints no ids, and no version before 3.3 does for the software tests.
#[test]
fn without_ids_the_bare_exit_code_has_to_do() {
    let text = |text| Error {
        id: -1,
        text,
        ..MONITOR
    };
    let unnamed = V3_2.report(&[text("API call nvmlDeviceGetHandle failed")]);
    assert_eq!(judged("3.1.8", 226, &unnamed).0, FAULTY);
    assert_eq!(judged("3.1.8", 205, &unnamed).0, FAULTY);
    let nameless = V4.report(&[Error {
        id: 0,
        severity: 0,
        ..MONITOR
    }]);
    assert_eq!(
        judged("4.5.2", 226, &nameless).0,
        FAULTY,
        "id 0 names nothing"
    );
    let persistence = V3_2.report(&[text("Persistence mode for GPU 0 is currently disabled.")]);
    assert_eq!(
        judged("3.1.8", 205, &persistence).0,
        HEALTHY,
        "known by its words"
    );
}

/// DCGM 3.3 shows warnings of a passed test as Fail with error 0, and ends with 0.
#[test]
fn a_warning_without_a_code_is_a_note() {
    let warning = Error {
        id: 0,
        severity: 0,
        ..PERSISTENCE
    };
    let (code, line) = judged("3.3.9", 0, &V3_3.report(&[warning]));
    assert_eq!(
        (code, &line["why"]),
        (HEALTHY, &"dcgmi diag passed, with notes".into())
    );
}

#[test]
fn an_error_newer_than_the_table_goes_by_its_severity() {
    for (severity, expected) in [
        (1, HEALTHY),
        (2, FAULTY),
        (3, NO_ANSWER),
        (4, FAULTY),
        (5, MISCONFIGURED),
        (6, FAULTY),
        (9, NO_ANSWER),
    ] {
        let (code, line) = judged(
            "5.0.0",
            226,
            &V4.report(&[Error {
                id: 999,
                severity,
                ..MONITOR
            }]),
        );
        assert_eq!(code, expected, "{line}");
    }
}

/// dcgmi itself does not count what is no GPU and no software: it ends with 0.
#[test]
fn an_error_of_a_cpu_is_a_note() {
    let (code, line) = judged("4.5.2", 0, &V4.report_of_a_cpu(&FAULTY_MEMORY));
    assert_eq!(code, HEALTHY, "{line}");
    assert_eq!(line["errors"][0]["means"], "healthy");
}

#[test]
fn a_diagnosis_that_could_not_do_its_work_is_no_answer() {
    for (version, code, expected) in [
        ("4.5.2", 226, NO_ANSWER),
        ("3.3.9", 253, NO_ANSWER),
        ("4.5.2", 238, FAULTY),
        ("4.5.2", 199, FAULTY),
    ] {
        let root = if version < "4" {
            "DCGM GPU Diagnostic"
        } else {
            "DCGM Diagnostic"
        };
        let report = styled(
            &serde_json::json!({ root: { "runtime_error": "Error: \"system\" errors", "version": version } }),
        );
        let (ended, line) = judged(version, code, &report);
        assert_eq!(ended, expected, "{line}");
        assert!(
            line["why"].as_str().unwrap().contains("'system' errors"),
            "{line}"
        );
    }
}

#[test]
fn a_report_behind_other_lines_is_found() {
    let (code, _) = judged(
        "4.5.2",
        205,
        &format!(
            "Successfully ran diagnostic for group.\n{}\nbye\n",
            V4.report(&[REBOOT])
        ),
    );
    assert_eq!(code, FAULTY);
}

#[test]
fn a_check_in_which_no_test_ran_proves_nothing() {
    let (code, line) = judged("4.5.2", 0, &V4.report(&[]).replace("\"Pass\"", "\"Skip\""));
    assert_eq!((code, &line["why"]), (NO_ANSWER, &"no test has run".into()));
}

#[test]
fn many_errors_stay_one_short_line() {
    let errors: Vec<Error> = (0..200).map(|gpu| Error { gpu, ..RESET }).collect();
    let (code, line) = judged("4.5.2", 226, &V4.report(&errors));
    assert_eq!(
        (
            code,
            line["errors"].as_array().unwrap().len(),
            &line["more_errors"]
        ),
        (FAULTY, 32, &168.into())
    );
    assert!(line.to_string().len() < 16 * 1024);
}
