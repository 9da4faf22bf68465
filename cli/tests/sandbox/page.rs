//! The page at `/`, and what a browser follows it by.

use super::*;
use ::sandbox::patch::merge;
use serde_json::json;
use std::{io::Write, net::TcpStream};

/// A connection that has asked for this.
fn ask(port: u16, method: &str, path: &str, more: &str, body: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let patience = Duration::from_secs(10);
    stream.set_read_timeout(Some(patience)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    BufReader::new(stream)
}

/// The status line.
fn status(port: u16, method: &str, path: &str, more: &str, body: &str) -> String {
    let mut line = String::new();
    ask(port, method, path, more, body)
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

/// Someone who follows it, and the scene as they know it.
struct Watcher {
    lines: std::io::Lines<BufReader<TcpStream>>,
    scene: Value,
}

impl Watcher {
    fn of(sandbox: &Sandbox) -> Self {
        let lines = ask(sandbox.port(), "GET", "/_sandbox/events", "", "").lines();
        Self {
            lines,
            scene: json!({}),
        }
    }

    /// The next event.
    fn next(&mut self) {
        loop {
            let line = self.lines.next().expect("it goes on").expect("in time");
            if let Some(data) = line.strip_prefix("data: ") {
                merge(&mut self.scene, &serde_json::from_str(data).unwrap());
                return;
            }
        }
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Value) -> bool) {
        for _ in 0..600 {
            if is_so(&self.scene) {
                return;
            }
            self.next();
        }
        panic!("never {what}: {}", self.scene);
    }
}

#[test]
fn a_recovery_is_followed_from_the_broken_gpu_to_the_message() {
    let sandbox = Sandbox::start(&["--nodes", "3", "--speed", "600"]);
    let mut watcher = Watcher::of(&sandbox);
    watcher.next();
    assert_eq!(watcher.scene["nodes"].as_object().unwrap().len(), 3);
    assert_eq!(watcher.scene["jobs"]["llama-7b"]["status"], "IN_PROGRESS");
    // The records say that the ranks run before ECS does.
    watcher.until("all run", |scene| {
        scene["time"]["now"].as_f64() > Some(120.0)
    });
    // As the page sends it.
    let line = json!(["break-gpu", "1"]).to_string();
    let own = format!(
        "Origin: http://127.0.0.1:{}\r\nSec-Fetch-Site: same-origin\r\n",
        sandbox.port()
    );
    let done = status(sandbox.port(), "POST", "/_sandbox/do", &own, &line);
    assert_eq!(done, "HTTP/1.1 200 OK");
    let node = |scene: &Value| scene["nodes"]["i-0f3a9c5d7e0000001"]["status"].clone();
    watcher.until("rebooting", |scene| node(scene) == "REBOOTING");
    watcher.until("a message", |scene| scene["messages"]["0"].is_object());
    watcher.until("in use", |scene| node(scene) == "IN_PROGRESS");
    watcher.until("ended", |scene| {
        let executions = scene["executions"].as_object().unwrap();
        executions.values().any(|execution| {
            let visits = execution["visits"].as_object().unwrap();
            execution["status"] == "SUCCEEDED"
                && visits.values().any(|visit| visit["s"] == "RelaunchJob")
        })
    });
    // The next who comes sees it too.
    let mut late = Watcher::of(&sandbox);
    late.until("the same", |scene| {
        scene["executions"] == watcher.scene["executions"]
    });
}

#[test]
fn what_happens_fast_on_64_nodes_comes_within_a_second_and_goes_on_coming() {
    let sandbox = Sandbox::start(&["--nodes", "64", "--speed", "600"]);
    let begun = Instant::now();
    let mut watcher = Watcher::of(&sandbox);
    watcher.next();
    let first = begun.elapsed();
    assert!(first < Duration::from_secs(1), "{first:?}");
    sandbox.well(&["sandbox", "do", "break-gpu", "9"]);
    let from = watcher.scene["time"]["now"].as_f64().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        watcher.next();
    }
    // What it shows is of now: nothing has piled up on the way.
    let shown = watcher.scene["time"]["now"].as_f64().unwrap();
    let time = sandbox.well(&["sandbox", "time"]);
    assert!(shown > from + 60.0, "{from} to {shown}: {time}");
}

#[test]
fn pages_of_others_can_neither_read_it_nor_make_anything_happen() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "2"]);
    let port = sandbox.port();
    let line = json!(["break-gpu", "1"]).to_string();
    for more in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        for (method, path, body) in [
            ("POST", "/_sandbox/do", line.as_str()),
            ("POST", "/_sandbox/time", r#"{"turn":"step"}"#),
            ("GET", "/_sandbox/events", ""),
        ] {
            let refused = status(port, method, path, more, body);
            assert_eq!(refused, "HTTP/1.1 403 Forbidden", "{more} {path}");
        }
    }
    let status_of = sandbox.well(&["status"]);
    assert!(status_of.contains("IN_PROGRESS"), "{status_of}");
    // Of the page itself a browser is told to lay it under no other, and to load nothing.
    let mut page = String::new();
    let lines = ask(port, "GET", "/", "Connection: close\r\n", "").read_to_string(&mut page);
    assert!(
        lines.is_ok() && page.starts_with("HTTP/1.1 200 OK"),
        "{page}"
    );
    let head = page.split("\r\n\r\n").next().unwrap().to_lowercase();
    for header in [
        "content-type: text/html; charset=utf-8",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
    ] {
        assert!(head.contains(header), "{head}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_mistake_in_a_form_is_said_as_on_the_command_line() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "2"]);
    let said = |line: Value| {
        let more = "Connection: close\r\n";
        let mut answer = String::new();
        let mut asked = ask(
            sandbox.port(),
            "POST",
            "/_sandbox/do",
            more,
            &line.to_string(),
        );
        asked.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = said(json!(["break-gpu", "9"]));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("the nodes are 0 to 1"), "{answer}");
    let answer = said(json!(["break-gpu", "x"]));
    assert!(
        answer.contains("a node is a number, from 0, or an instance id"),
        "{answer}"
    );
    let answer = said(json!(["fix-gpu", "1"]));
    assert!(answer.contains("are well"), "{answer}");
}

#[test]
fn so_many_browsers_watch_and_the_endpoint_still_answers() {
    let sandbox = Sandbox::start(&["--nodes", "2"]);
    let mut watchers: Vec<_> = (0..16).map(|_| Watcher::of(&sandbox)).collect();
    watchers.iter_mut().for_each(Watcher::next);
    let refused = status(sandbox.port(), "GET", "/_sandbox/events", "", "");
    assert_eq!(refused, "HTTP/1.1 503 Service Unavailable");
    sandbox.well(&["status"]);
    watchers.clear();
    // A place is free as soon as the endpoint has seen that they went.
    let begun = Instant::now();
    while !status(sandbox.port(), "GET", "/_sandbox/events", "", "").ends_with("OK") {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "no place gets free"
        );
        thread::sleep(Duration::from_millis(50));
    }
}
