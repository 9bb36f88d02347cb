//! Who is present, across servers in separate processes that share a Redis, while they are killed and stopped.
#![cfg(feature = "redis")]

use std::time::{Duration, Instant};

use crate::servers::redis::RedisServer;
use crate::support::program::{Server, program};
use crate::support::socket::Socket;
use serde_json::json;
use tidegate::core::presence::{KeyChange, KeyChangeKind, Roster};
use tidegate::core::protocol::{ServerEnvelope, ServerFrame};
use tidegate::{Config, Json};

/// What the test adds to a stated time, for a busy machine.
const SLACK: Duration = Duration::from_secs(5);

async fn serve(backend: &RedisServer) -> Server {
    let url = backend.url();
    let listen = ["serve", "--listen", "127.0.0.1:0", "--backend", &url];
    Server::start_with(program(&listen)).await
}

/// A connection of a user who is present.
async fn present(server: &Server, key: &str) -> Socket {
    let mut socket = Socket::open(&server.address).await;
    let track = json!({"type": "track", "ref": 1, "topic": "doc:7", "key": key, "data": null});
    socket.send(track).await;
    socket
}

/// A connection that watches, and what it knows.
struct Watcher {
    socket: Socket,
    roster: Roster<Json>,
    /// Each join and leave of a key.
    told: Vec<(String, KeyChangeKind)>,
}

impl Watcher {
    async fn at(server: &Server) -> Self {
        let mut socket = Socket::open(&server.address).await;
        let watch = json!({"type": "watch", "ref": 1, "topic": "doc:7"});
        socket.send(watch).await;
        Self {
            socket,
            roster: Roster::new(),
            told: Vec::new(),
        }
    }

    /// Reads until this number of metas is present, and returns who joined and left.
    async fn until(&mut self, metas: usize) -> Vec<(String, KeyChangeKind)> {
        while self.roster.metas_len() != metas {
            let frame = self.socket.next().await;
            let envelope: ServerEnvelope<Json> = serde_json::from_value(frame).unwrap();
            let changes = match envelope.try_into().unwrap() {
                ServerFrame::PresenceState(state) => self.roster.handle_state(&state.present),
                ServerFrame::PresenceDiff(diff) => self.roster.handle_diff(&diff),
                _ => Vec::new(),
            };
            self.told.extend(changes.iter().filter_map(came_or_went));
        }
        std::mem::take(&mut self.told)
    }
}

fn came_or_went(change: &KeyChange<Json>) -> Option<(String, KeyChangeKind)> {
    let is_told = change.kind != KeyChangeKind::Updated;
    is_told.then(|| (change.key.to_string(), change.kind))
}

fn joined(key: &str) -> (String, KeyChangeKind) {
    (key.to_owned(), KeyChangeKind::Joined)
}

fn left(key: &str) -> (String, KeyChangeKind) {
    (key.to_owned(), KeyChangeKind::Left)
}

#[tokio::test]
async fn the_users_of_a_killed_server_leave_within_the_stated_time() {
    let redis = RedisServer::start();
    let (mut doomed, other) = (serve(&redis).await, serve(&redis).await);
    let mut watcher = Watcher::at(&other).await;
    let mut users = Vec::new();
    for server in [&doomed, &other, &doomed, &other] {
        users.push(present(server, "ada").await);
    }
    assert_eq!(watcher.until(4).await, [joined("ada")]);
    users.push(present(&doomed, "bob").await);
    assert_eq!(watcher.until(5).await, [joined("bob")]);
    let killed = Instant::now();
    doomed.kill().await;
    assert_eq!(watcher.until(2).await, [left("bob")]);
    let down_after = Config::default().server.presence.down_after;
    assert!(killed.elapsed() < down_after + SLACK);
    // Another run of the server is another node, whose messages arrive at once.
    let successor = serve(&redis).await;
    users.push(present(&successor, "bob").await);
    assert_eq!(watcher.until(3).await, [joined("bob")]);
}

#[tokio::test]
async fn the_users_of_a_server_that_is_told_to_stop_leave_at_once() {
    let redis = RedisServer::start();
    let (mut leaving, other) = (serve(&redis).await, serve(&redis).await);
    let mut watcher = Watcher::at(&other).await;
    let mut obeys = present(&leaving, "obeys").await;
    let _ignores = present(&leaving, "ignores").await;
    watcher.until(2).await;
    let stopped = Instant::now();
    leaving.terminate();
    obeys.expect("drain").await;
    drop(obeys);
    assert_eq!(watcher.until(1).await, [left("obeys")]);
    // A client that doesn't connect elsewhere when asked to leaves with the server.
    assert_eq!(watcher.until(0).await, [left("ignores")]);
    let down_after = Config::default().server.presence.down_after;
    assert!(stopped.elapsed() < down_after * 2 / 3);
    assert!(leaving.ended().await.success());
}
