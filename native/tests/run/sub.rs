//! `tidegate sub` on a terminal: jobs are bars, what has ended stays, and texts of others can't act as commands to the terminal.
#![cfg(unix)]

use crate::run_support::desk::Desk;
use crate::run_support::{Server, wait_for};
use pty_process::Size;
use serde_json::json;

/// A terminal on which `tidegate sub` runs.
fn start(server: &Server, arguments: &[&str]) -> Desk {
    start_in(&[], server, arguments)
}

/// The same, with variables of the environment.
fn start_in(variables: &[(&str, &str)], server: &Server, arguments: &[&str]) -> Desk {
    let url = server.url();
    let command = [&["sub", "--server", &url], arguments].concat();
    Desk::start_in(variables, Size::new(20, 90), &command)
}

#[test]
fn jobs_are_bars_that_move_until_they_end() {
    let server = Server::start();
    let desk = start(&server, &["job:*"]);
    let running = json!({
        "status": "RUNNING", "done": 30, "total": 120, "unit": "files", "rate": 3, "message": "src/lib.rs",
    });
    server.publish("job:hash", &running);
    desk.see(" 25%");
    desk.see("30/120 files");
    desk.see("src/lib.rs");
    desk.see("30s left");
    server.publish(
        "job:lock",
        &json!({ "status": "RUNNING", "message": "waits" }),
    );
    desk.see("waits");
    server.publish("job:hash", &json!({ "progress": 0.5 }));
    desk.see(" 50%");
    server.publish("job:hash", &json!({ "done": 58, "total": 100 }));
    desk.see(" 58%");
    server.publish(
        "job:hash",
        &json!({ "status": "COMPLETE", "elapsed_ms": 67_000 }),
    );
    desk.see("✔ complete");
    desk.see("1m 07s");
    server.publish("job:lock", &json!({ "status": "FAILED", "exit_code": 3 }));
    desk.see("✘ failed");
    desk.see("exit status 3");
}

#[test]
fn a_subscription_to_one_topic_ends_with_it() {
    let server = Server::start();
    let mut desk = start(&server, &["job:1"]);
    server.publish("job:1", &json!({ "progress": 0.4 }));
    desk.see(" 40%");
    server.publish("job:1", &json!({ "status": "CANCELLED" }));
    assert_eq!(desk.ended().code(), Some(5));
    desk.see("■ cancelled");
}

#[test]
fn what_others_publish_cannot_command_the_terminal() {
    let server = Server::start();
    let desk = start(&server, &["**"]);
    let hostile = "evil\u{1b}[2J\u{9b}31m\u{7}";
    server.publish(
        "job:1",
        &json!({ "progress": 0.1, "message": hostile, "unit": hostile, "done": 1 }),
    );
    server.publish("note:1", &json!(hostile));
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
    let desk = start(&server, &["job:*"]);
    let long = "a message that is rather longer than what a narrow terminal has room for";
    server.publish("job:1", &json!({ "progress": 0.4, "message": long }));
    desk.see(&long[..40]);
    desk.resize(Size::new(20, 40));
    wait_for("a line that fits", || {
        drawn(&desk.text()).is_some_and(|line| line.contains('…') && line.chars().count() < 40)
    });
}

/// The visible text of the first line of the last drawing, once it is complete.
fn drawn(text: &str) -> Option<String> {
    let (_, last) = text.rsplit_once("\u{1b}[J")?;
    let (line, _) = last.split_once('\n')?;
    let mut pieces = line.trim_end().split("\u{1b}[");
    let start = pieces.next()?.to_owned();
    // Colours are letters and numbers before an `m`.
    pieces.try_fold(start, |seen, piece| {
        let (_, text) = piece.split_once('m')?;
        Some(seen + text)
    })
}

#[test]
fn plain_lines_are_to_be_had_on_a_terminal_too() {
    let server = Server::start();
    let desk = start(&server, &["job:*", "--plain"]);
    server.publish("job:1", &json!({ "progress": 0.4 }));
    desk.see(r#"{"progress":0.4}"#);
    assert!(!desk.text().contains("40%"));
}

#[test]
fn topics_of_others_reach_the_terminal_clean() {
    let server = Server::start();
    // It would reverse the text after it.
    let hostile = "job:\u{202e}evil";
    for arguments in [
        &["job:*"][..],
        &["job:*", "--plain"],
        &[hostile],
        &[hostile, "--plain"],
    ] {
        let mut desk = start(&server, arguments);
        let restart = json!({ "topic": hostile, "data": { "progress": 0.4 }, "restart": true });
        server.publish_as(&restart);
        desk.see("job: evil");
        server.publish(hostile, &json!("not a job"));
        desk.see("not a job");
        server.publish_as(&json!({ "topic": hostile, "data": { "progress": 1 }, "end": "failed" }));
        if arguments.contains(&hostile) {
            assert_eq!(desk.ended().code(), Some(4));
        }
        assert!(!desk.text().contains('\u{202e}'), "{:?}", desk.text());
    }
}

#[test]
fn colours_are_for_terminals_that_have_them_and_people_who_want_them() {
    let server = Server::start();
    server.publish("note:1", &json!("words"));
    for (variables, arguments, is_dim) in [
        (&[][..], &["--plain"][..], true),
        (&[], &[], true),
        (&[("NO_COLOR", "")], &["--plain"], true),
        (&[("NO_COLOR", "1")], &["--plain"], false),
        (&[("NO_COLOR", "1")], &[], false),
        (&[("TERM", "dumb")], &["--plain"], false),
        (&[("TERM", "dumb")], &[], false),
    ] {
        let mut desk = start_in(
            variables,
            &server,
            &[&["note:*", "-n", "1"], arguments].concat(),
        );
        assert!(desk.ended().success());
        desk.see("words");
        let text = desk.text();
        assert_eq!(
            text.contains("\u{1b}[2m"),
            is_dim,
            "{variables:?}: {text:?}"
        );
        assert_eq!(text.contains('\u{1b}'), is_dim, "{variables:?}: {text:?}");
    }
}
