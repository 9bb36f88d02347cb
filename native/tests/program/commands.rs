//! The program, as its users type it.

use crate::support;

use crate::support::place::Place;
use crate::support::program::{Outcome, Server, finish, program, run};
use crate::support::within;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout};

pub(super) fn lines_of(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

pub(super) async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    within("a line", lines.next_line())
        .await
        .unwrap()
        .expect("another line")
}

pub(super) fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

pub(super) async fn publish(server: &Server, arguments: &[&str]) -> Outcome {
    let mut all = vec!["pub", "--server", &server.url];
    all.extend(arguments);
    run(&all).await
}

pub(super) async fn subscribe(server: &Server, arguments: &[&str]) -> Outcome {
    let mut all = vec!["sub", "--server", &server.url];
    all.extend(arguments);
    run(&all).await
}

#[tokio::test]
async fn what_is_published_is_printed_until_the_topic_ends() {
    let server = Server::start().await;
    assert_eq!(publish(&server, &["job:1", r#"{"n": 1}"#]).await.code, 0);
    let mut watcher = program(&["sub", "--server", &server.url, "job:1"])
        .spawn()
        .unwrap();
    let mut lines = lines_of(&mut watcher);
    assert_eq!(line(&mut lines).await, r#"job:1 #1 {"n": 1}"#);
    let published = publish(&server, &["job:1", "2", "--json", "--end", "complete"]).await;
    let position = &json_lines(&published.stdout)[0];
    assert_eq!(
        (&position["topic"], &position["offset"]),
        (&json!("job:1"), &json!(2))
    );
    assert_eq!(line(&mut lines).await, "job:1 #2 2");
    let outcome = finish(watcher).await;
    assert_eq!(outcome.code, 0);
    assert!(outcome.stderr.contains("complete"), "{outcome:?}");
}

#[tokio::test]
async fn the_exit_status_tells_how_the_topic_ended() {
    let server = Server::start().await;
    for (reason, code) in [("complete", 0), ("failed", 4), ("cancelled", 5)] {
        let topic = format!("job:{reason}");
        publish(&server, &[&topic, "1", "--end", reason]).await;
        let outcome = subscribe(&server, &[&topic, "--json"]).await;
        assert_eq!(outcome.code, code, "{outcome:?}");
        let events = json_lines(&outcome.stdout);
        assert_eq!(
            (&events[0]["data"], &events[0]["end"]),
            (&json!(1), &json!(reason))
        );
        assert_eq!(events[1], json!({"end": reason}));
    }
    let again = publish(&server, &["job:failed", "2"]).await;
    assert_eq!(again.code, 1);
    assert!(
        again.stderr.contains("--restart") || again.stderr.contains("restart"),
        "{again:?}"
    );
    assert_eq!(
        publish(&server, &["job:failed", "2", "--restart"])
            .await
            .code,
        0
    );
}

#[tokio::test]
async fn a_throttled_sub_prints_the_first_and_the_last() {
    let server = Server::start().await;
    publish(&server, &["a", "0"]).await;
    let arguments = ["sub", "--server", &server.url, "a", "--throttle", "1h"];
    let mut watcher = program(&arguments).spawn().unwrap();
    let mut lines = lines_of(&mut watcher);
    assert_eq!(line(&mut lines).await, "a #1 0");
    for number in 1..=20 {
        publish_over_http(&server, &json!({"topic": "a", "data": number})).await;
    }
    publish_over_http(
        &server,
        &json!({"topic": "a", "data": "end", "end": "complete"}),
    )
    .await;
    let mut printed = Vec::new();
    while let Some(line) = within("a line", lines.next_line()).await.unwrap() {
        printed.push(line);
    }
    assert_eq!(printed.last().unwrap(), "a #22 \"end\"");
    assert!(printed.len() <= 2, "{printed:?}");
    assert_eq!(finish(watcher).await.code, 0);
}

async fn publish_over_http(server: &Server, body: &Value) {
    let answer = support::http::publish(&server.address, body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn sub_stops_after_a_count_and_may_leave_out_what_is_retained() {
    let server = Server::start().await;
    for number in 1..=3 {
        publish_over_http(
            &server,
            &json!({"topic": format!("a:{number}"), "data": number}),
        )
        .await;
    }
    let outcome = subscribe(&server, &["a:*", "--json", "-n", "2"]).await;
    assert_eq!((outcome.code, json_lines(&outcome.stdout).len()), (0, 2));
    let wrong = subscribe(&server, &["a b"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("byte"), "{wrong:?}");
    for arguments in [
        &["a", "--throttle", "fast"][..],
        &["a", "--throttle", "1s", "--debounce", "1s"],
        &["a", "--max-wait", "1s"],
        &[],
    ] {
        assert_eq!(subscribe(&server, arguments).await.code, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_reader_that_has_had_enough_ends_sub_without_a_word() {
    let server = Server::start().await;
    assert_eq!(publish(&server, &["a", "1"]).await.code, 0);
    let mut watcher = program(&["sub", "--server", &server.url, "a"])
        .spawn()
        .unwrap();
    let mut lines = lines_of(&mut watcher);
    assert_eq!(line(&mut lines).await, "a #1 1");
    drop(lines);
    assert_eq!(publish(&server, &["a", "2"]).await.code, 0);
    let ended = finish(watcher).await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn a_server_that_does_not_answer_has_an_exit_status_of_its_own() {
    let nobody = Place::new();
    let url = nobody.url();
    for arguments in [
        &["pub", "--server", &url, "a", "1"][..],
        &["pub", "--server", &url, "a"],
        &["sub", "--server", &url, "a"],
    ] {
        let outcome = run(arguments).await;
        assert_eq!(outcome.code, 3, "{outcome:?}");
        assert!(outcome.stderr.contains(&url), "{outcome:?}");
        assert!(outcome.stderr.contains("tidegate serve"), "{outcome:?}");
    }
    let wrong = run(&["sub", "--server", "ftp://example.org", "a"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("https://HOST"), "{wrong:?}");
}

#[tokio::test]
async fn a_command_runs_all_the_same_without_a_server() {
    let nobody = Place::new();
    let url = nobody.url();
    let script = "echo out; echo err >&2; exit 7";
    let outcome = run(&["run", "--server", &url, "--", "sh", "-c", script]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "out\n"));
    assert!(outcome.stderr.starts_with("err\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("was not published"), "{outcome:?}");
    assert!(outcome.stderr.contains(&url), "{outcome:?}");
}

#[tokio::test]
async fn the_environment_may_name_the_server() {
    let server = Server::start().await;
    let child = program(&["pub", "a", "1"])
        .env("TIDEGATE_SERVER", &server.url)
        .spawn()
        .unwrap();
    assert_eq!(finish(child).await.code, 0);
    assert_eq!(
        subscribe(&server, &["a", "-n", "1"]).await.stdout,
        "a #1 1\n"
    );
}

#[tokio::test]
async fn serve_keeps_to_this_machine_unless_told_otherwise() {
    let refused = run(&["serve", "--backend", "memory", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--open-to-everyone"), "{refused:?}");
    assert_eq!(refused.stdout, "");
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&["serve", "--backend", "memory", "--listen", &address]).await;
    assert_eq!(refused.code, 1);
    for word in [&address, "another server", "--listen"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
}

#[tokio::test]
async fn help_and_completions_know_every_command() {
    let help = run(&["--help"]).await;
    assert_eq!(help.code, 0);
    assert!(help.stdout.contains("Exit status:"));
    for command in [
        "serve",
        "pub",
        "sub",
        "run",
        "migrate",
        "config",
        "completions",
    ] {
        assert!(help.stdout.contains(command), "{command}");
        let own = run(&[command, "--help"]).await;
        assert_eq!(own.code, 0);
        assert!(own.stdout.contains("Usage: tidegate"), "{own:?}");
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let script = run(&["completions", shell]).await;
            assert_eq!(script.code, 0);
            assert!(script.stdout.contains(command), "{command} in {shell}");
        }
    }
    assert_eq!(
        run(&["--version"]).await.stdout,
        concat!("tidegate ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(run(&["dance"]).await.code, 2);
}
