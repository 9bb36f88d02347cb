//! Resuming: a subscriber gets exactly what it missed, or a reset.

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::publication::Position;
use tidegate_tests::wire::{Wire, kinds, payloads};
use tidegate_tests::{secs, topic};

fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

fn published(wire: &mut Wire, to: &str, numbers: core::ops::RangeInclusive<u64>) -> Position {
    numbers.for_each(|number| wire.publish(to, number));
    let latest = wire.server.latest(&topic(to));
    latest.expect("something was published").position
}

fn known(to: &str, position: Position) -> Value {
    json!({ "topic": to, "epoch": position.epoch, "offset": position.offset })
}

fn at(position: Position, offset: u64) -> Position {
    Position { offset, ..position }
}

/// A new connection that resumes, and its frames after the welcome.
fn resume(wire: &mut Wire, pattern: &str, since: &[Value]) -> (ConnectionId, Vec<Value>) {
    let id = wire.open();
    let frame = json!({ "type": "subscribe", "pattern": pattern, "since": since });
    wire.send(id, &frame);
    let frames = wire.receive(id);
    (id, frames[1..].to_vec())
}

fn numbers(range: core::ops::RangeInclusive<u64>) -> Vec<Value> {
    range.map(Value::from).collect()
}

#[test]
fn exactly_the_missed_are_recovered_and_then_everything_new() {
    let mut wire = wire();
    let top = published(&mut wire, "job:1", 1..=5);
    for offset in 0..=5 {
        let since = [known("job:1", at(top, offset))];
        let (id, frames) = resume(&mut wire, "job:1", &since);
        assert_eq!(frames[0]["recovered"], json!(true));
        assert_eq!(payloads(&frames), numbers(offset + 1..=5), "since {offset}");
        wire.server.handle_closed(wire.now, id);
    }
    let (id, _) = resume(&mut wire, "job:1", &[known("job:1", top)]);
    wire.publish("job:1", 6);
    assert_eq!(payloads(&wire.receive(id)), numbers(6..=6));
}

#[test]
fn what_was_trimmed_is_reported_and_the_latest_follows() {
    let mut config = ServerConfig::new(1);
    config.hub.history.count_max = 3;
    let mut wire = Wire::new(config);
    let top = published(&mut wire, "job:1", 1..=10);
    let (_, whole) = resume(&mut wire, "job:1", &[known("job:1", at(top, 7))]);
    assert_eq!(payloads(&whole), numbers(8..=10));
    let (_, lost) = resume(&mut wire, "job:1", &[known("job:1", at(top, 6))]);
    assert_eq!(kinds(&lost), ["subscribed", "reset", "pub"]);
    assert_eq!(lost[0]["recovered"], json!(false));
    assert_eq!(lost[1]["offset"], json!(10));
    assert_eq!(payloads(&lost), numbers(10..=10));
}

#[test]
fn another_epoch_or_a_position_ahead_is_a_loss() {
    let mut wire = wire();
    let top = published(&mut wire, "job:1", 1..=5);
    let other = Position {
        epoch: top.epoch + 1,
        offset: 2,
    };
    for position in [other, at(top, 6), Position::default()] {
        let (_, frames) = resume(&mut wire, "job:1", &[known("job:1", position)]);
        assert_eq!(kinds(&frames), ["subscribed", "reset", "pub"], "{position}");
        assert_eq!(payloads(&frames), numbers(5..=5));
    }
}

#[test]
fn without_a_position_the_latest_is_all() {
    let mut wire = wire();
    let top = published(&mut wire, "job:1", 1..=5);
    for since in [vec![], vec![known("job:2", top)]] {
        let (_, frames) = resume(&mut wire, "job:1", &since);
        assert_eq!(kinds(&frames), ["subscribed", "pub"]);
        assert_eq!(frames[0]["recovered"], json!(false));
        assert_eq!(payloads(&frames), numbers(5..=5));
    }
}

#[test]
fn the_answer_carries_the_position_so_that_an_idle_subscriber_can_resume() {
    let mut wire = wire();
    published(&mut wire, "job:1", 1..=2);
    let id = wire.open();
    let frame = json!({ "type": "subscribe", "pattern": "job:1", "latest": false });
    wire.send(id, &frame);
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["welcome", "subscribed"]);
    let mut position = frames[1]["position"].clone();
    wire.server.handle_closed(wire.now, id);
    published(&mut wire, "job:1", 3..=4);
    position["topic"] = json!("job:1");
    let (_, frames) = resume(&mut wire, "job:1", &[position]);
    assert_eq!(payloads(&frames), numbers(3..=4));
}

#[test]
fn a_topic_that_was_only_waited_for_is_resumed_though_nobody_was_left_waiting() {
    let mut wire = wire();
    let (id, frames) = resume(&mut wire, "job:1", &[]);
    let mut position = frames[0]["position"].clone();
    assert_eq!(position["offset"], json!(0));
    wire.server.handle_closed(wire.now, id);
    assert_eq!(wire.server.counts().topics, 0);
    published(&mut wire, "job:1", 1..=3);
    position["topic"] = json!("job:1");
    let (_, frames) = resume(&mut wire, "job:1", &[position]);
    assert_eq!(frames[0]["recovered"], json!(true));
    assert_eq!(payloads(&frames), numbers(1..=3));
}

#[test]
fn a_pattern_recovers_each_topic_from_where_it_was_and_new_ones_whole() {
    let mut wire = wire();
    let one = published(&mut wire, "job:1", 1..=4);
    let two = published(&mut wire, "job:2", 11..=14);
    published(&mut wire, "job:3", 21..=22);
    published(&mut wire, "other", 31..=32);
    let since = [known("job:1", at(one, 2)), known("job:2", two)];
    let (_, frames) = resume(&mut wire, "job:*", &since);
    assert_eq!(frames[0]["recovered"], json!(true));
    let expected = [numbers(3..=4), numbers(21..=22)].concat();
    assert_eq!(payloads(&frames), expected);
    for frame in &frames[1..] {
        assert_eq!(frame["via"], json!("job:*"));
    }
}

#[test]
fn of_a_pattern_only_the_lost_topic_is_reset() {
    let mut config = ServerConfig::new(1);
    config.hub.history.count_max = 3;
    let mut wire = Wire::new(config);
    let one = published(&mut wire, "job:1", 1..=10);
    let two = published(&mut wire, "job:2", 11..=12);
    let since = [
        known("job:1", at(one, 1)),
        known("job:2", at(two, 1)),
        known("job:9", two),
        known("elsewhere", two),
    ];
    let (_, frames) = resume(&mut wire, "job:*", &since);
    assert_eq!(frames[0]["recovered"], json!(false));
    assert_eq!(kinds(&frames[1..]), ["reset", "pub", "pub", "reset"]);
    assert_eq!(payloads(&frames), [json!(10), json!(12)]);
    let gone =
        json!({ "type": "reset", "topic": "job:9", "epoch": 0, "offset": 0, "via": "job:*" });
    assert_eq!(frames[4], gone);
}

#[test]
fn what_is_recovered_is_paced_like_anything_else() {
    let mut wire = wire();
    let top = published(&mut wire, "job:1", 1..=5);
    let id = wire.open();
    let frame = json!({
        "type": "subscribe", "pattern": "job:1", "since": [known("job:1", at(top, 1))],
        "flow": { "throttle_ms": 1000 },
    });
    wire.send(id, &frame);
    assert_eq!(payloads(&wire.receive(id)), numbers(2..=2));
    wire.pass(secs(1));
    assert_eq!(payloads(&wire.receive(id)), numbers(5..=5));
}

#[test]
fn a_forgotten_topic_begins_anew_and_old_positions_are_lost() {
    let mut config = ServerConfig::new(1);
    config.hub.retention = secs(60);
    let mut wire = Wire::new(config);
    let before = published(&mut wire, "job:1", 1..=5);
    wire.pass(secs(59));
    assert_eq!(wire.server.counts().topics, 1);
    wire.pass(secs(1));
    assert_eq!(wire.server.counts().topics, 0);
    let after = published(&mut wire, "job:1", 11..=20);
    assert_ne!(before.epoch, after.epoch);
    let (_, frames) = resume(&mut wire, "job:1", &[known("job:1", before)]);
    assert_eq!(kinds(&frames), ["subscribed", "reset", "pub"]);
}

#[test]
fn a_topic_is_remembered_while_it_is_published_to_or_subscribed_to_by_name() {
    let mut config = ServerConfig::new(1);
    config.hub.retention = secs(60);
    let mut wire = Wire::new(config);
    published(&mut wire, "job:1", 1..=1);
    let (id, _) = resume(&mut wire, "job:1", &[]);
    wire.pass(secs(20));
    published(&mut wire, "job:2", 1..=1);
    let stay_alive = |wire: &mut Wire, rounds: u32| {
        for _ in 0..rounds {
            wire.pass(secs(20));
            wire.send(id, &json!({ "type": "pong" }));
        }
    };
    stay_alive(&mut wire, 2);
    published(&mut wire, "job:2", 2..=2);
    stay_alive(&mut wire, 2);
    assert_eq!(wire.server.counts().topics, 2);
    stay_alive(&mut wire, 10);
    assert_eq!(wire.server.counts().topics, 1, "nobody wants the other");
    wire.server.handle_closed(wire.now, id);
    wire.pass(secs(120));
    assert_eq!(wire.server.counts().topics, 0);
}

#[test]
fn what_is_too_old_is_not_recovered() {
    let mut wire = wire();
    let first = published(&mut wire, "job:1", 1..=1);
    wire.pass(secs(601));
    let (_, frames) = resume(&mut wire, "job:1", &[known("job:1", first)]);
    assert_eq!(payloads(&frames), Vec::<Value>::new());
    assert_eq!(frames[0]["recovered"], json!(true), "it is the latest");
    published(&mut wire, "job:1", 2..=2);
    wire.pass(secs(601));
    published(&mut wire, "job:1", 3..=3);
    let (_, frames) = resume(&mut wire, "job:1", &[known("job:1", first)]);
    assert_eq!(kinds(&frames), ["subscribed", "reset", "pub"]);
}

#[test]
fn without_any_retention_a_topic_lives_as_long_as_someone_wants_it() {
    let mut config = ServerConfig::new(1);
    config.hub.retention = secs(0);
    let mut wire = Wire::new(config);
    let (id, _) = resume(&mut wire, "job:1", &[]);
    published(&mut wire, "job:1", 1..=3);
    wire.pass(secs(1));
    assert_eq!(payloads(&wire.receive(id)), numbers(1..=3));
    assert_eq!(wire.server.counts().topics, 1);
    wire.server.handle_closed(wire.now, id);
    wire.pass(secs(1));
    assert_eq!(wire.server.counts().topics, 0);
}
