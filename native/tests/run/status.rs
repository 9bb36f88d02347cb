//! What `tidegate run` publishes about a command, and how it exits itself.
#![cfg(unix)]

use crate::run_support;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use crate::run_support::{Server, is_running, pid_in, read_line, wait_for};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_job_is_watched_from_start_to_end() {
    let server = Server::start();
    let work =
        "printf '[1/4] one\\r'; read -r go; printf '\\033[32m 50%%\\033[0m two\\n'; read -r go";
    let mut run = server
        .run("life", &["sh", "-c", work])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = run.stdin.take().unwrap();
    let mut go = || std::io::Write::write_all(&mut stdin, b"\n").unwrap();
    let first = server.update("life", |update| update["progress"] == 0.25);
    assert_eq!(first["job_id"], "life");
    assert_eq!(first["status"], "RUNNING");
    assert_eq!((&first["done"], &first["total"]), (&1.into(), &4.into()));
    assert_eq!(first["message"], "[1/4] one");
    assert!(first["name"].as_str().unwrap().starts_with("sh -c "));
    go();
    let second = server.update("life", |update| update["progress"] == 0.5);
    assert_eq!(second["message"], "50% two");
    assert_eq!(second["total"], serde_json::Value::Null);
    assert_eq!(second["started_at"], first["started_at"]);
    go();
    assert!(run.wait().unwrap().success());
    let last = server.ending("life");
    assert_eq!(last["status"], "COMPLETE");
    assert_eq!(last["progress"], 1.0);
    assert_eq!(last["exit_code"], 0);
    assert!(last["elapsed_ms"].as_u64() >= second["elapsed_ms"].as_u64());
}

#[test]
fn a_failure_keeps_exit_code_progress_and_last_line() {
    let server = Server::start();
    let fail = "echo ' 40%'; echo >&2 'disk full'; exit 7";
    let output = server.run("fail", &["sh", "-c", fail]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    let ending = server.ending("fail");
    assert_eq!(ending["status"], "FAILED");
    assert_eq!(ending["exit_code"], 7);
    assert_eq!(ending["progress"], 0.4);
}

#[test]
fn what_can_not_be_run_fails_as_in_a_shell() {
    let server = Server::start();
    for (id, program, code, word) in [
        ("absent", "no-such-program-here", 127, "not found"),
        ("folder", "/", 126, "cannot be executed"),
        ("plain", "/etc/passwd", 126, "cannot be executed"),
    ] {
        let output = server.run(id, &[program]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{program}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(program) && text.contains(word), "{text:?}");
        let ending = server.ending(id);
        assert_eq!(ending["status"], "FAILED");
        assert_eq!(ending["exit_code"], code);
        assert!(ending["message"].as_str().unwrap().contains(word));
    }
}

#[test]
fn a_command_that_is_killed_has_failed() {
    let server = Server::start();
    let status = server
        .run("killed", &["sh", "-c", "kill -KILL $$"])
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(9));
    let ending = server.ending("killed");
    assert_eq!(ending["status"], "FAILED");
    assert_eq!(ending["signal"], "SIGKILL");
    assert_eq!(ending["exit_code"], serde_json::Value::Null);
}

#[test]
fn a_signal_that_ends_the_command_ends_the_program_and_leaves_no_core() {
    let server = Server::start();
    // In a separate folder, in case the system dumps cores into the current one.
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::SEGV, Signal::QUIT, Signal::ABORT, Signal::PIPE] {
        let script = format!("ulimit -S -c 0; kill -{} $$", signal.as_raw());
        let args = server.run_args("killed", &["sh", "-c", &script]);
        let status = std::process::Command::new("sh")
            .args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$0\" \"$@\""])
            .arg(run_support::PROGRAM)
            .args(args)
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(signal.as_raw()), "{status}");
        assert!(!status.core_dumped(), "{status}");
    }
}

/// Runs `script`, which prints a line when it is ready, sends `signal` to the program and returns the
/// program's exit status, that first line, and the job's ending.
fn signalled(script: &str, signal: Signal) -> (ExitStatus, String, serde_json::Value) {
    let server = Server::start();
    let mut run = server
        .run("signalled", &["sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = read_line(run.stdout.as_mut().unwrap());
    kill_process(Pid::from_child(&run), signal).unwrap();
    let status = run.wait().unwrap();
    (status, line, server.ending("signalled"))
}

#[test]
fn a_signal_is_passed_on_and_cancels() {
    for (signal, name) in [
        (Signal::TERM, "SIGTERM"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::QUIT, "SIGQUIT"),
    ] {
        let (exit, _, ending) = signalled("ulimit -c 0; echo ready; exec sleep 1000", signal);
        assert_eq!(exit.signal(), Some(signal.as_raw()));
        assert_eq!(ending["status"], "CANCELLED", "{name}");
        assert_eq!(ending["signal"], name);
    }
}

#[test]
fn a_command_may_take_its_leave_in_its_own_way() {
    let tidy = "trap 'echo tidied; exit 9' TERM; echo ready; while :; do :; done";
    let (status, _, ending) = signalled(tidy, Signal::TERM);
    assert_eq!(
        (status.code(), &ending["status"]),
        (Some(9), &"CANCELLED".into())
    );
    assert_eq!(ending["message"], "tidied");
    let done = "trap 'exit 0' TERM; echo ready; while :; do :; done";
    let (status, _, ending) = signalled(done, Signal::TERM);
    assert_eq!(
        (status.code(), &ending["status"]),
        (Some(0), &"COMPLETE".into())
    );
}

#[test]
fn a_signal_without_end_is_passed_on_too() {
    let script = "trap 'exit 4' USR1; echo ready; while :; do :; done";
    let (status, _, ending) = signalled(script, Signal::USR1);
    assert_eq!(
        (status.code(), &ending["status"]),
        (Some(4), &"FAILED".into())
    );
}

#[test]
fn a_signal_reaches_all_that_the_command_started() {
    if std::fs::File::open("/dev/tty").is_ok() {
        // There the command shares our process group, and its children are its own business.
        return;
    }
    let (_, line, _) = signalled("sleep 1000 & echo $!; wait", Signal::TERM);
    let sleep = pid_in(&line);
    wait_for("the command's child to end", || !is_running(sleep));
}

#[test]
fn an_ignored_signal_stays_ignored_for_the_command() {
    let server = Server::start();
    let args = server.run_args("nohup", &["sh", "-c", "kill -HUP $$; echo alive"]);
    let output = std::process::Command::new("sh")
        .args([
            "-c",
            "trap '' HUP; exec \"$0\" \"$@\"",
            run_support::PROGRAM,
        ])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"alive\n");
}
