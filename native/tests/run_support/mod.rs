//! A server to publish to, the program under test, and what it published.

// Each test file uses its own part of this.
#![allow(dead_code)]

pub(crate) mod desk;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// Longer than anything here takes, so that a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tidegate");

/// A server of our own; ended when dropped.
pub(crate) struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Starts a server on a free port.
    pub(crate) fn start() -> Self {
        let (output, writer) = std::io::pipe().unwrap();
        let process = Command::new(PROGRAM)
            .args(["serve", "--backend", "memory", "--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(output).lines();
        let address = lines
            .by_ref()
            .find_map(|line| address_in(&line.unwrap()))
            .expect("the server tells its address");
        // What it writes from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Its address, for clients.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes a value, and waits until that has happened.
    pub(crate) fn publish(&self, topic: &str, data: &Value) {
        self.publish_as(&json!({ "topic": topic, "data": data }));
    }

    /// Publishes what a request says, and waits until that has happened.
    pub(crate) fn publish_as(&self, request: &Value) {
        let body = request.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let head = format!(
            "POST /publish HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The arguments that run `command` as the job `id`.
    pub(crate) fn run_args(&self, id: &str, command: &[&str]) -> Vec<String> {
        let url = self.url();
        let mut args: Vec<String> = ["run", "--server", &url, "--job", id, "--"]
            .map(str::to_owned)
            .into();
        args.extend(command.iter().map(ToString::to_string));
        args
    }

    /// The program about to run `command` as the job `id`.
    pub(crate) fn run(&self, id: &str, command: &[&str]) -> Command {
        let mut program = Command::new(PROGRAM);
        program.args(self.run_args(id, command));
        program
    }

    /// Follows the job `id` until `wanted` accepts one of its updates, and returns that.
    pub(crate) fn update(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!(
            "GET /events?topic=job:{id} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut seen = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap_or_else(|error| panic!("{error}; the job came to {seen:?}"));
            let Some(data) = line.strip_prefix("data:") else {
                continue;
            };
            let Some(update) = serde_json::from_str(data).ok().and_then(job_update) else {
                continue;
            };
            if wanted(&update) {
                return update;
            }
            seen.push(update);
        }
        panic!("the events ended; the job came to {seen:?}");
    }

    /// How the job `id` ended.
    pub(crate) fn ending(&self, id: &str) -> Value {
        self.update(id, |update| update["status"] != "RUNNING")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn address_in(line: &str) -> Option<String> {
    let host = "127.0.0.1:";
    let rest = &line[line.find(host)? + host.len()..];
    let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!port.is_empty()).then(|| format!("{host}{port}"))
}

/// The job's update somewhere within an event.
fn job_update(event: Value) -> Option<Value> {
    match event {
        Value::Object(fields) if fields.contains_key("job_id") => Some(Value::Object(fields)),
        Value::Object(fields) => fields.into_iter().find_map(|(_, value)| job_update(value)),
        Value::Array(values) => values.into_iter().find_map(job_update),
        _ => None,
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

/// Reads a line.
pub(crate) fn read_line(from: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while from.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// The process whose id is printed in `line`.
pub(crate) fn pid_in(line: &str) -> rustix::process::Pid {
    let pid = line
        .trim()
        .parse()
        .unwrap_or_else(|_| panic!("no process id: {line:?}"));
    rustix::process::Pid::from_raw(pid).unwrap()
}

/// Whether a process runs; one that has ended and is not yet waited for doesn't.
pub(crate) fn is_running(pid: rustix::process::Pid) -> bool {
    let state = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap()
        .stdout;
    !state.is_empty() && state.first() != Some(&b'Z')
}
