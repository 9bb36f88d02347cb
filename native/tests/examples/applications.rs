//! The applications among the examples, each in a separate process, used as their users do.
#![cfg(all(feature = "postgres", feature = "redis", feature = "sqlite"))]

use serde_json::{Value, json};

use crate::servers::postgres::PostgresServer;
use crate::servers::redis::RedisServer;
use crate::support::application::{follow, post, serves_its_page, start, start_with, told};
use crate::support::events::Events;
use crate::support::http::{get, request};
use crate::support::{eventually, within};

#[tokio::test]
async fn every_job_of_the_queue_has_an_end_that_everybody_hears_of() {
    let server = start("job_queue").await;
    serves_its_page(&server, "Job queue").await;
    let order = async |order: Value| post(&server, "/jobs", order).await;
    assert_eq!(order(json!({"name": "none", "steps": 0})).await.status, 400);
    let mut topics = Vec::new();
    for (steps, trouble) in [(4, None), (4, Some("error")), (4, Some("panic"))] {
        let answer = order(json!({"name": "a job", "steps": steps, "trouble": trouble})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        topics.push(answer.json()["topic"].clone());
    }
    let mut statuses = Vec::new();
    for topic in &topics {
        let told = told(&mut follow(&server, "job:*").await, topic).await;
        assert_eq!(told[0]["status"], "QUEUED");
        assert_eq!(told[1]["status"], "RUNNING");
        let last = told.last().unwrap();
        assert_eq!(
            (&last["name"], &last["total"]),
            (&json!("a job"), &json!(4))
        );
        statuses.push((
            last["status"].clone(),
            last["done"].clone(),
            last["message"].clone(),
        ));
    }
    assert_eq!(
        statuses,
        [
            (json!("COMPLETE"), json!(4), Value::Null),
            (json!("FAILED"), json!(2), json!("the disk is full")),
            (json!("FAILED"), json!(2), json!("the job panicked")),
        ]
    );
    // Both workers are busy for minutes, so that the third job waits.
    for _ in 0..3 {
        order(json!({"name": "long", "steps": 10_000})).await;
    }
    let cancel = async |id: u32| {
        let line = format!("DELETE /jobs/{id}");
        request(&server.address, &line, "", "").await.status
    };
    let mut working = follow(&server, "job:*").await;
    while working.next().await["data"]["total"] != 10_000 {}
    for id in [6, 4] {
        assert_eq!(cancel(id).await, 202);
        let topic = json!(format!("job:{id}"));
        let last = told(&mut working, &topic).await.pop().unwrap();
        assert_eq!(last["status"], "CANCELLED");
        eventually("the job to be over", async || cancel(id).await == 404).await;
    }
}

#[tokio::test]
async fn a_job_that_http_triggers_arrives_as_events_and_is_shown_by_debug() {
    let server = start("background_jobs").await;
    serves_its_page(&server, "Background jobs").await;
    let answer = post(&server, "/reports", json!({"title": "Sales", "pages": 40})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let events = answer.json()["events"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(events.as_str()));
    let mut stream = Events::open_at(&server.address, &events, None).await;
    let first = stream.next().await.unwrap();
    assert_eq!(first.data["data"]["name"], "Sales");
    let held = get(&server.address, "/live/debug").await.json();
    assert_eq!(
        (&held["sse_connections"], &held["topics"]),
        (&json!(1), &json!(1))
    );
    let rest = within("the job's end", stream.rest()).await;
    let [.., last, end] = rest.as_slice() else {
        panic!("{rest:?}");
    };
    assert_eq!(last.data["data"]["status"], "COMPLETE");
    assert_eq!(
        (end.name.as_str(), &end.data["reason"]),
        ("end", &json!("complete"))
    );
    let again = Events::open_at(&server.address, &events, end.id.as_deref()).await;
    assert_eq!(again.status(), 204, "a browser is told to stop");
    let debug = get(&server.address, "/debug").await.json();
    let shown = &debug["recent"][0];
    assert_eq!(
        (&shown["topic"], &shown["is_last"]),
        (&json!("report:1"), &json!(true))
    );
    assert_eq!(shown["data"]["status"], "COMPLETE");
    assert_eq!(debug["recent"].as_array().unwrap().len(), 20);
}

/// A run of one program is seen completely by another one, which is started late, and both report its end.
async fn runs_are_shared(environment: &[(&str, &str)], why: &str) {
    let one = start_with("run_events", environment).await;
    serves_its_page(&one, "Run events").await;
    let order = json!({"name": "a model", "steps": 21});
    let answer = post(&one, "/runs", order).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let run = answer.json();
    let two = start_with("run_events", environment).await;
    let events = told(&mut follow(&two, "run:*").await, &run["topic"]).await;
    assert_eq!(
        events.len(),
        24,
        "the start, 21 losses, a checkpoint and the end"
    );
    assert_eq!(
        events[0],
        json!({"event": "started", "name": "a model", "steps": 21})
    );
    assert_eq!(events[21], json!({"event": "checkpoint", "step": 20}));
    let path = format!("/runs/{}", run["run_id"].as_str().unwrap());
    for server in [&one, &two] {
        let last = get(&server.address, &path).await.json();
        assert_eq!(last["event"], "finished", "{last}");
        let backend = &get(&server.address, "/live/debug").await.json()["backend"];
        assert!(backend["why"].as_str().unwrap().contains(why), "{backend}");
    }
}

#[tokio::test]
async fn runs_are_shared_by_programs_with_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let backend = format!("sqlite:{}", folder.path().join("runs.db").display());
    runs_are_shared(
        &[("TIDEGATE_BACKEND", &backend)],
        "TIDEGATE_BACKEND is sqlite:",
    )
    .await;
}

#[tokio::test]
async fn runs_are_shared_by_programs_that_find_the_same_redis() {
    let redis = RedisServer::start();
    let environment = [("TIDEGATE_BACKEND", "auto"), ("REDIS_URL", &redis.url())];
    runs_are_shared(&environment, "REDIS_URL").await;
}

#[tokio::test]
async fn runs_are_shared_by_programs_that_find_the_same_database() {
    let postgres = PostgresServer::start();
    runs_are_shared(&[("DATABASE_URL", &postgres.patient_url())], "DATABASE_URL").await;
}

#[tokio::test]
async fn a_run_that_fails_says_why_and_is_over() {
    let server = start_with("run_events", &[("TIDEGATE_BACKEND", "memory")]).await;
    let order = json!({"name": "a model", "steps": 9, "fails_at": 2});
    let topic = post(&server, "/runs", order).await.json()["topic"].clone();
    let events = told(&mut follow(&server, "run:*").await, &topic).await;
    let why = "the loss is not a number at step 2";
    assert_eq!(events.last(), Some(&json!({"event": "failed", "why": why})));
}

#[tokio::test]
async fn every_application_is_served_as_the_program_is_and_stops_in_order() {
    for name in [
        "background_jobs",
        "job_queue",
        "labeling",
        "run_events",
        "task_chat",
    ] {
        let mut server = start_with(name, &[("TIDEGATE_BACKEND", "memory")]).await;
        let large = format!("x: {}\r\n", "x".repeat(32 * 1024));
        let refused = request(&server.address, "GET /", &large, "").await;
        assert_eq!(refused.status, 431, "{name}: {refused:?}");
        // A refused client gets its answer first, and is counted then.
        let cut = "tidegate_cut_total{reason=\"head_too_large\"} 1\n";
        eventually(&format!("{name} to count it"), async || {
            let told = get(&server.address, "/live/metrics").await;
            told.body.contains(cut)
        })
        .await;
        server.terminate();
        assert!(server.ended().await.success(), "{name}");
    }
}

#[tokio::test]
async fn an_application_that_is_told_to_stop_asks_its_clients_to_go_elsewhere() {
    let mut server = start("job_queue").await;
    let mut socket = follow(&server, "job:*").await;
    server.terminate();
    socket.expect("drain").await;
    drop(socket);
    assert!(server.ended().await.success());
}
