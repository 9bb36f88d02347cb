//! `tidegate run` on a terminal: the command doesn't notice that somebody sits in between.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex};

use crate::run_support::{PROGRAM, Server, wait_for};
use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};

pub(super) const CTRL_C: &str = "\x03";
const CTRL_Z: &str = "\x1a";

/// A terminal with a person at it.
pub(super) struct Desk {
    pty: Arc<Pty>,
    /// Kept open, so that the terminal outlives the programs on it.
    tty: OwnedFd,
    pub(super) process: Child,
    seen: Arc<Mutex<String>>,
}

impl Desk {
    /// Starts `command` on a new terminal.
    pub(super) fn start(command: Command) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(33, 111)).unwrap();
        let tty = pts.as_fd().try_clone_to_owned().unwrap();
        let process = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let seen = collect(Arc::clone(&pty));
        Self {
            pty,
            tty,
            process,
            seen,
        }
    }

    fn run(server: &Server, id: &str, script: &str) -> Self {
        Self::start(program(server, id, script))
    }

    pub(super) fn type_keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    pub(super) fn see(&self, text: &str) {
        see(&self.seen, text);
    }

    /// All that was written to the terminal.
    pub(super) fn text(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn is_raw(&self) -> bool {
        let modes = tcgetattr(&self.tty).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    pub(super) fn end(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }
}

/// The program about to run a shell script as the job `id`.
fn program(server: &Server, id: &str, script: &str) -> Command {
    Command::new(PROGRAM).args(server.run_args(id, &["sh", "-c", script]))
}

/// What can be read from `source`, as it comes.
fn collect<T>(source: Arc<T>) -> Arc<Mutex<String>>
where
    T: Send + Sync + 'static,
    for<'a> &'a T: Read,
{
    let seen = Arc::new(Mutex::new(String::new()));
    let written = Arc::clone(&seen);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        // A terminal that no process has open any more ends with an error.
        while let Ok(length @ 1..) = (&*source).read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]);
            written.lock().unwrap().push_str(&text);
        }
    });
    seen
}

fn see(seen: &Mutex<String>, text: &str) {
    wait_for(text, || seen.lock().unwrap().contains(text));
}

#[test]
fn the_command_gets_a_terminal_of_the_same_size() {
    let server = Server::start();
    let look = "test -t 0 && test -t 1 && test -t 2 && stty size < /dev/tty; exit 3";
    let mut desk = Desk::run(&server, "size", look);
    desk.see("33 111\r\n");
    assert_eq!(desk.end().code(), Some(3));
    assert_eq!(server.ending("size")["message"], "33 111");
}

#[test]
fn the_command_hears_of_a_new_size() {
    let server = Server::start();
    let look = "trap 'stty size; exit' WINCH; echo ready; while :; do :; done";
    let mut desk = Desk::run(&server, "resize", look);
    desk.see("ready");
    desk.pty.resize(Size::new(40, 120)).unwrap();
    desk.see("40 120");
    assert!(desk.end().success());
}

#[test]
fn keys_reach_the_command_and_are_echoed_once() {
    let server = Server::start();
    let mut desk = Desk::run(&server, "keys", "echo ready; read -r x; echo \"got <$x>\"");
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys("helo\x7flo\r");
    desk.see("got <hello>");
    assert!(desk.end().success());
    let seen = desk.seen.lock().unwrap();
    assert_eq!(seen.matches("helo").count(), 1, "{seen:?}");
}

#[test]
fn an_interrupt_from_the_keyboard_cancels() {
    let server = Server::start();
    let mut desk = Desk::run(&server, "interrupt", "echo ready; exec sleep 1000");
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys(CTRL_C);
    assert_eq!(desk.end().signal(), Some(2));
    let ending = server.ending("interrupt");
    assert_eq!(ending["status"], "CANCELLED");
    assert_eq!(ending["signal"], "SIGINT");
    assert!(!desk.is_raw());
}

#[test]
fn an_interrupt_that_the_command_handles_cancels_too() {
    let server = Server::start();
    let script = "trap 'exit 5' INT; echo ready; while :; do :; done";
    let mut desk = Desk::run(&server, "handled", script);
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys(CTRL_C);
    assert_eq!(desk.end().code(), Some(5));
    assert_eq!(server.ending("handled")["status"], "CANCELLED");
}

#[test]
fn the_terminal_is_given_back_when_a_signal_ends_the_job() {
    let server = Server::start();
    let mut desk = Desk::run(&server, "ended", "echo ready; exec sleep 1000");
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    kill_process(Pid::from_child(&desk.process), Signal::TERM).unwrap();
    assert_eq!(desk.end().signal(), Some(15));
    assert!(!desk.is_raw());
}

#[test]
fn errors_that_go_elsewhere_go_there() {
    let server = Server::start();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let script = "test -t 1 && ! test -t 2 && echo out && echo err >&2";
    let mut desk = Desk::start(program(&server, "errors", script).stderr(writer));
    desk.see("out\r\n");
    let mut errors = String::new();
    reader.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "err\n");
    assert!(desk.end().success());
}

#[test]
fn input_from_a_pipe_and_output_to_the_terminal() {
    let server = Server::start();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let script = "! test -t 0 && test -t 1 && stty size < /dev/tty && cat";
    let mut desk = Desk::start(program(&server, "piped-in", script).stdin(reader));
    writer.write_all(b"through\n").unwrap();
    drop(writer);
    desk.see("33 111\r\nthrough\r\n");
    assert!(desk.end().success());
}

#[test]
fn output_to_a_pipe_and_an_interrupt_that_comes_once() {
    let server = Server::start();
    let (reader, writer) = std::io::pipe().unwrap();
    let script = "trap 'echo interrupted' INT; echo ready; \
                  until read -r line; do :; done; echo \"got <$line>\"; exit 4";
    let mut desk = Desk::start(program(&server, "piped-out", script).stdout(writer));
    let output = collect(Arc::new(reader));
    see(&output, "ready");
    assert!(!desk.is_raw(), "the command has the terminal itself");
    desk.type_keys(CTRL_C);
    see(&output, "interrupted");
    desk.type_keys("go\r");
    see(&output, "got <go>");
    assert_eq!(desk.end().code(), Some(4));
    assert_eq!(output.lock().unwrap().matches("interrupted").count(), 1);
}

/// A shell with job control that runs `then` after it started the program with `script`.
fn job_control(server: &Server, id: &str, script: &str, start: &str, then: &str) -> Command {
    let control = format!("set -m; {start}\n{then}");
    Command::new("sh")
        .args(["-c", &control, PROGRAM])
        .args(server.run_args(id, &["sh", "-c", script]))
}

#[test]
fn the_shell_can_suspend_the_job_and_go_on_with_it() {
    let server = Server::start();
    let script = "echo ready; read -r x; echo \"got <$x>\"; exit 6";
    let then = "echo stopped; read -r y; echo \"shell <$y>\"; fg > /dev/null; echo \"ended $?\"";
    let mut desk = Desk::start(job_control(&server, "stop", script, "\"$0\" \"$@\"", then));
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys(CTRL_Z);
    desk.see("stopped");
    assert!(!desk.is_raw(), "the shell has its terminal back");
    desk.type_keys("one\r");
    desk.see("shell <one>");
    wait_for("the terminal to be taken again", || desk.is_raw());
    desk.type_keys("two\r");
    desk.see("got <two>");
    desk.see("ended 6");
    assert!(desk.end().success());
    assert!(!desk.is_raw());
}

#[test]
fn without_a_shell_a_suspended_job_goes_on() {
    let server = Server::start();
    let mut desk = Desk::run(&server, "alone", "echo ready; read -r x; echo \"got <$x>\"");
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys(CTRL_Z);
    desk.type_keys("on\r");
    desk.see("got <on>");
    assert!(desk.end().success());
}

#[test]
fn in_the_background_the_job_leaves_the_terminal_alone() {
    let server = Server::start();
    let script = "echo working; exit 7";
    let then = "read -r x; echo \"shell <$x>\"; wait $!; echo \"ended $?\"";
    let mut desk = Desk::start(job_control(
        &server,
        "back",
        script,
        "\"$0\" \"$@\" &",
        then,
    ));
    desk.see("working");
    assert!(!desk.is_raw());
    desk.type_keys("mine\r");
    desk.see("shell <mine>");
    desk.see("ended 7");
    assert!(desk.end().success());
}
