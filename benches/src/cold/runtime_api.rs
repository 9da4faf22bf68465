//! One start of a function against a local Lambda Runtime API
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>): from the process's start to its first request for work.

use std::{
    fs, io,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// One start.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// From just before the process is made to the request.
    pub took: Duration,
    /// Peak resident bytes at the request (VmHWM).
    pub peak: u64,
}

/// A function that has not asked for work by then never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts the function and ends it when it asks for work.
///
/// # Errors
/// When it cannot be started, or ends without having asked.
pub fn start(command: &mut Command) -> io::Result<Start> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let begin = Instant::now();
    let mut child = command
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    give_up_later(address);
    let asked = asks_for_work(&listener);
    let took = begin.elapsed();
    let peak = peak(&child);
    end(&mut child);
    // The function would end by itself when its connection is closed: it is kept until here.
    drop(asked?);
    Ok(Start { took, peak: peak? })
}

/// Connects itself when nobody else has, so that waiting ends.
fn give_up_later(address: SocketAddr) {
    thread::spawn(move || {
        thread::sleep(PATIENCE);
        drop(TcpStream::connect(address));
    });
}

fn asks_for_work(listener: &TcpListener) -> io::Result<TcpStream> {
    let (connection, _) = listener.accept()?;
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line)?;
    if line.starts_with("GET /2018-06-01/runtime/invocation/next") {
        return Ok(connection);
    }
    Err(io::Error::other("it did not ask for work"))
}

fn peak(child: &Child) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("the system tells no VmHWM"))
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
