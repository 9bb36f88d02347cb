//! A key that interrupts the command also reaches the parent of `tidegate run`: it ends or continues as it would around
//! the command itself.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use crate::run_support::{PROGRAM, Server, is_running, wait_for};
use crate::terminal::{CTRL_C, Desk};
use pty_process::blocking::Command;
use rustix::process::Pid;

const CTRL_BACKSLASH: &str = "\x1c";

/// What a shell does with a command, `"$0" "$@"`, writing to the file `$LOG`.
const LOOP: &str =
    r#"for round in 1 2 3; do "$0" "$@"; echo "after $?" >> "$LOG"; done; echo over >> "$LOG""#;
const TRAP: &str =
    r#"trap 'echo trapped >> "$LOG"' INT QUIT; "$0" "$@"; echo "after $?" >> "$LOG""#;
const NESTED: &str = r#"(LOOP=1; "$0" "$@"; echo "inner $?" >> "$LOG"); echo "outer $?" >> "$LOG""#;

const PROMPT: &str = "prompt> ";

/// Waits to be interrupted, the first time.
const DIES: &str = r#"[ -s "$LOG" ] && exit 7; echo ready; exec sleep 1000"#;

/// The arguments that run the command directly, or with `tidegate run`.
fn command(server: Option<&Server>, work: &str) -> Vec<String> {
    let work = ["sh", "-c", work];
    match server {
        None => work.map(str::to_owned).to_vec(),
        Some(server) => {
            let mut command = vec![PROGRAM.to_owned()];
            command.extend(server.run_args("work", &work));
            command
        }
    }
}

/// How `shell` ends, and what it wrote, if `key` is pressed while its `script` runs a command.
fn pressed(
    shell: &str,
    script: &str,
    key: &str,
    work: &str,
    server: Option<&Server>,
) -> (ExitStatus, String) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!("ulimit -c 0; {script}");
    let shell = Command::new(shell)
        .args(["-c", &script])
        .args(command(server, work))
        .env("LOG", &log)
        .current_dir(folder.path());
    let mut desk = Desk::start(shell);
    desk.see("ready");
    if server.is_some() {
        wait_for("the terminal to be taken", || desk.is_raw());
    }
    desk.type_keys(key);
    let shell = Pid::from_child(&desk.process);
    wait_for("the shell to end", || !is_running(shell));
    let status = desk.end();
    assert!(!desk.is_raw());
    (status, read(&log))
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}

#[test]
fn a_script_sees_of_a_key_what_it_sees_without_the_program() {
    let server = Server::start();
    for shell in ["bash", "sh"] {
        for script in [LOOP, TRAP, NESTED] {
            for key in [CTRL_C, CTRL_BACKSLASH] {
                let plain = pressed(shell, script, key, DIES, None);
                let run = pressed(shell, script, key, DIES, Some(&server));
                assert_eq!(run, plain, "{shell} with {script}, {key:?}");
            }
        }
    }
}

#[test]
fn a_loop_ends_with_the_command_that_an_interrupt_ended() {
    let server = Server::start();
    let (status, log) = pressed("bash", LOOP, CTRL_C, DIES, Some(&server));
    assert_eq!((status.signal(), log.as_str()), (Some(2), ""));
    assert_eq!(server.ending("work")["status"], "CANCELLED");
}

#[test]
fn a_loop_goes_on_after_a_command_that_handled_the_interrupt() {
    let server = Server::start();
    let handles = "trap 'exit 5' INT; echo ready; while [ ! -s \"$LOG\" ]; do :; done; exit 6";
    let (status, log) = pressed("bash", LOOP, CTRL_C, handles, Some(&server));
    assert_eq!(status.code(), Some(0));
    assert_eq!(log, "after 5\nafter 6\nafter 6\nover\n");
}

#[test]
fn an_interactive_shell_prompts_again_after_one_interrupt() {
    let server = Server::start();
    let words: Vec<String> = command(Some(&server), "echo re''ady; exec sleep 1000")
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    let shell = Command::new("bash")
        .args(["--norc", "--noprofile", "-i"])
        .env("PS1", PROMPT)
        .env("HISTFILE", "/dev/null");
    let desk = Desk::start(shell);
    desk.see(PROMPT);
    desk.type_keys(&format!("while true; do {}; done\r", words.join(" ")));
    desk.see("ready");
    wait_for("the terminal to be taken", || desk.is_raw());
    desk.type_keys(CTRL_C);
    wait_for("another prompt", || desk.text().matches(PROMPT).count() > 1);
    desk.type_keys("echo he''re\r");
    desk.see("here");
    desk.type_keys("exit\r");
    let shell = Pid::from_child(&desk.process);
    wait_for("the shell to end", || !is_running(shell));
}
