//! Files that commands read and write. Every error names the file and says what is wrong with it.

use crate::{Failure, output};
use serde::Serialize;
use serde_json::Value;
use std::{fs, io::Read, path::Path};

/// `-`, standard input or output.
pub fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// As errors name it.
pub fn name(file: &Path) -> String {
    if is_standard(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

/// Reads a text.
pub fn read(file: &Path) -> Result<String, Failure> {
    let text = if is_standard(file) {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(file)
    };
    text.map_err(|error| Failure::BadInput(format!("{}: {}", name(file), plain(&error))))
}

/// Without the operating system's error number.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Reads JSON.
pub fn json(file: &Path) -> Result<Value, Failure> {
    let text = read(file)?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::BadInput(format!("{}: no JSON: {error}", name(file))))
}

/// Refuses early a file that cannot be written.
pub fn writable(file: Option<&Path>) -> Result<(), Failure> {
    match file.filter(|file| !is_standard(file)) {
        Some(file) => fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(file)
            .map(drop)
            .map_err(|error| not_written(file, &error)),
        None => Ok(()),
    }
}

/// Writes JSON to a file or standard output.
pub fn write(file: &Path, value: &Value) -> Result<(), Failure> {
    write_text(file, &pretty(value)?)
}

/// Writes a text and a line's end to a file or standard output.
pub fn write_text(file: &Path, text: &str) -> Result<(), Failure> {
    if is_standard(file) {
        output::raw(text);
        return Ok(());
    }
    fs::write(file, format!("{text}\n")).map_err(|error| not_written(file, &error))
}

/// Writes bytes, and nothing else, to a file or standard output.
pub fn write_bytes(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_standard(file) {
        output::bytes(bytes);
        return Ok(());
    }
    fs::write(file, bytes).map_err(|error| not_written(file, &error))
}

fn not_written(file: &Path, error: &std::io::Error) -> Failure {
    Failure::BadInput(format!(
        "{} cannot be written: {}",
        file.display(),
        plain(error)
    ))
}

/// JSON for people and programs.
pub fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::Broken(error.to_string()))
}
