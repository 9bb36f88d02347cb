//! The examples that share a backend only, as processes of their own: here, an SQLite file.
#![cfg(all(feature = "redis", feature = "sqlite"))]

mod support;

use std::path::Path;

use serde_json::json;
use support::http::get;
use support::program::{Server, example, finish};
use tokio::process::Command;

/// An example that finds its backend in the environment.
fn sharing(name: &str, file: &Path) -> Command {
    let mut command = example(name);
    command.env("TIDEGATE_BACKEND", format!("sqlite:{}", file.display()));
    command
}

async fn web(file: &Path) -> Server {
    let mut command = sharing("web", file);
    command.arg("127.0.0.1:0");
    Server::start_with(command).await
}

#[tokio::test]
async fn a_job_and_two_web_servers_share_a_file_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobs.db");
    let (one, two) = (web(&file).await, web(&file).await);
    let url = format!("{}/live", one.url);
    let watcher = example("watch_job").args([&url, "job:7"]).spawn().unwrap();
    let address = two.address.clone();
    let asking = tokio::spawn(async move { get(&address, "/jobs/7").await });
    let job = sharing("job", &file).args(["7", "100000"]).spawn().unwrap();
    let worked = finish(job).await;
    assert_eq!(worked.code, 0, "{worked:?}");
    assert_eq!(
        worked.stdout,
        format!("publishing to sqlite file {}\n", file.display())
    );
    let watched = finish(watcher).await;
    assert_eq!(watched.code, 0, "{watched:?}");
    assert!(
        watched.stdout.ends_with("100% 9592 primes\ncomplete\n"),
        "{watched:?}"
    );
    // Both who waited and who comes late are told how it ended.
    for answer in [asking.await.unwrap(), get(&one.address, "/jobs/7").await] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let update = answer.json();
        assert_eq!(
            (&update["job_id"], &update["status"], &update["message"]),
            (&json!("7"), &json!("COMPLETE"), &json!("9592 primes"))
        );
    }
    let debug = get(&one.address, "/live/debug").await.json();
    assert_eq!(
        debug["backend"]["name"],
        format!("sqlite file {}", file.display())
    );
    assert!(
        debug["backend"]["why"]
            .as_str()
            .unwrap()
            .starts_with("TIDEGATE_BACKEND is sqlite:")
    );
}

#[tokio::test]
async fn a_job_runs_again_under_the_same_id() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobs.db");
    for upto in ["30000", "100000"] {
        let job = sharing("job", &file).args(["7", upto]).spawn().unwrap();
        let worked = finish(job).await;
        assert_eq!(worked.code, 0, "{worked:?}");
    }
    let server = web(&file).await;
    let update = get(&server.address, "/jobs/7").await.json();
    assert_eq!(update["message"], "9592 primes");
}

#[tokio::test]
async fn a_job_whose_backend_is_away_fails_and_says_which() {
    let job = example("job")
        .env("TIDEGATE_BACKEND", "redis://:hunter2@127.0.0.1:1")
        .args(["7", "1"])
        .spawn()
        .unwrap();
    let outcome = finish(job).await;
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("127.0.0.1:1"), "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hunter2"), "{outcome:?}");
}
