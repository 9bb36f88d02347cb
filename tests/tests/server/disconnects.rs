//! The connections of a user are ended, at all servers that hear of it, then or later.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::access::Grant;
use tidegate_core::durable::CursorCall;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, Disconnect, DisconnectsEnvelope, ServerConfig};
use tidegate_core::limits::DISCONNECTS_MAX;
use tidegate_core::protocol::SubscribeRequest;
use tidegate_core::session::{Access, CloseReason};
use tidegate_tests::asking::{answer, asked, grant, granted, hello, wire};
use tidegate_tests::wire::{Wire, kinds, payloads, subscribe};
use tidegate_tests::{ms, pattern, secs};

pub(crate) fn ada() -> Grant {
    grant("ada", &["**"], &["**"])
}

/// Ends the connections of a user; this server announces it to the others.
pub(crate) fn disconnect(wire: &mut Wire, id: u64, user: &str) -> usize {
    wire.server
        .handle_disconnect(wire.now, id, &user.into(), true)
}

/// The server's broadcasts, as text.
pub(crate) fn said(wire: &mut Wire) -> Option<String> {
    let told = wire.server.poll_disconnects(wire.now);
    let text = serde_json::to_string(&DisconnectsEnvelope::from(told.clone())).unwrap();
    (!told.is_empty()).then_some(text)
}

pub(crate) fn hear(wire: &mut Wire, text: &str) {
    let envelope: DisconnectsEnvelope = serde_json::from_str(text).unwrap();
    wire.server
        .handle_disconnects_heard(wire.now, envelope.into());
}

/// Two servers that hear each other. Clients may be silent as long as they like.
pub(crate) fn servers() -> [Wire; 2] {
    [1, 2].map(|seed| {
        let mut config = ServerConfig::new(seed);
        config.session.heartbeat = secs(24 * 3600);
        let mut wire = Wire::new(config);
        wire.server.handle_servers_linked(wire.now);
        wire
    })
}

pub(crate) fn ends(wire: &mut Wire) -> Vec<ConnectionId> {
    let ended = wire.closes().into_iter().map(|(id, reason)| {
        assert_eq!(reason, CloseReason::Disconnected);
        wire.server.handle_closed(wire.now, id);
        id
    });
    ended.collect()
}

#[test]
fn all_connections_of_the_user_end_after_what_was_sent_and_no_other() {
    let mut wire = wire();
    let (phone, tablet) = (granted(&mut wire, ada()), granted(&mut wire, ada()));
    let bob = granted(&mut wire, grant("bob", &["**"], &[]));
    let nobody = wire.open();
    for id in [phone, tablet, bob, nobody] {
        wire.send(id, &subscribe("job:1"));
        wire.receive(id);
    }
    wire.publish("job:1", 7);
    assert_eq!(disconnect(&mut wire, 1, "ada"), 2);
    wire.publish("job:1", 8);
    for id in [phone, tablet] {
        let frames = wire.receive(id);
        assert_eq!(kinds(&frames), ["pub", "error disconnected"]);
        assert_eq!(payloads(&frames), [json!(7)]);
        assert_eq!(frames[1]["fatal"], json!(true));
    }
    assert_eq!(ends(&mut wire), [phone, tablet]);
    assert_eq!(wire.server.counts().subscriptions, 2);
    for id in [bob, nobody] {
        assert_eq!(payloads(&wire.receive(id)), [json!(7), json!(8)]);
    }
    assert_eq!(disconnect(&mut wire, 2, "ada"), 0, "they are gone");
}

#[test]
fn what_is_ending_already_is_not_ended_again() {
    let mut wire = wire();
    let id = granted(&mut wire, ada());
    assert_eq!(disconnect(&mut wire, 1, "ada"), 1);
    // Its host has not closed it yet.
    assert_eq!(disconnect(&mut wire, 2, "ada"), 0);
    assert_eq!(ends(&mut wire), [id]);
}

#[test]
fn a_session_that_has_not_said_anything_or_drains_ends_too() {
    let mut wire = wire();
    let silent = wire
        .server
        .handle_open_as(wire.now, &Access::known(Arc::new(ada())));
    let draining = granted(&mut wire, ada());
    wire.server.handle_drain(wire.now);
    assert_eq!(disconnect(&mut wire, 1, "ada"), 2);
    assert_eq!(ends(&mut wire), [silent, draining]);
    for id in [silent, draining] {
        assert!(wire.receive(id).is_empty(), "it is closed");
    }
}

#[test]
fn a_connection_that_showed_the_token_of_another_user_is_its_first_users() {
    let mut wire = wire();
    let id = granted(&mut wire, ada());
    wire.send(id, &hello("bob's"));
    answer(&mut wire, "bob's", Ok(grant("bob", &[], &[])));
    assert_eq!(wire.closes(), [(id, CloseReason::Unauthorized)]);
    for user in ["ada", "bob"] {
        assert_eq!(disconnect(&mut wire, 1, user), 0, "{user}");
    }
    wire.server.handle_closed(wire.now, id);
}

#[test]
fn presences_leave_at_once_and_what_was_acknowledged_is_stored() {
    let mut wire = wire();
    let id = granted(&mut wire, ada());
    let watcher = wire.open();
    wire.send(
        watcher,
        &json!({ "type": "watch", "ref": 1, "topic": "doc:7" }),
    );
    let track = json!({ "type": "track", "ref": 2, "topic": "doc:7", "key": "ada", "data": 1 });
    wire.send(id, &track);
    let durable = json!({ "type": "subscribe", "pattern": "job:1", "durable": "phone" });
    wire.send(id, &durable);
    wire.publish("job:1", 1);
    let published = wire.receive(id).pop().unwrap();
    let position =
        json!({ "topic": "job:1", "epoch": published["epoch"], "offset": published["offset"] });
    let ack = json!({ "type": "ack", "pattern": "job:1", "positions": [position] });
    wire.send(id, &ack);
    wire.pass(ms(100));
    wire.receive(watcher);
    disconnect(&mut wire, 1, "ada");
    ends(&mut wire);
    wire.pass(ms(50));
    let told = wire.receive(watcher);
    assert_eq!(kinds(&told), ["presence_diff"]);
    assert_eq!(told[0]["leaves"][0]["key"], "ada");
    let calls = [CursorCall::List { user: "ada".into() }];
    let answers = wire.server.handle_cursor_calls(wire.now, &calls);
    let kept = format!("{answers:?}");
    assert!(kept.contains("offset: 1"), "{kept}");
}

#[test]
fn streams_on_behalf_of_the_user_end_and_those_of_the_process_go_on() {
    let mut wire = wire();
    let mut open = |user: Option<&str>| {
        let id = wire.server.handle_open_local(1 << 20);
        if let Some(user) = user {
            wire.server.handle_guest(wire.now, id);
            assert!(wire.server.handle_user(id, Some(user.into()), wire.now));
        }
        let request = SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
        wire.server.handle_subscribe(wire.now, id, request).unwrap();
        id
    };
    let (own, ada, bob) = (open(None), open(Some("ada")), open(Some("bob")));
    wire.publish("job:1", 7);
    assert_eq!(disconnect(&mut wire, 1, "ada"), 1);
    wire.publish("job:1", 8);
    assert_eq!(payloads(&wire.receive(ada)), [json!(7)]);
    for id in [own, bob] {
        assert_eq!(payloads(&wire.receive(id)), [json!(7), json!(8)]);
    }
    assert_eq!(ends(&mut wire), [ada]);
}

#[test]
fn who_was_being_asked_about_is_not_let_in_and_who_is_asked_later_is() {
    let mut wire = wire();
    wire.pass(ms(1));
    let (slow, bob) = (asked(&mut wire), asked(&mut wire));
    wire.send(slow, &hello("slow"));
    wire.pass(ms(1));
    disconnect(&mut wire, 1, "ada");
    wire.pass(ms(1));
    answer(&mut wire, "slow", Ok(ada()));
    assert_eq!(kinds(&wire.receive(slow)), ["error disconnected"]);
    assert_eq!(ends(&mut wire), [slow]);
    wire.send(bob, &hello("bob's"));
    answer(&mut wire, "bob's", Ok(grant("bob", &[], &[])));
    assert_eq!(kinds(&wire.receive(bob)), ["welcome"]);
    granted(&mut wire, ada());
    // The same for those of whom it is known before they connect.
    let grant = Arc::new(ada());
    let before = Access::known_since(Arc::clone(&grant), tidegate_tests::at(1));
    let early = wire.server.handle_open_as(wire.now, &before);
    assert_eq!(kinds(&wire.receive(early)), ["error disconnected"]);
    assert_eq!(ends(&mut wire), [early]);
    let after = Access::known_since(grant, wire.now);
    wire.server.handle_open_as(wire.now, &after);
    let stream = wire.server.handle_open_local(1 << 20);
    wire.server.handle_guest(wire.now, stream);
    let user = Some("ada".into());
    assert!(!wire.server.handle_user(stream, user, tidegate_tests::at(1)));
    assert_eq!(ends(&mut wire), [stream]);
    assert_eq!(disconnect(&mut wire, 2, "ada"), 2);
}

#[test]
fn another_server_that_hears_of_it_ends_its_connections_at_once_and_only_once() {
    let [mut one, mut other] = servers();
    let id = granted(&mut other, ada());
    one.pass(ms(5));
    other.pass(ms(5));
    assert_eq!(disconnect(&mut one, 1, "ada"), 0);
    let text = said(&mut one).expect("others are told at once");
    assert_eq!(said(&mut one), None);
    hear(&mut other, &text);
    assert_eq!(kinds(&other.receive(id)), ["error disconnected"]);
    assert_eq!(ends(&mut other), [id]);
    assert_eq!(said(&mut other), None, "it is the first one's to tell");
    // What comes back, or twice, ends nobody who has come since.
    for wire in [&mut one, &mut other] {
        granted(wire, ada());
        hear(wire, &text);
        assert_eq!(wire.closes(), []);
    }
}

#[test]
fn a_server_that_had_no_link_is_told_when_it_has_one_and_whoever_has_come_since_stays() {
    let [mut one, mut away] = servers();
    let before = granted(&mut away, ada());
    for wire in [&mut one, &mut away] {
        wire.pass(secs(60));
    }
    disconnect(&mut one, 1, "ada");
    said(&mut one).expect("what is lost");
    for wire in [&mut one, &mut away] {
        wire.pass(secs(60));
    }
    let since = granted(&mut away, ada());
    while away.server.poll_presence().is_some() {}
    away.server.handle_servers_linked(away.now);
    let hello = away
        .server
        .poll_presence()
        .expect("it says that it is there");
    one.server.handle_presence_heard(one.now, hello);
    one.pass(secs(1));
    let text = said(&mut one).expect("it is told again");
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["disconnects"][0]["age_ms"], 61_000);
    away.pass(secs(1));
    hear(&mut away, &text);
    assert_eq!(ends(&mut away), [before]);
    assert_eq!(
        kinds(&away.answer(since, &json!({ "type": "ping" }))),
        ["pong"]
    );
}

#[test]
fn a_server_tells_what_it_could_not_tell_before_but_not_what_is_long_ago() {
    for (waits, is_told) in [(599, true), (601, false)] {
        let mut wire = wire();
        disconnect(&mut wire, 1, "ada");
        assert_eq!(said(&mut wire), None, "nobody hears it");
        wire.pass(secs(waits - 1));
        wire.server.handle_servers_linked(wire.now);
        wire.pass(secs(1));
        assert_eq!(said(&mut wire).is_some(), is_told, "{waits} s");
    }
}

#[test]
fn what_another_server_tells_is_not_told_on() {
    let [mut one, mut other] = servers();
    disconnect(&mut one, 1, "ada");
    let text = said(&mut one).unwrap();
    hear(&mut other, &text);
    other.server.handle_servers_linked(other.now);
    other.pass(secs(2));
    assert_eq!(said(&mut other), None);
}

#[test]
fn so_many_are_remembered_and_told_in_messages_of_bounded_size() {
    let mut wire = wire();
    for number in 0..DISCONNECTS_MAX as u64 + 1 {
        disconnect(&mut wire, number, &format!("{number:08}"));
    }
    wire.server.handle_servers_linked(wire.now);
    wire.pass(secs(1));
    let texts: Vec<String> = std::iter::from_fn(|| said(&mut wire)).collect();
    let bytes_max = ServerConfig::new(1).presence.limits.message_bytes_max;
    assert!(texts.iter().all(|text| text.len() <= bytes_max));
    assert!((2..20).contains(&texts.len()), "{}", texts.len());
    let users = texts.iter().flat_map(|text| {
        let told: Value = serde_json::from_str(text).unwrap();
        told["disconnects"].as_array().unwrap().clone()
    });
    let users: Vec<Value> = users.map(|told| told["user"].clone()).collect();
    assert_eq!(users.len(), DISCONNECTS_MAX);
    assert_eq!(users[0], "00000001", "the oldest is forgotten");
}

proptest! {
    /// Disconnects may be delayed, lost and repeated. Every connection that was open at either server when one was requested is
    /// ended by the time that both servers have been linked again, and no connection opened since the last one is.
    #[test]
    fn in_the_end_only_those_are_connected_who_have_come_since(
        steps in prop::collection::vec((0..2_usize, 0..4_u8, 1..5_000_u64, any::<bool>()), 1..30),
    ) {
        let mut servers = servers();
        let mut open: Vec<(usize, ConnectionId, u64)> = Vec::new();
        let (mut clock, mut last, mut number) = (0, None, 0);
        for (server, what, pause, is_lost) in steps {
            let wire = &mut servers[server];
            match what {
                0 => {
                    number += 1;
                    disconnect(wire, number, "ada");
                    last = Some(clock);
                }
                _ => open.push((server, granted(wire, ada()), clock)),
            }
            for wire in &mut servers {
                wire.pass(ms(pause));
            }
            clock += pause;
            exchange(&mut servers, is_lost);
            close(&mut servers, &mut open);
        }
        for server in [0, 1] {
            let now = servers[server].now;
            servers[server].server.handle_servers_linked(now);
        }
        for wire in &mut servers {
            wire.pass(secs(1));
        }
        exchange(&mut servers, false);
        close(&mut servers, &mut open);
        // The time on the way is taken for time since.
        let came_before = |(_, _, at): &(usize, ConnectionId, u64)| last.is_some_and(|last| *at < last);
        prop_assert!(!open.iter().any(came_before), "{open:?}, {last:?}");
        let stay = open.len();
        let connected: usize = servers.iter().map(|wire| wire.server.connections()).sum();
        prop_assert_eq!(connected, stay);
    }
}

fn exchange(servers: &mut [Wire; 2], is_lost: bool) {
    for from in [0, 1] {
        while let Some(text) = said(&mut servers[from]) {
            if !is_lost {
                hear(&mut servers[1 - from], &text);
                hear(&mut servers[from], &text);
            }
        }
    }
}

fn close(servers: &mut [Wire; 2], open: &mut Vec<(usize, ConnectionId, u64)>) {
    for (server, wire) in servers.iter_mut().enumerate() {
        for id in ends(wire) {
            open.retain(|(at, known, _)| (*at, *known) != (server, id));
        }
    }
}

/// A broadcast about one user has room for the longest name.
#[test]
fn a_message_has_at_least_one_however_long_its_user() {
    let mut config = ServerConfig::new(1);
    config.presence.limits.message_bytes_max = 10;
    let mut wire = Wire::new(config);
    wire.server.handle_servers_linked(wire.now);
    for user in ["ada", "bob"] {
        disconnect(&mut wire, 1, user);
    }
    let told: Vec<Disconnect> = wire.server.poll_disconnects(wire.now);
    assert_eq!(told.len(), 1);
    assert_eq!(wire.server.poll_disconnects(wire.now).len(), 1);
}
