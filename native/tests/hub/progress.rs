//! Progress that several servers count: in one process, at one SQLite file, and at a Redis with a server that is
//! killed.
#![cfg(all(feature = "redis", feature = "sqlite"))]

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use crate::servers::redis::RedisServer;
use crate::support::{config, eventually, within};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::backend::{Backend, Keep, Redis, Sqlite};
use tidegate::core::flow::{Conflate, Flow, Pace};
use tidegate::core::lifecycle::EndReason;
use tidegate::core::protocol::Start;
use tidegate::progress::{Progress, ProgressOptions};
use tidegate::{Event, Hub, Subscribe};
use tokio::io::{AsyncBufReadExt as _, BufReader};

const WORK: &str = "task:7";

/// Where a server that a test kills finds its Redis.
const REDIS_OF_CHILD: &str = "TIDEGATE_TEST_PROGRESS_REDIS";

/// How much that server counts.
const COUNTED_BY_CHILD: u64 = 25;

fn hub_at(backend: impl Backend) -> Hub {
    Hub::with_backend(config(), Arc::new(backend)).unwrap()
}

fn redis(url: &str) -> Hub {
    hub_at(Redis::new(url, Keep::default()).unwrap())
}

async fn counting(hub: &Hub) -> Progress {
    let progress = hub.progress(WORK, ProgressOptions::default());
    within("a tracker", progress).await.unwrap()
}

async fn done(progress: &Progress, session: &str, count: u64) {
    let done = progress.done(session, count);
    within("others to know of it", done).await.unwrap();
}

/// The latest publication of a topic of the work.
async fn latest(hub: &Hub, topic: &str) -> Value {
    let latest = hub.latest(&format!("{WORK}:{topic}")).await.unwrap();
    latest.map_or(Value::Null, |publication| {
        publication.payload.parse().unwrap()
    })
}

/// Waits until all servers, and watchers at any of them, know that these have done this much.
async fn until_agreed(hubs: &[(&Hub, &Progress)], by: &[(&str, u64)]) {
    let sessions: BTreeMap<&str, u64> = by.iter().copied().collect();
    let total: u64 = sessions.values().sum();
    for (hub, progress) in hubs {
        eventually("the counts to agree", async || {
            let told = latest(hub, "progress").await;
            let known = serde_json::to_value(progress.snapshot().await.unwrap()).unwrap();
            [told, known].iter().all(|snapshot| {
                snapshot["done"] == total && snapshot["sessions"] == json!(sessions)
            })
        })
        .await;
    }
}

#[tokio::test]
async fn one_server_tells_each_kind_on_a_topic_of_its_own() {
    let hub = Hub::new(config()).unwrap();
    let sum = Flow {
        pace: Pace::Debounce {
            quiet: std::time::Duration::from_millis(20),
            max_wait: None,
            leading: false,
            trailing: true,
        },
        conflate: Conflate::Sum,
        ..Flow::IMMEDIATE
    };
    let options = |flow| Subscribe {
        flow,
        start: Start::New,
        ..Subscribe::default()
    };
    let mut each = hub
        .subscribe_with("task:7:done", options(Flow::IMMEDIATE))
        .await
        .unwrap();
    let mut summed = hub
        .subscribe_with("task:7:done", options(sum))
        .await
        .unwrap();
    let progress = counting(&hub).await;
    let ada = hub
        .presence(WORK)
        .unwrap()
        .track("ada", &json!(null))
        .await
        .unwrap();
    progress.target(Some(500)).unwrap();
    progress.queued(500).unwrap();
    for _ in 0..3 {
        done(&progress, "ada", 1).await;
        let event = within("an event", each.next()).await;
        let Some(Event::Publication(event)) = event else {
            panic!("{event:?}");
        };
        assert_eq!(
            event.payload.parse::<Value>().unwrap(),
            json!({"done": 1, "by": {"ada": 1}})
        );
    }
    let mut total = 0;
    while total < 3 {
        let Some(Event::Publication(event)) = within("a sum", summed.next()).await else {
            panic!("the topic goes on");
        };
        total += event.payload.parse::<Value>().unwrap()["done"]
            .as_u64()
            .unwrap();
    }
    assert_eq!(total, 3);
    eventually("progress, users and the queue to be told", async || {
        let told = latest(&hub, "progress").await;
        let is_known = told["done"] == 3 && told["remaining"] == 497 && told["active"] == 1;
        is_known && latest(&hub, "users").await["active"] == 1
    })
    .await;
    assert!(latest(&hub, "queue").await["queued"].is_u64());
    drop(ada);
    let mut told = hub.subscribe("task:7:progress").await.unwrap();
    progress.end(EndReason::Complete).unwrap();
    within("the end", async {
        while let Some(event) = told.next().await {
            if let Event::End { reason } = event {
                assert_eq!(reason, EndReason::Complete);
            }
        }
    })
    .await;
    assert_eq!(latest(&hub, "progress").await["done"], 3);
}

#[tokio::test]
async fn two_servers_at_one_file_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topics.db");
    let hub = || hub_at(Sqlite::new(&path, Keep::default()).unwrap());
    let (one, other) = (hub(), hub());
    let (by_one, by_other) = (counting(&one).await, counting(&other).await);
    for _ in 0..20 {
        done(&by_one, "ada", 1).await;
        done(&by_other, "bob", 2).await;
        done(&by_other, "ada", 3).await;
    }
    let both = [(&one, &by_one), (&other, &by_other)];
    until_agreed(&both, &[("ada", 80), ("bob", 40)]).await;
}

#[tokio::test]
async fn what_was_stored_is_read_back_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("topics.db");
    let hub = || hub_at(Sqlite::new(&path, Keep::default()).unwrap());
    let stored = {
        let hub = hub();
        let progress = counting(&hub).await;
        done(&progress, "ada", 7).await;
        serde_json::to_string(&progress.tally().await.unwrap()).unwrap()
    };
    let (one, other) = (hub(), hub());
    let again = |hub: Hub| {
        let options = ProgressOptions {
            stored: Some(serde_json::from_str(&stored).unwrap()),
            ..ProgressOptions::default()
        };
        async move {
            within("a tracker", hub.progress(WORK, options))
                .await
                .unwrap()
        }
    };
    let (by_one, by_other) = (again(one.clone()).await, again(other.clone()).await);
    done(&by_other, "bob", 1).await;
    let both = [(&one, &by_one), (&other, &by_other)];
    until_agreed(&both, &[("ada", 7), ("bob", 1)]).await;
}

/// The server that is killed: another process, which runs this test alone.
#[tokio::test]
async fn a_server_of_its_own() {
    let Ok(url) = std::env::var(REDIS_OF_CHILD) else {
        return;
    };
    let hub = redis(&url);
    let progress = counting(&hub).await;
    for _ in 0..COUNTED_BY_CHILD {
        done(&progress, "cem", 1).await;
    }
    println!("counted");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn servers_behind_redis_agree_when_one_is_killed() {
    let server = RedisServer::start();
    let (one, other) = (redis(&server.url()), redis(&server.url()));
    let (by_one, by_other) = (counting(&one).await, counting(&other).await);
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["progress::a_server_of_its_own", "--exact", "--nocapture"])
        .env(REDIS_OF_CHILD, server.url())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let counting_here = async {
        for _ in 0..20 {
            done(&by_one, "ada", 1).await;
            done(&by_other, "bob", 2).await;
        }
    };
    let counted_there = within("the other process", async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("counted") {
                return;
            }
        }
        panic!("it has ended");
    });
    tokio::join!(counting_here, counted_there);
    child.kill().await.unwrap();
    done(&by_one, "ada", 5).await;
    let expected = [("ada", 25), ("bob", 40), ("cem", COUNTED_BY_CHILD)];
    until_agreed(&[(&one, &by_one), (&other, &by_other)], &expected).await;
    // A server that starts after that learns the dead one's counts from the others.
    let third = redis(&server.url());
    let by_third = counting(&third).await;
    until_agreed(&[(&third, &by_third)], &expected).await;
}
