//! A GPU node in a folder: a tree to read in place of `/`, and stand-ins for the programs that the scripts ask.

use crate::said::Said;
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

pub const BOOT: &str = "4f3c2a1b-0d9e-4c7f-8a6b-5e4d3c2b1a09";
pub const EARLIER_BOOT: &str = "00000000-1111-2222-3333-444444444444";
/// Seconds since the boot, where a test does not say otherwise.
pub const UPTIME: u64 = 90_000;

/// Removed with everything in it when dropped.
pub struct Node {
    pub folder: PathBuf,
    /// Looked through before the stand-ins: for a test of its own programs.
    shell: &'static str,
}

/// The text of a script in `infra/nodes/`.
pub fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../infra/nodes")
        .join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether this machine has a program, which a test may be skipped for.
pub fn has(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

impl Node {
    /// Two GPUs, driver 580, no journal, an empty kernel buffer that reaches back to the boot, nobody on it.
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!(
            "node-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        ));
        let node = Self {
            folder,
            shell: "bash",
        };
        node.file("root/proc/sys/kernel/random/boot_id", &format!("{BOOT}\n"));
        node.file(
            "root/etc/passwd",
            "root:x:0:0::/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n",
        );
        node.uptime(UPTIME);
        node.answers(&[
            ("--query-gpu=uuid", 0, "GPU-11111111-1111-1111-1111-111111111111\nGPU-22222222-2222-2222-2222-222222222222"),
            ("--query-gpu=gpu_recovery_action", 0, "None\nNone"),
        ]);
        node.journal(&[]);
        node.ring(&[(0.0, "Linux version 6.1.0")]);
        node.containers(&[]);
        node
    }

    pub fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A program that the scripts find before the machine's own.
    pub fn program(&self, name: &str, body: &str) {
        let path = self.file(&format!("bin/{name}"), &format!("#!/bin/bash\n{body}\n"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn uptime(&self, seconds: u64) {
        self.file("root/proc/uptime", &format!("{seconds}.25 1000000.00\n"));
    }

    /// nvidia-smi: the first answer whose name is among the arguments; no answer is an unknown name (exit 2).
    pub fn answers(&self, answers: &[(&str, i32, &str)]) {
        let mut body = String::from("case \" $* \" in\n");
        for (number, (name, code, text)) in answers.iter().enumerate() {
            let path = self.file(&format!("smi/{number}"), &format!("{text}\n"));
            body += &format!(
                "*\" {name}\"[\\ ,]*) cat {}; exit {code} ;;\n",
                path.display()
            );
        }
        body += "*) echo 'Field is not a valid field to query.'; exit 2 ;;\nesac";
        self.program("nvidia-smi", &body);
    }

    /// dmesg: lines with their seconds since the boot.
    pub fn ring(&self, lines: &[(f64, &str)]) {
        let text: String = lines
            .iter()
            .map(|(at, text)| format!("[{at:12.6}] {text}\n"))
            .collect();
        self.kernel_buffer(&text);
    }

    /// dmesg, word for word.
    pub fn kernel_buffer(&self, text: &str) {
        let path = self.file("dmesg.txt", text);
        self.program(
            "dmesg",
            &format!("[ \"$*\" = --kernel ] || exit 1\ncat {}", path.display()),
        );
    }

    /// dmesg of somebody who may not read it (kernel.dmesg_restrict).
    pub fn ring_is_refused(&self) {
        self.program(
            "dmesg",
            "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1",
        );
    }

    /// journalctl over entries of (boot, transport, seconds ago, what follows the host's name), oldest first.
    pub fn journal(&self, entries: &[(&str, &str, u64, &str)]) {
        let now = now();
        let text: String = entries
            .iter()
            .map(|(boot, transport, ago, text)| {
                format!(
                    "{}\t{transport}\t{}.250000\t{text}\n",
                    boot.replace('-', ""),
                    now - ago
                )
            })
            .collect();
        let path = self.file("journal.tsv", &text);
        self.program(
            "journalctl",
            &JOURNALCTL.replace("JOURNAL", &path.display().to_string()),
        );
    }

    /// docker: the ids of the containers that run.
    pub fn containers(&self, ids: &[&str]) {
        let path = self.file(
            "docker.txt",
            &ids.iter().map(|id| format!("{id}\n")).collect::<String>(),
        );
        self.program(
            "docker",
            &format!(
                "[ \"$*\" = 'ps --quiet --no-trunc' ] || exit 1\ncat {}",
                path.display()
            ),
        );
    }

    /// A process with open files, as /proc shows it.
    pub fn process(&self, pid: u32, name: &str, cgroup: &str, login: Option<u32>, open: &[&str]) {
        let folder = format!("root/proc/{pid}");
        self.file(&format!("{folder}/comm"), &format!("{name}\n"));
        self.file(&format!("{folder}/cgroup"), &format!("0::{cgroup}\n"));
        self.file(
            &format!("{folder}/loginuid"),
            &login.unwrap_or(u32::MAX).to_string(),
        );
        let uid = login.unwrap_or(0);
        self.file(
            &format!("{folder}/status"),
            &format!("Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"),
        );
        let files = self.folder.join(folder).join("fd");
        fs::create_dir_all(&files).unwrap();
        for (number, target) in open.iter().enumerate() {
            symlink(target, files.join(number.to_string())).unwrap();
        }
    }

    /// The probe, as SSM runs it for an attempt that began so many seconds ago.
    pub fn probe(&self, since: u64) -> Said {
        self.run(
            &substituted("probe.sh", "AttemptSeconds", &since.to_string()),
            &[],
        )
    }

    /// The reboot order, as SSM runs it.
    pub fn reboot(&self, boot: &str) -> Said {
        self.reboot_until(boot, UPTIME + 300)
    }

    /// The same, good for the boot's first `until` seconds.
    pub fn reboot_until(&self, boot: &str, until: u64) -> Said {
        self.run(&order(boot, &until.to_string()), &[])
    }

    /// The health check, as its container runs it: level and bound in seconds.
    pub fn health_check(&self, level: &str, bound: &str) -> Said {
        self.run(&script("health-check.sh"), &[level, bound])
    }

    /// The same node, its scripts run by another shell.
    pub fn with_shell(mut self, shell: &'static str) -> Self {
        self.shell = shell;
        self
    }

    /// Runs a script and reads its output to the end, as SSM's agent does: one that leaves a process behind with
    /// its output open would never come back.
    pub fn run(&self, text: &str, arguments: &[&str]) -> Said {
        let path = self.file("_script.sh", text);
        let mut words = self.shell.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg(&path)
            .args(arguments)
            .env_clear()
            .env("PATH", self.path())
            .env("GPU_RECOVERY_ROOT", self.folder.join("root"))
            .env("TMPDIR", &self.folder)
            .stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().unwrap();
        Said {
            line: String::from_utf8_lossy(&output.stdout).into_owned(),
            code: output.status.code(),
            took: begin.elapsed(),
        }
    }

    fn path(&self) -> String {
        let machine = std::env::var("PATH").unwrap();
        format!("{}:{machine}", self.folder.join("bin").display())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The script of the reboot order with its two parameters.
pub fn order(boot: &str, until: &str) -> String {
    substituted("reboot.sh", "BootId", boot).replace("{{ UntilUptime }}", until)
}

/// A script with its parameter put in as SSM does it: as text.
pub fn substituted(name: &str, parameter: &str, value: &str) -> String {
    let text = script(name);
    let place = format!("{{{{ {parameter} }}}}");
    assert_eq!(
        text.matches(&place).count(),
        1,
        "{name} takes {parameter} once"
    );
    text.replace(&place, value)
}

/// Knows the options and matches that the probe uses, and refuses any other.
const JOURNALCTL: &str = r#"
since=0 until=99999999999 lines='' reverse='' transport='' boot=''
while [ $# -gt 0 ]; do
  case $1 in
    --quiet | --no-pager | --system) ;;
    --output) [ "$2" = short-unix ] || exit 1; shift ;;
    --since) since=${2#@}; shift ;;
    --until) until=${2#@}; shift ;;
    --lines) lines=$2; shift ;;
    --reverse) reverse=yes ;;
    _TRANSPORT=*) transport=${1#*=} ;;
    _BOOT_ID=*) boot=${1#*=} ;;
    *) echo "unknown: $1" >&2; exit 1 ;;
  esac
  shift
done
awk -F '\t' -v since="$since" -v until="$until" -v transport="$transport" -v boot="$boot" '
  (boot == "" || $1 == boot) && (transport == "" || $2 == transport) && $3 + 0 >= since + 0 && $3 + 0 <= until + 0 { print $3 " host " $4 }
' JOURNAL | if [ "$reverse" ]; then tac; else cat; fi | if [ "$lines" ]; then head -n "$lines"; else cat; fi
"#;
