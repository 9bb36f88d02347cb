//! The examples that share only a backend, in separate processes.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::http::get;
use crate::support::program::{Server, example, finish};
use serde_json::json;
use tokio::process::Command;

/// An example that finds its backend in the environment.
fn sharing(name: &str, backend: &str) -> Command {
    let mut command = example(name);
    command.env("TIDEGATE_BACKEND", backend);
    command
}

async fn web(backend: &str) -> Server {
    let mut command = sharing("web", backend);
    command.arg("127.0.0.1:0");
    Server::start_with(command).await
}

/// A job and two web servers that share only a backend; `name` is its name for people.
async fn share(backend: &str, name: &str) {
    let (one, two) = (web(backend).await, web(backend).await);
    let url = format!("{}/live", one.url);
    let watcher = example("watch_job").args([&url, "job:7"]).spawn().unwrap();
    let address = two.address.clone();
    let asking = tokio::spawn(async move { get(&address, "/jobs/7").await });
    let job = sharing("job", backend)
        .args(["7", "100000"])
        .spawn()
        .unwrap();
    let worked = finish(job).await;
    assert_eq!(worked.code, 0, "{worked:?}");
    assert_eq!(worked.stdout, format!("publishing to {name}\n"));
    let watched = finish(watcher).await;
    assert_eq!(watched.code, 0, "{watched:?}");
    assert!(
        watched.stdout.ends_with("100% 9592 primes\ncomplete\n"),
        "{watched:?}"
    );
    // A caller that waited and one that comes late both learn how it ended.
    for answer in [asking.await.unwrap(), get(&one.address, "/jobs/7").await] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let update = answer.json();
        assert_eq!(
            (&update["job_id"], &update["status"], &update["message"]),
            (&json!("7"), &json!("COMPLETE"), &json!("9592 primes"))
        );
    }
    let debug = get(&one.address, "/live/debug").await.json();
    assert_eq!(debug["backend"]["name"], name);
    let why = debug["backend"]["why"].as_str().unwrap();
    assert!(why.starts_with("TIDEGATE_BACKEND is "), "{why}");
}

#[tokio::test]
async fn a_job_and_two_web_servers_share_a_file_only() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jobs.db");
    let file = file.display();
    share(&format!("sqlite:{file}"), &format!("sqlite file {file}")).await;
}

#[tokio::test]
async fn a_job_and_two_web_servers_share_a_redis_only() {
    let redis = RedisServer::start();
    let name = format!("redis at 127.0.0.1:{}/0", redis.port());
    share(&redis.url(), &name).await;
}

#[tokio::test]
async fn a_job_and_two_web_servers_share_a_database_only() {
    let postgres = PostgresServer::start();
    let name = format!("postgres at 127.0.0.1:{}/postgres", postgres.port());
    share(&postgres.patient_url(), &name).await;
}

#[tokio::test]
async fn a_job_runs_again_under_the_same_id() {
    let directory = tempfile::tempdir().unwrap();
    let backend = format!("sqlite:{}", directory.path().join("jobs.db").display());
    for upto in ["30000", "100000"] {
        let job = sharing("job", &backend).args(["7", upto]).spawn().unwrap();
        let worked = finish(job).await;
        assert_eq!(worked.code, 0, "{worked:?}");
    }
    let server = web(&backend).await;
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
