//! `tidegate sub` on a terminal: jobs are bars, what has ended stays, and nothing of others' reaches the terminal as a command.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Child;
use std::sync::{Arc, Mutex};

use crate::run_support::{PROGRAM, Server, wait_for};
use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use serde_json::{Value, json};

/// A terminal on which `tidegate sub` runs.
struct Desk {
    pty: Arc<Pty>,
    process: Child,
    seen: Arc<Mutex<String>>,
}

impl Desk {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(20, 90)).unwrap();
        let command = Command::new(PROGRAM)
            .args(["sub", "--server", &server.url()])
            .args(arguments)
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        let process = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let seen = Arc::new(Mutex::new(String::new()));
        let (reading, written) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal that nobody has open any more ends with an error.
            while let Ok(length @ 1..) = (&*reading).read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]);
                written.lock().unwrap().push_str(&text);
            }
        });
        Self { pty, process, seen }
    }

    fn text(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    fn see(&self, text: &str) {
        wait_for(text, || self.text().contains(text));
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        self.process.wait().unwrap();
    }
}

fn publish(server: &Server, topic: &str, data: &Value) {
    let body = json!({ "topic": topic, "data": data }).to_string();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let length = body.len();
    let head = format!(
        "POST /publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn jobs_are_bars_that_move_until_they_end() {
    let server = Server::start();
    let desk = Desk::start(&server, &["job:*"]);
    let running = json!({
        "status": "RUNNING", "done": 30, "total": 120, "unit": "files", "rate": 3, "message": "src/lib.rs",
    });
    publish(&server, "job:hash", &running);
    desk.see(" 25%");
    desk.see("30/120 files");
    desk.see("src/lib.rs");
    desk.see("30s left");
    publish(
        &server,
        "job:lock",
        &json!({ "status": "RUNNING", "message": "waits" }),
    );
    desk.see("waits");
    publish(&server, "job:hash", &json!({ "progress": 0.5 }));
    desk.see(" 50%");
    publish(
        &server,
        "job:hash",
        &json!({ "status": "COMPLETE", "elapsed_ms": 67_000 }),
    );
    desk.see("✔ complete");
    desk.see("1m 07s");
    publish(
        &server,
        "job:lock",
        &json!({ "status": "FAILED", "exit_code": 3 }),
    );
    desk.see("✘ failed");
    desk.see("exit status 3");
}

#[test]
fn a_subscription_to_one_topic_ends_with_it() {
    let server = Server::start();
    let mut desk = Desk::start(&server, &["job:1"]);
    publish(&server, "job:1", &json!({ "progress": 0.4 }));
    desk.see(" 40%");
    publish(&server, "job:1", &json!({ "status": "CANCELLED" }));
    assert_eq!(desk.process.wait().unwrap().code(), Some(5));
    desk.see("■ cancelled");
}

#[test]
fn what_others_publish_cannot_command_the_terminal() {
    let server = Server::start();
    let desk = Desk::start(&server, &["**"]);
    let hostile = "evil\u{1b}[2J\u{9b}31m\u{7}";
    publish(
        &server,
        "job:1",
        &json!({ "progress": 0.1, "message": hostile, "unit": hostile, "done": 1 }),
    );
    publish(&server, "note:1", &json!(hostile));
    desk.see("note:1");
    desk.see("evil");
    let text = desk.text();
    assert!(
        !text.contains("\u{1b}[2J") && !text.contains('\u{9b}') && !text.contains('\u{7}'),
        "{text:?}"
    );
}

#[test]
fn a_new_size_is_drawn_for() {
    let server = Server::start();
    let desk = Desk::start(&server, &["job:*"]);
    let long = "a message that is rather longer than what a narrow terminal has room for";
    publish(
        &server,
        "job:1",
        &json!({ "progress": 0.4, "message": long }),
    );
    desk.see(&long[..40]);
    desk.pty.resize(Size::new(20, 40)).unwrap();
    desk.see("…");
    let text = desk.text();
    let last = text.rsplit("\u{1b}[J").next().unwrap();
    let shown = last.lines().next().unwrap().replace("\u{1b}[0m", "");
    assert!(shown.contains('…'), "{last:?}");
}

#[test]
fn plain_lines_are_to_be_had_on_a_terminal_too() {
    let server = Server::start();
    let desk = Desk::start(&server, &["job:*", "--plain"]);
    publish(&server, "job:1", &json!({ "progress": 0.4 }));
    desk.see(r#"{"progress":0.4}"#);
    assert!(!desk.text().contains("40%"));
}
