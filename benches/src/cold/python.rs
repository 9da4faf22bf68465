//! The Python function to compare with: boto3 in a virtual environment under target/.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const PINS: &str = "boto3==1.43.106";
const FUNCTION: &str = include_str!("function.py");

/// The interpreter and the function, installed at the first call.
///
/// # Errors
/// Why there is none, in plain words.
pub fn install(target: &Path) -> Result<(PathBuf, PathBuf), String> {
    let venv = target.join("bench-python");
    let python = venv.join("bin/python");
    let function = venv.join("function.py");
    let pins = venv.join("pins");
    if fs::read_to_string(&pins).is_ok_and(|text| text == PINS) {
        return fs::write(&function, FUNCTION)
            .map(|()| (python, function))
            .map_err(|e| e.to_string());
    }
    if !runs(Command::new("python3").arg("--version")) {
        return Err(
            "python3 is missing; to compare: apt-get install python3 python3-venv".to_owned(),
        );
    }
    if !runs(Command::new("python3").args(["-m", "venv"]).arg(&venv)) {
        return Err(
            "python3 cannot make a venv; to compare: apt-get install python3-venv".to_owned(),
        );
    }
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    if !runs(Command::new(&python).args(pip).arg(PINS)) {
        return Err(format!("pip could not install {PINS}"));
    }
    fs::write(&function, FUNCTION).map_err(|e| e.to_string())?;
    fs::write(&pins, PINS).map_err(|e| e.to_string())?;
    Ok((python, function))
}

fn runs(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// `Python 3.13.1`, or nothing.
pub fn version(python: &Path) -> String {
    let output = Command::new(python)
        .arg("--version")
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.unwrap_or_default()
}
