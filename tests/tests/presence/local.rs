//! Presences of connections within the server's process, and watchers for whom too much waits.

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::presence::Key;
use tidegate_tests::json::Json;
use tidegate_tests::wire::{Wire, kinds};
use tidegate_tests::{secs, topic};

use crate::scene::{opened, present, track, watching};

fn tracked(wire: &mut Wire, id: ConnectionId, number: u64) {
    let key = Key::new("ada").expect("a key");
    let meta = Json::from(number);
    let result = wire
        .server
        .handle_track(wire.now, id, number, topic("room:1"), key, meta);
    assert!(result.is_ok());
    wire.pass(secs(1));
}

#[test]
fn who_is_in_the_process_is_present_and_watches_as_clients_do() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let [ada, watcher] = [(); 2].map(|()| wire.server.handle_open_local(100_000));
    wire.server
        .handle_watch(wire.now, watcher, &topic("room:1"));
    assert_eq!(kinds(&wire.receive(watcher)), ["presence_state"]);
    tracked(&mut wire, ada, 1);
    assert_eq!(present(&wire, "room:1"), [("ada".to_owned(), json!(1))]);
    assert_eq!(wire.receive(watcher)[0]["joins"][0]["data"], json!(1));
    wire.server.handle_untrack(wire.now, ada, 1);
    wire.pass(secs(1));
    assert_eq!(present(&wire, "room:1"), []);
    assert_eq!(kinds(&wire.receive(watcher)), ["presence_diff"]);
    wire.server.handle_unwatch(watcher, &topic("room:1"));
    tracked(&mut wire, ada, 2);
    assert_eq!(wire.receive(watcher), Vec::<Value>::new());
    // A session that has gone is not present any more.
    wire.server.handle_closed(wire.now, ada);
    tracked(&mut wire, ada, 3);
    assert_eq!(present(&wire, "room:1"), []);
}

/// A watcher for whom so many diffs wait, and how many bytes these are.
fn waiting(diffs: u64, bytes_max: usize) -> (Wire, ConnectionId, ConnectionId, usize) {
    let mut config = ServerConfig::new(1);
    config.outbox_bytes_max = bytes_max;
    let mut wire = Wire::new(config);
    let (ada, watcher) = (opened(&mut wire), watching(&mut wire, "room:1"));
    (0..diffs).for_each(|number| join(&mut wire, ada, number));
    let bytes = wire.server.waiting_bytes(watcher);
    (wire, ada, watcher, bytes)
}

fn join(wire: &mut Wire, ada: ConnectionId, number: u64) {
    wire.send(ada, &track(number, "room:1", "ada", &json!(number)));
    wire.pass(secs(1));
}

#[test]
fn a_watcher_misses_diffs_once_more_waits_than_it_may_have() {
    let (.., bytes) = waiting(3, 1_000_000);
    for (bytes_max, last) in [(bytes, "presence_diff"), (bytes - 1, "presence_state")] {
        let (mut wire, ada, watcher, _) = waiting(3, bytes_max);
        join(&mut wire, ada, 4);
        let kinds = kinds(&wire.receive(watcher));
        assert_eq!(kinds.len(), 4, "{kinds:?}");
        assert_eq!(kinds[3], last);
    }
}

#[test]
fn a_watcher_that_has_missed_a_diff_is_told_none_before_the_state() {
    let (.., bytes) = waiting(3, 1_000_000);
    let (mut wire, ada, watcher, _) = waiting(4, bytes - 1);
    wire.receive_one(watcher);
    assert!(wire.server.waiting_bytes(watcher) < bytes);
    join(&mut wire, ada, 5);
    let frames = wire.receive(watcher);
    assert_eq!(
        kinds(&frames),
        ["presence_diff", "presence_diff", "presence_state"]
    );
    assert_eq!(frames[2]["present"].as_array().map(Vec::len), Some(5));
    join(&mut wire, ada, 6);
    assert_eq!(kinds(&wire.receive(watcher)), ["presence_diff"]);
}
