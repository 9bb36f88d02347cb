//! `tidegate run` doesn't change what a command reads and writes.
#![cfg(unix)]

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::run_support::{Server, is_running, pid_in, read_line, wait_for};
use rustix::process::{Signal, kill_process};

/// Bytes of every value, in an order that no text has.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}

#[test]
fn both_outputs_come_through_byte_by_byte() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (noise(1_000_003), noise(300_007).split_off(7));
    std::fs::write(folder.path().join("out"), &out).unwrap();
    std::fs::write(folder.path().join("err"), &err).unwrap();
    let output = server
        .run(
            "bytes",
            &["sh", "-c", "cat out & cat err >&2; wait; exit 5"],
        )
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.stdout == out && output.stderr == err);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn input_reaches_the_command_and_prompts_come_out_at_once() {
    let server = Server::start();
    let ask = "printf 'name? '; read -r name; printf 'hello %s' \"$name\"; cat";
    let mut run = server
        .run("prompt", &["sh", "-c", ask])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (run.stdin.take().unwrap(), run.stdout.take().unwrap());
    let mut prompt = [0; 6];
    stdout.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"name? ");
    let asking = server.update("prompt", |update| update["message"] == "name?");
    assert_eq!(asking["status"], "RUNNING");
    stdin.write_all(b"you\n, and more").unwrap();
    drop(stdin);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "hello you, and more");
    assert!(run.wait().unwrap().success());
}

#[test]
fn outputs_that_share_a_pipe_keep_their_order() {
    let server = Server::start();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let count = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); echo $i >&2; i=$((i+1)); done";
    let mut program = server.run("order", &["sh", "-c", count]);
    let mut run = program
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    drop(program);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(run.wait().unwrap().success());
    assert!(
        text.lines()
            .map(|line| line.parse::<u32>().unwrap())
            .eq(0..400)
    );
}

#[test]
fn a_reader_that_leaves_ends_the_command_as_a_pipe_does() {
    let server = Server::start();
    let mut run = server
        .run("yes", &["yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = run.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout), "y");
    drop(stdout);
    let status = run.wait().unwrap();
    assert_eq!((status.code(), status.signal()), (None, Some(13)));
    let ending = server.ending("yes");
    assert_eq!(ending["status"], "FAILED");
    assert_eq!(ending["signal"], "SIGPIPE");
}

#[test]
fn all_that_was_written_comes_through_however_slow_the_reader() {
    let server = Server::start();
    let mut run = server
        .run(
            "slow",
            &["sh", "-c", "head -c 65536 /dev/zero; echo >&2 written"],
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The command has ended before anything of its output was read here.
    assert_eq!(read_line(run.stderr.as_mut().unwrap()), "written");
    let mut output = Vec::new();
    run.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    assert!(output == [0; 65_536]);
    assert!(run.wait().unwrap().success());
}

#[test]
fn a_process_left_behind_holds_nothing_up() {
    let server = Server::start();
    let mut run = server
        .run("left", &["sh", "-c", "sleep 1000 & echo $!"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let sleep = pid_in(&read_line(run.stdout.as_mut().unwrap()));
    assert!(run.wait().unwrap().success());
    assert_eq!(server.ending("left")["status"], "COMPLETE");
    assert!(is_running(sleep), "it is not ours to end");
    kill_process(sleep, Signal::KILL).unwrap();
}

#[test]
fn a_talkative_process_left_behind_holds_nothing_up() {
    let server = Server::start();
    let output = server
        .run("talk", &["sh", "-c", "yes & echo $! >&2"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let yes = pid_in(&String::from_utf8(output.stderr).unwrap());
    wait_for("its pipe to break", || !is_running(yes));
}
