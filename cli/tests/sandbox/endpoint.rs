//! The endpoint itself: its port, its end, who is kept out.

use super::*;
use std::{io::Write, net::TcpStream};

/// What the endpoint answers to these bytes.
fn asked(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn it_answers_within_two_seconds_and_ends_within_one() {
    for signal in ["-INT", "-TERM"] {
        let mut sandbox = Sandbox::start(&["--nodes", "64", "--speed", "600"]);
        let after = sandbox.answered_after;
        assert!(after < Duration::from_secs(2), "{after:?}");
        // Something is going on when the signal comes.
        sandbox.well(&["sandbox", "do", "repeat-stop-events"]);
        let (code, took) = sandbox.end(signal);
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[test]
fn a_port_that_is_taken_is_said_so() {
    let sandbox = Sandbox::start(&["--paused"]);
    let port = sandbox.port().to_string();
    let done = sandbox.run(&["sandbox", "--port", &port]);
    let errors = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains(&format!("port {port} is taken")),
        "{errors}"
    );
    assert!(errors.contains("--port 0"), "{errors}");
}

#[test]
fn a_mistake_in_the_arguments_is_one_error_that_names_the_fix() {
    for (line, says) in [
        (
            &["--scenario", "gpu-falt"][..],
            "no scenario is called gpu-falt; there are gpu-fault",
        ),
        (&["--scenario", "none.yaml"], "none.yaml"),
        (&["--nodes", "0"], "1..=1024"),
        (&["--speed", "fast"], "it is no number"),
        (
            &["--state", "/dev/null/x"],
            "cannot be used to keep the sandbox",
        ),
    ] {
        let done = program()
            .args([&["sandbox", "--port", "0"], line].concat())
            .output()
            .unwrap();
        let errors = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{line:?}: {errors}");
        assert!(errors.contains(says), "{line:?}: {errors}");
    }
}

#[test]
fn other_hosts_and_pages_are_kept_out_and_nothing_but_http_is_answered() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "1"]);
    let port = sandbox.port();
    let get = |host: &str, more: &str| {
        let request = format!(
            "GET /_sandbox/time HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n"
        );
        asked(port, request.as_bytes())
    };
    assert!(get(&format!("127.0.0.1:{port}"), "").starts_with("HTTP/1.1 200 "));
    assert!(get(&format!("evil.example:{port}"), "").starts_with("HTTP/1.1 403 "));
    let page = get(
        &format!("127.0.0.1:{port}"),
        "Origin: http://evil.example\r\n",
    );
    assert!(page.starts_with("HTTP/1.1 403 "), "{page}");
    assert!(!page.contains("epoch"), "{page}");
    assert!(
        asked(
            port,
            b"GET /_sandbox/time HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
        .starts_with("HTTP/1.1 403 ")
    );
    let answer = asked(
        port,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP at all\r\n\r\n",
    );
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );
    // It lives on.
    sandbox.well(&["status"]);
}

#[test]
fn a_desk_without_a_sandbox_is_told_how_to_start_one() {
    let done = program()
        .args(["sandbox", "time", "--endpoint-url", "http://127.0.0.1:1"])
        .output()
        .unwrap();
    let errors = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("start one with `gpu-recovery sandbox`"),
        "{errors}"
    );
    let done = program()
        .args([
            "sandbox",
            "time",
            "--endpoint-url",
            "https://ecs.us-east-1.amazonaws.com",
        ])
        .output()
        .unwrap();
    let errors = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{errors}");
    assert!(errors.contains("is no address of a sandbox"), "{errors}");
}

/// Bytes of a good request, damaged in every place.
#[test]
fn damaged_requests_are_answered_or_hung_up_on_and_the_endpoint_lives() {
    let sandbox = Sandbox::start(&["--paused", "--nodes", "1"]);
    let port = sandbox.port();
    let good = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Amz-Target: AWSStepFunctions.ListStateMachines\r\nAuthorization: \
         AWS4-HMAC-SHA256 x\r\nContent-Type: application/x-amz-json-1.0\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    assert!(asked(port, good.as_bytes()).starts_with("HTTP/1.1 200 "));
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = [0, b' ', b'\n', 0xff][place % 4];
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1."),
            "{place}: {answer}"
        );
        assert!(!answer.contains(" 500 "), "{place}: {answer}");
    }
    let large = format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n"
    );
    let answer = asked(port, large.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let head = format!(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nX: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // It hangs up before it has read all of it.
    drop(stream.write_all(head.as_bytes()));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    sandbox.well(&["status"]);
}
