//! The program and backends: which one it chooses, what it reports of it, and working without a server.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use std::path::Path;
use std::process::Stdio;

use crate::servers::redis::RedisServer;
use crate::support::http::get;
use crate::support::program::{Outcome, Server, finish, program, run};
use crate::support::within;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidegate::backend::{Address, Keep, Sqlite};
use tidegate::{Client, Publish};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// A password that no output may contain.
const PASSWORD: &str = "hunter2";

/// Backends that don't answer, with a password.
const AWAY: [&str; 3] = [
    "redis://:hunter2@127.0.0.1:1",
    "rediss://user:hunter2@127.0.0.1:1/0",
    "postgres://user:hunter2@127.0.0.1:1/app?password=hunter2",
];

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn sqlite(directory: &TempDir, name: &str) -> String {
    format!("sqlite:{}", directory.path().join(name).display())
}

/// A file with an application's own table.
fn own_table(directory: &TempDir) -> String {
    let address = sqlite(directory, "own.db");
    let path = address.strip_prefix("sqlite:").unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    let table = "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT, data JSON, created_at TEXT)";
    connection.execute_batch(table).unwrap();
    address
}

fn lacks_something(address: &str) -> bool {
    let path = Path::new(address.strip_prefix("sqlite:").unwrap());
    let file = Sqlite::new(path, Keep::default()).unwrap();
    file.migration().unwrap().is_some()
}

fn no_password(outcome: &Outcome) {
    assert!(!format!("{outcome:?}").contains(PASSWORD), "{outcome:?}");
}

#[tokio::test]
async fn who_publishes_without_a_server_deletes_nothing_that_one_keeps_for_devices() {
    let redis = RedisServer::start();
    let rule = ["--history-of", "user:*=1000,7d"];
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &redis.url(),
    ];
    let server = Server::start_with(program(&[&arguments[..], &rule].concat())).await;
    let client = Client::connect(&server.url).await.unwrap();
    for number in 0..600 {
        let answer = client.enqueue("user:1", &number, Publish::default());
        // The server allows only so many unanswered publishes.
        if number % 100 == 99 {
            answer.unwrap().await.unwrap();
        }
    }
    let told = run(&["pub", "--backend", &redis.url(), "user:1", "601"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let address: Address = redis.url().parse().unwrap();
    let guest = tokio::task::spawn_blocking(move || Client::at(Some(address)));
    let guest = guest.await.unwrap().unwrap();
    guest.publish("user:1", &602).await.unwrap();
    let key = redis.cli(&["--scan", "--pattern", "*log:user:1"]);
    assert_eq!(redis.cli(&["XLEN", key.trim()]).trim(), "602");
}

#[tokio::test]
async fn a_server_in_a_fresh_home_names_its_file_and_why() {
    let home = directory();
    let mut command = program(&["serve", "--listen", "127.0.0.1:0"]);
    command.env("HOME", home.path());
    let server = Server::start_with(command).await;
    let debug = get(&server.address, "/debug").await.json();
    let file = home.path().join(".local/state/tidegate/tidegate.db");
    assert!(file.exists());
    assert_eq!(
        debug["backend"]["name"],
        format!("sqlite file {}", file.display())
    );
    let why = debug["backend"]["why"].as_str().unwrap();
    assert!(why.starts_with("no backend is named"), "{why}");
}

/// What a server prints until it listens, and where it says that topics live.
async fn start(arguments: &[&str], environment: &[(&str, &str)]) -> (String, Value) {
    let mut all = vec!["serve", "--listen", "127.0.0.1:0"];
    all.extend(arguments);
    let mut command = program(&all);
    command
        .envs(environment.iter().copied())
        .env("NO_COLOR", "1");
    let mut process = command.spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let line = within("an address", lines.next_line())
        .await
        .unwrap()
        .unwrap();
    let (_, address) = line.split_once("http://").unwrap();
    let debug = get(address, "/debug").await;
    assert!(!debug.body.contains(PASSWORD), "{debug:?}");
    process.start_kill().unwrap();
    let output = within("its end", process.wait_with_output()).await.unwrap();
    (
        String::from_utf8(output.stderr).unwrap(),
        debug.json()["backend"].clone(),
    )
}

#[tokio::test]
async fn what_is_named_but_away_is_passed_over_and_told_where_the_choice_is_free() {
    let home = directory();
    let home = home.path().to_str().unwrap();
    for (variable, url) in [("REDIS_URL", AWAY[0]), ("DATABASE_URL", AWAY[2])] {
        let (log, backend) = start(&[], &[("HOME", home), (variable, url)]).await;
        assert!(!log.contains(PASSWORD), "{log}");
        for told in ["WARN", "sqlite file", variable, "127.0.0.1:1"] {
            assert!(log.contains(told), "{told}: {log}");
        }
        assert!(
            backend["why"].as_str().unwrap().contains(variable),
            "{backend}"
        );
    }
}

#[tokio::test]
async fn the_command_line_comes_before_the_environment() {
    let directory = directory();
    let (named, asked) = (
        sqlite(&directory, "named.db"),
        sqlite(&directory, "asked.db"),
    );
    let environment = [("TIDEGATE_BACKEND", named.as_str())];
    let (log, backend) = start(&[], &environment).await;
    assert!(log.contains("named.db"), "{log}");
    assert!(backend["name"].as_str().unwrap().ends_with("named.db"));
    let (_, backend) = start(&["--backend", &asked], &environment).await;
    assert!(backend["name"].as_str().unwrap().ends_with("asked.db"));
    let (log, backend) = start(&[], &[("PUBSUB_BACKEND", "memory")]).await;
    assert!(log.contains("memory (PUBSUB_BACKEND is memory)"), "{log}");
    assert_eq!(backend["name"], "memory");
}

#[tokio::test]
async fn a_forced_backend_that_is_away_is_an_error_with_a_next_step() {
    for url in AWAY {
        for arguments in [
            &["serve", "--listen", "127.0.0.1:0"][..],
            &["pub", "job:1", "1"],
            &["sub", "job:1"],
            &["migrate"],
        ] {
            let mut all = arguments.to_vec();
            all.extend(["--backend", url]);
            let outcome = run(&all).await;
            assert_eq!(
                (outcome.code, outcome.stdout.as_str()),
                (3, ""),
                "{outcome:?}"
            );
            no_password(&outcome);
            for told in ["127.0.0.1:1", "--backend", "TIDEGATE_BACKEND"] {
                assert!(outcome.stderr.contains(told), "{told}: {outcome:?}");
            }
        }
        let mut named = program(&["serve", "--listen", "127.0.0.1:0"]);
        let outcome = finish(named.env("TIDEGATE_BACKEND", url).spawn().unwrap()).await;
        assert_eq!(outcome.code, 3, "{outcome:?}");
        no_password(&outcome);
    }
}

#[tokio::test]
async fn what_is_no_backend_is_wrong_and_not_repeated_with_its_password() {
    for wrong in [
        "redsi://:hunter2@cache",
        "redis:hunter2",
        "hunter2@db",
        "mysql://u:hunter2@db/x",
    ] {
        for command in ["serve", "migrate"] {
            let outcome = run(&[command, "--backend", wrong]).await;
            assert_eq!(outcome.code, 2, "{outcome:?}");
            assert!(outcome.stderr.contains("postgres://"), "{outcome:?}");
            no_password(&outcome);
        }
        let mut named = program(&["serve", "--listen", "127.0.0.1:0"]);
        let outcome = finish(named.env("PUBSUB_BACKEND", wrong).spawn().unwrap()).await;
        assert_eq!(outcome.code, 2, "{outcome:?}");
        assert!(outcome.stderr.contains("PUBSUB_BACKEND"), "{outcome:?}");
        no_password(&outcome);
    }
    let mut help = program(&["serve", "--help"]);
    no_password(&finish(help.env("TIDEGATE_BACKEND", AWAY[0]).spawn().unwrap()).await);
}

#[tokio::test]
async fn pub_sub_and_run_work_without_a_server() {
    let directory = directory();
    let backend = sqlite(&directory, "topics.db");
    let job = [
        "run",
        "--backend",
        &backend,
        "--job",
        "1",
        "--",
        "sh",
        "-c",
        "echo 50%; exit 3",
    ];
    let mut watcher = program(&["sub", "--backend", &backend, "job:1", "--json"])
        .spawn()
        .unwrap();
    let mut watched = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let worked = run(&job).await;
    assert_eq!(
        (worked.code, worked.stdout.as_str()),
        (3, "50%\n"),
        "{worked:?}"
    );
    let mut last = Value::Null;
    while let Some(line) = within("a line", watched.next_line()).await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["data"].is_object() {
            last = event;
        }
    }
    assert_eq!(
        (&last["data"]["status"], &last["end"]),
        (&json!("FAILED"), &json!("failed"))
    );
    assert_eq!(finish(watcher).await.code, 4);
    let published = run(&["pub", "--backend", &backend, "a", "1", "--json"]).await;
    let position: Value = serde_json::from_str(&published.stdout).unwrap();
    assert_eq!(
        (&position["topic"], &position["offset"]),
        (&json!("a"), &json!(1))
    );
    // A server at the same file knows all of it.
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--backend", &backend];
    let server = Server::start_with(program(&arguments)).await;
    let heard = run(&["sub", "--server", &server.url, "a", "-n", "1"]).await;
    assert_eq!(heard.stdout, "a #1 1\n");
    let heard = run(&["sub", "--server", &server.url, "job:1"]).await;
    assert_eq!(heard.code, 4, "{heard:?}");
}

#[tokio::test]
async fn a_stream_of_lines_is_stored_before_pub_ends() {
    let directory = directory();
    let backend = sqlite(&directory, "topics.db");
    let mut publisher = program(&["pub", "--backend", &backend, "a"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    let text: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    assert_eq!(finish(publisher).await.code, 0);
    let heard = run(&["sub", "--backend", &backend, "a", "-n", "1"]).await;
    assert_eq!(heard.stdout, "a #1000 1000\n");
}

#[tokio::test]
async fn a_command_runs_all_the_same_when_its_backend_is_away() {
    let outcome = run(&[
        "run",
        "--backend",
        AWAY[0],
        "--",
        "sh",
        "-c",
        "echo out; exit 7",
    ])
    .await;
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (7, "out\n"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("is not published"), "{outcome:?}");
    assert!(outcome.stderr.contains("127.0.0.1:1"), "{outcome:?}");
    no_password(&outcome);
}

#[tokio::test]
async fn a_backend_and_a_server_exclude_each_other_on_the_command_line_only() {
    let directory = directory();
    let backend = sqlite(&directory, "topics.db");
    let both = run(&[
        "pub",
        "--server",
        "http://x",
        "--backend",
        &backend,
        "a",
        "1",
    ])
    .await;
    assert_eq!(both.code, 2, "{both:?}");
    let mut publisher = program(&["pub", "--backend", &backend, "a", "1"]);
    publisher.env("TIDEGATE_SERVER", "http://x");
    assert_eq!(finish(publisher.spawn().unwrap()).await.code, 0);
    let alone = run(&["pub", "--backend", "memory", "a", "1"]).await;
    assert_eq!(alone.code, 2);
    assert!(alone.stderr.contains("one process"), "{alone:?}");
}

#[tokio::test]
async fn migrate_shows_the_sql_before_it_runs_it() {
    let directory = directory();
    let backend = own_table(&directory);
    let printed = run(&["migrate", "--backend", &backend, "--print"]).await;
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(
        printed
            .stdout
            .starts_with("ALTER TABLE pubsub_events ADD COLUMN"),
        "{printed:?}"
    );
    assert!(lacks_something(&backend), "it was printed only");
    let done = run(&["migrate", "--backend", &backend]).await;
    assert_eq!((done.code, &done.stdout), (0, &printed.stdout), "{done:?}");
    assert!(!lacks_something(&backend));
    let again = run(&["migrate", "--backend", &backend]).await;
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{again:?}");
    assert!(again.stderr.contains("nothing is missing"), "{again:?}");
    // Looking creates nothing.
    let new = sqlite(&directory, "new.db");
    let printed = run(&["migrate", "--backend", &new, "--print"]).await;
    assert!(
        printed.stdout.starts_with("CREATE TABLE pubsub_events"),
        "{printed:?}"
    );
    assert!(!directory.path().join("new.db").exists());
}

#[tokio::test]
async fn a_server_shows_what_it_changes_of_a_table_that_is_there() {
    let directory = directory();
    let (log, _) = start(&["--backend", &own_table(&directory)], &[]).await;
    assert!(
        log.contains("ALTER TABLE pubsub_events ADD COLUMN"),
        "{log}"
    );
    let (log, _) = start(&["--backend", &sqlite(&directory, "new.db")], &[]).await;
    assert!(!log.contains("CREATE TABLE"), "{log}");
}
