//! Who holds a GPU: found in /proc, without asking the driver.

use crate::node::Node;

const CONTAINER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const SESSION: &str = "/user.slice/user-1000.slice/session-3.scope";

/// Where ECS's containers stand: cgroup v2 with systemd (Amazon Linux 2023), cgroup v1 (Amazon Linux 2, ECS Anywhere).
fn container_cgroups() -> [String; 2] {
    [
        format!("/ecstasks.slice/ecstasks-0f0f.slice/docker-{CONTAINER}.scope"),
        format!("/ecs/0f0f0f0f/{CONTAINER}"),
    ]
}

fn held(prepare: impl Fn(&Node)) -> String {
    let node = Node::new();
    prepare(&node);
    node.probe(60).report().held
}

#[test]
fn a_process_of_a_running_container_is_a_tasks() {
    for cgroup in container_cgroups() {
        let held = held(|node| {
            node.containers(&[CONTAINER]);
            node.process(
                7,
                "python",
                &cgroup,
                None,
                &[
                    "/dev/null",
                    "/dev/nvidiactl",
                    "/dev/nvidia-uvm",
                    "/dev/nvidia0",
                ],
            );
        });
        assert_eq!(held, "task", "{cgroup}");
    }
}

#[test]
fn a_process_of_a_container_that_is_over_is_an_orphan() {
    for cgroup in container_cgroups() {
        let held = held(|node| {
            node.containers(&["ff".repeat(32).as_str()]);
            node.process(7, "python", &cgroup, None, &["/dev/nvidia0"]);
        });
        assert_eq!(held, "orphan", "{cgroup}");
    }
}

/// It may be a running one: nobody is called over on a guess.
#[test]
fn without_docker_nobody_is_an_orphan() {
    for docker in ["exit 1", "exec sleep 60"] {
        let held = held(|node| {
            node.program("docker", docker);
            node.process(
                7,
                "python",
                &container_cgroups()[0],
                None,
                &["/dev/nvidia0"],
            );
        });
        assert_eq!(held, "task", "{docker}");
    }
}

#[test]
fn a_process_of_somebodys_session_is_a_login() {
    for (cgroup, login) in [
        (SESSION, Some(1_000)),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/tmux.scope",
            Some(1_000),
        ),
        // Without systemd-logind the audit login id tells, and it outlives the session.
        ("/system.slice/sshd.service", Some(1_000)),
        ("/system.slice/crond.service", Some(0)),
        // SSM Session Manager is no login to the system.
        ("/system.slice/amazon-ssm-agent.service", None),
        (
            "/system.slice/snap.amazon-ssm-agent.amazon-ssm-agent.service",
            None,
        ),
    ] {
        assert_eq!(
            held(|node| node.process(7, "python", cgroup, login, &["/dev/nvidia1"])),
            "login",
            "{cgroup}"
        );
    }
}

#[test]
fn services_of_the_system_hold_nothing_of_anybodys() {
    let held = held(|node| {
        node.process(
            7,
            "nvidia-persiste",
            "/system.slice/nvidia-persistenced.service",
            None,
            &["/dev/nvidia0", "/dev/nvidia1"],
        );
        node.process(
            8,
            "nv-hostengine",
            "/system.slice/nvidia-dcgm.service",
            None,
            &["/dev/nvidia0", "/dev/nvidia-uvm"],
        );
    });
    assert_eq!(held, "none");
}

/// An operator's `nvidia-smi` looks; one that a probe had to leave behind hangs. Neither is work.
#[test]
fn nvidia_smi_is_nobodys_work() {
    let held_by = |open: &[&str]| {
        held(|node| {
            node.process(7, "nvidia-smi", SESSION, Some(1_000), open);
            node.process(
                8,
                "nvidia-smi",
                "/system.slice/amazon-ssm-agent.service",
                None,
                &["/dev/nvidiactl", "/dev/nvidia0"],
            );
        })
    };
    assert_eq!(held_by(&["/dev/nvidiactl", "/dev/nvidia0"]), "none");
    assert_eq!(
        held_by(&["/dev/nvidia-uvm", "/dev/nvidia0"]),
        "login",
        "one that computes only calls itself so"
    );
}

#[test]
fn the_one_who_forbids_most_is_told() {
    let held = held(|node| {
        node.containers(&[]);
        node.process(
            7,
            "python",
            &container_cgroups()[0],
            None,
            &["/dev/nvidia0"],
        );
        node.process(8, "python", SESSION, Some(1_000), &["/dev/nvidia0"]);
        node.process(
            9,
            "python",
            &container_cgroups()[1],
            None,
            &["/dev/nvidia0"],
        );
    });
    assert_eq!(held, "login");
}

#[test]
fn files_that_only_look_like_a_gpu_are_none() {
    let held = held(|node| {
        node.process(
            7,
            "python",
            SESSION,
            Some(1_000),
            &["/home/ubuntu/dev/nvidia0", "/dev/nvidiactl", "socket:[1]"],
        );
    });
    assert_eq!(held, "none");
}

#[test]
fn a_hostile_name_is_one_word() {
    let node = Node::new();
    node.process(
        7,
        "a\nend 0 0\n$(x)",
        SESSION,
        Some(1_000),
        &["/dev/nvidia0"],
    );
    assert_eq!(node.probe(60).report().held, "login");
}
