//! `tidegate pub`, when standard input has the values.

use std::process::Stdio;

use crate::commands::{json_lines, line, lines_of, publish, subscribe};
use crate::support::events::Events;
use crate::support::program::{Outcome, Server, finish, program};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

/// Publishes `lines` with these `arguments`. Positions go to `stdout`.
async fn publish_lines(server: &Server, arguments: &[&str], lines: &str, stdout: Stdio) -> Outcome {
    let mut all = vec!["pub", "--server", &server.url];
    all.extend(arguments);
    let mut publisher = program(&all);
    let mut publisher = publisher
        .stdin(Stdio::piped())
        .stdout(stdout)
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    // It may have given up already.
    let _ = input.write_all(lines.as_bytes()).await;
    drop(input);
    finish(publisher).await
}

/// The offset and the value of the last publication of a topic.
async fn last(server: &Server, topic: &str) -> String {
    subscribe(server, &[topic, "-n", "1"]).await.stdout
}

#[tokio::test]
async fn a_stream_of_lines_is_published_in_order() {
    let server = Server::start().await;
    let arguments = [
        "pub",
        "--server",
        &server.url,
        "a",
        "--json",
        "--end",
        "complete",
    ];
    let mut publisher = program(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut watcher = program(&["sub", "--server", &server.url, "a", "--json"])
        .spawn()
        .unwrap();
    let mut watched = lines_of(&mut watcher);
    let mut input = publisher.stdin.take().unwrap();
    input.write_all(b"0\n1\n").await.unwrap();
    // A line is published before the next one arrives. The watcher has the first value, so it sees all that follow.
    assert_eq!(json_lines(&line(&mut watched).await)[0]["data"], 0);
    let mut text: String = (2..=1000).map(|number| format!("{number}\n")).collect();
    text.push_str("\n  \n");
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    for number in 1..=1000 {
        let event = &json_lines(&line(&mut watched).await)[0];
        assert_eq!(
            (&event["data"], &event["offset"]),
            (&json!(number), &json!(number + 1))
        );
    }
    assert_eq!(line(&mut watched).await, r#"{"end":"complete"}"#);
    let outcome = finish(publisher).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let positions = json_lines(&outcome.stdout);
    let offsets: Vec<u64> = positions
        .iter()
        .map(|position| position["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets, (1..=1001).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_line_is_published_when_it_comes_and_not_with_the_next() {
    let server = Server::start().await;
    let mut events = Events::open(&server.address, "topic=a").await;
    let mut publisher = program(&["pub", "--server", &server.url, "a"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    for number in 1..=3 {
        input
            .write_all(format!("{number}\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(events.data().await, number);
    }
    drop(input);
    assert_eq!(finish(publisher).await.code, 0);
}

#[tokio::test]
async fn lines_may_name_their_own_topics() {
    let server = Server::start().await;
    let mut publisher = program(&["pub", "--server", &server.url])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    let lines =
        "{\"topic\": \"a\", \"data\": 1}\n{\"topic\": \"b\", \"data\": 2, \"end\": \"failed\"}\n";
    input.write_all(lines.as_bytes()).await.unwrap();
    drop(input);
    assert_eq!(finish(publisher).await.code, 0);
    assert_eq!(
        subscribe(&server, &["a", "-n", "1"]).await.stdout,
        "a #1 1\n"
    );
    assert_eq!(subscribe(&server, &["b"]).await.code, 4);
}

#[tokio::test]
async fn a_status_in_lines_ends_nothing_where_the_command_says_so() {
    let server = Server::start().await;
    let failed = r#"{"status": "failed"}"#;
    let lines = format!("{failed}\n{failed}\n");
    let outcome = publish_lines(&server, &["a"], &lines, Stdio::piped()).await;
    assert_eq!(
        outcome.code, 1,
        "the first line ends the topic: {outcome:?}"
    );
    assert!(outcome.stderr.contains("line 2"), "{outcome:?}");
    let arguments = ["b", "--end", "none"];
    let outcome = publish_lines(&server, &arguments, &lines, Stdio::piped()).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let outcome = publish(&server, &["b", failed, "--end", "NONE"]).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let outcome = publish(&server, &["b", "4", "--json"]).await;
    assert_eq!(json_lines(&outcome.stdout)[0]["offset"], 4, "{outcome:?}");
}

#[tokio::test]
async fn lines_wait_where_the_server_limits_how_often_one_may_publish() {
    let limited = ["serve", "--backend", "memory", "--listen", "127.0.0.1:0"];
    let limited = [&limited[..], &["--publish-rate", "100"]].concat();
    let server = Server::start_with(program(&limited)).await;
    // The server accepts 200 at once.
    let text: String = (1..=300).map(|number| format!("{number}\n")).collect();
    let arguments = ["a", "--json", "--end", "complete"];
    let outcome = publish_lines(&server, &arguments, &text, Stdio::piped()).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let positions = json_lines(&outcome.stdout);
    let offsets: Vec<u64> = positions
        .iter()
        .map(|position| position["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets, (1..=300).collect::<Vec<_>>());
    assert!(last(&server, "a").await.contains("300"));
}

#[tokio::test]
async fn a_line_that_is_wrong_is_named() {
    let server = Server::start().await;
    for (arguments, lines, words) in [
        (&["a"][..], "1\n2\nthree\n", ["line 3", "not JSON"]),
        (&[], "{\"topic\": \"a\"}\n", ["line 1", "data"]),
        (
            &[],
            "{\"topic\": \"a b\", \"data\": 1}\n",
            ["line 1", "byte"],
        ),
        (&["ended"], "1\n", ["line 1", "ended"]),
        (&["--end", "failed"], "", ["--end", "topic"]),
    ] {
        publish(&server, &["ended", "1", "--end", "failed"]).await;
        let outcome = publish_lines(&server, arguments, lines, Stdio::piped()).await;
        let code = if arguments.contains(&"--end") { 2 } else { 1 };
        assert_eq!(outcome.code, code, "{outcome:?}");
        for word in words {
            assert!(outcome.stderr.contains(word), "{word}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn what_stands_before_a_wrong_line_is_published() {
    let server = Server::start().await;
    for topic in ["a", "b", "c"] {
        let mut lines: String = (1..=50).map(|number| format!("{number}\n")).collect();
        lines.push_str("bad\n51\n");
        let outcome = publish_lines(&server, &[topic, "--json"], &lines, Stdio::piped()).await;
        assert_eq!(outcome.code, 1, "{outcome:?}");
        assert!(outcome.stderr.contains("line 51"), "{outcome:?}");
        assert_eq!(json_lines(&outcome.stdout).len(), 50, "{outcome:?}");
        assert_eq!(last(&server, topic).await, format!("{topic} #50 50\n"));
    }
}

#[tokio::test]
async fn of_many_lines_that_are_refused_the_first_is_named() {
    let server = Server::start().await;
    publish(&server, &["a", "1", "--end", "complete"]).await;
    let outcome = publish_lines(&server, &["a"], "2\n3\nbad\n", Stdio::piped()).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("line 1:"), "{outcome:?}");
}

#[tokio::test]
async fn all_is_published_although_nobody_reads_the_positions() {
    let server = Server::start().await;
    let lines: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = publish_lines(&server, &["a", "--json"], &lines, closed.into()).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    assert_eq!(last(&server, "a").await, "a #2000 2000\n");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn positions_that_cannot_be_written_are_told_once_all_is_published() {
    let server = Server::start().await;
    let lines: String = (1..=300).map(|number| format!("{number}\n")).collect();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let outcome = publish_lines(&server, &["a", "--json"], &lines, full.unwrap().into()).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("standard output"), "{outcome:?}");
    assert_eq!(last(&server, "a").await, "a #300 300\n");
}

#[tokio::test]
async fn what_stands_before_a_line_that_cannot_be_read_is_published_but_not_as_the_last() {
    let server = Server::start().await;
    let mut publisher = program(&["pub", "--server", &server.url, "a", "--end", "complete"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    input.write_all(b"1\n2\n\"\xff\"\n3\n").await.unwrap();
    drop(input);
    let outcome = finish(publisher).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("line 3"), "{outcome:?}");
    assert_eq!(last(&server, "a").await, "a #2 2\n");
    assert_eq!(publish(&server, &["a", "4"]).await.code, 0);
}
