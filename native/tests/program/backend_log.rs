//! What the log says of a backend that is lost or full.
#![cfg(all(unix, feature = "redis"))]

use crate::servers::redis::RedisServer;
use crate::support::http::{get, publish};
use crate::support::program::program;
use crate::support::{eventually, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr};

/// A server at a backend, with its log.
struct Logged {
    process: Child,
    address: String,
    log: Lines<BufReader<ChildStderr>>,
}

impl Logged {
    async fn start(backend: &str) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--log", "json"];
        let mut process = program(&[&arguments[..], &["--backend", backend]].concat())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = within("an address", lines.next_line()).await.unwrap();
        let (_, address) = line.as_deref().unwrap().split_once("http://").unwrap();
        // It listens before it has reached its backend.
        let is_ready = async || get(address, "/readyz").await.status == 200;
        eventually("the backend to be reached", is_ready).await;
        Self {
            address: address.to_owned(),
            log: BufReader::new(process.stderr.take().unwrap()).lines(),
            process,
        }
    }

    /// The next line of the log that says this, and how many at the same level came before it.
    async fn until(&mut self, level: &str, said: &str) -> (Value, usize) {
        let mut before = 0;
        loop {
            let line = within(said, self.log.next_line()).await.unwrap();
            let line: Value = serde_json::from_str(&line.expect(said)).unwrap();
            if line["message"].as_str().unwrap().contains(said) {
                assert_eq!(line["level"], level, "{line}");
                return (line, before);
            }
            before += usize::from(line["level"] == level);
        }
    }

    /// Ends the server, and returns how often its log says this from here on.
    async fn count(mut self, said: &str) -> usize {
        let pid = Pid::from_raw(i32::try_from(self.process.id().unwrap()).unwrap());
        kill_process(pid.unwrap(), Signal::TERM).unwrap();
        let mut count = 0;
        while let Some(line) = within("its end", self.log.next_line()).await.unwrap() {
            count += usize::from(line.contains(said));
        }
        count
    }
}

#[tokio::test]
async fn a_server_that_nobody_uses_tells_that_its_link_is_lost_and_why() {
    let redis = RedisServer::start();
    let mut server = Logged::start(&redis.url()).await;
    for _ in 0..2 {
        redis.cli(&["client", "kill", "type", "pubsub"]);
        let (lost, warned) = server.until("WARN", "subscribers are stale").await;
        let error = lost["error"].as_str().unwrap();
        assert!(
            error.contains("the connection to the server was lost"),
            "{lost}"
        );
        assert_eq!(warned, 0, "before {lost}");
        server.until("INFO", "the backend is back").await;
    }
}

#[tokio::test]
async fn a_full_backend_is_told_of_once() {
    let redis = RedisServer::start();
    let server = Logged::start(&redis.url()).await;
    redis.cli(&["config", "set", "maxmemory", "1"]);
    for number in 0..30 {
        let answer = publish(&server.address, &json!({"topic": "a", "data": number})).await;
        assert_eq!(answer.status, 507, "{answer:?}");
    }
    assert_eq!(server.count("publications are refused").await, 1);
}
