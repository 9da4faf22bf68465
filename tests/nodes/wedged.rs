//! What hangs so that nothing ends it: a wedged driver, a dead disk. A frozen file system makes such processes.

use crate::node::{BOOT, Node};
use std::{path::PathBuf, process::Command, time::Duration};

/// A mounted file system; undone when dropped.
struct Mount(PathBuf);

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .output()
        .is_ok_and(|output| output.status.success())
}

impl Mount {
    /// A small ext4 in a file, or nothing where this machine does not let us (no root, no loop device).
    fn ext4(node: &Node) -> Option<Self> {
        let image = node.file("image", "");
        std::fs::File::options()
            .write(true)
            .open(&image)
            .unwrap()
            .set_len(16 << 20)
            .unwrap();
        let image = image.to_str().unwrap().to_owned();
        let folder = node.folder.join("mount");
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = run("mkfs.ext4", &["-q", &image])
            && run("mount", &["-o", "loop", &image, folder.to_str().unwrap()]);
        if !mounted {
            eprintln!("SKIPPED: needs root, mkfs.ext4 and a loop device");
        }
        mounted.then_some(Self(folder))
    }

    fn freeze(&self) {
        assert!(run("fsfreeze", &["-f", self.0.to_str().unwrap()]));
    }

    fn read_only(&self) {
        assert!(run(
            "mount",
            &["-o", "remount,ro", self.0.to_str().unwrap()]
        ));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let folder = self.0.to_str().unwrap();
        run("fsfreeze", &["-u", folder]);
        // What was left behind needs a moment to end.
        for _ in 0..50 {
            if run("umount", &[folder]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{folder} stays mounted");
    }
}

/// Field case 09: `timeout 20 nvidia-smi` never comes back from uninterruptible sleep.
#[test]
fn both_scripts_end_although_nvidia_smi_hangs_in_uninterruptible_sleep() {
    let node = Node::new();
    let Some(mount) = Mount::ext4(&node) else {
        return;
    };
    node.program("nvidia-smi", &format!("exec touch {}/x", mount.0.display()));
    node.ring(&[
        (0.0, "Linux"),
        (
            89_990.0,
            "NVRM: Xid (PCI:0000:18:00): 119, pid=7, name=python, Timeout",
        ),
    ]);
    mount.freeze();
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.gpus.as_str(), report.held.as_str()),
        (("reset", "xid119"), "?:-", "none")
    );
    let said = node.reboot(BOOT);
    assert_eq!(said.code, Some(194), "{said:?}");
    assert!(said.took < Duration::from_secs(60), "{said:?}");
}

#[test]
fn a_log_reader_in_uninterruptible_sleep_is_left_behind() {
    let node = Node::new();
    let Some(mount) = Mount::ext4(&node) else {
        return;
    };
    node.program("journalctl", &format!("exec touch {}/x", mount.0.display()));
    node.ring(&[
        (0.0, "Linux"),
        (89_990.0, "NVRM: Xid (PCI:0000:18:00): 48, x"),
    ]);
    mount.freeze();
    let report = node.probe(60).report();
    assert_eq!(
        (report.verdict(), report.log.as_str()),
        (("reset", "xid48"), "full")
    );
}

/// A disk that died takes with it whatever has to be read from it.
#[test]
fn with_every_program_hanging_the_probe_still_answers() {
    let node = Node::new();
    let Some(mount) = Mount::ext4(&node) else {
        return;
    };
    for program in [
        "nvidia-smi",
        "journalctl",
        "dmesg",
        "docker",
        "find",
        "timeout",
        "awk",
        "grep",
        "sort",
        "sha256sum",
        "head",
        "sed",
    ] {
        node.program(program, &format!("exec touch {}/x", mount.0.display()));
    }
    mount.freeze();
    let report = node.probe(60).report();
    assert_eq!(
        (report.boot.as_str(), report.verdict()),
        (BOOT, ("inspect", "hung"))
    );
    assert_eq!(
        (
            report.gpus.as_str(),
            report.log.as_str(),
            report.held.as_str()
        ),
        ("?:-", "none", "?")
    );
}

/// Neither script writes anything, nor does bash for them.
#[test]
fn a_read_only_disk_changes_nothing() {
    let node = Node::new();
    let Some(mount) = Mount::ext4(&node) else {
        return;
    };
    mount.read_only();
    let folder = mount.0.display();
    let text = |name: &str, parameter: &str, value: &str| {
        format!(
            "cd {folder} && TMPDIR={folder} && {}",
            crate::node::substituted(name, parameter, value)
        )
    };
    node.ring(&[
        (0.0, "Linux"),
        (89_990.0, "NVRM: Xid (PCI:0000:18:00): 48, x"),
    ]);
    let report = node
        .run(&text("probe.sh", "AttemptSeconds", "60"), &[])
        .report();
    assert_eq!(
        (report.verdict(), report.log.as_str(), report.held.as_str()),
        (("reset", "xid48"), "full", "none")
    );
    assert_eq!(report.gpus, "2:96a1860f094d");
    let order = text("reboot.sh", "BootId", BOOT).replace("{{ UntilUptime }}", "90300");
    assert_eq!(node.run(&order, &[]).code, Some(194));
}
