//! Access control: clients are authenticated first, each request is checked against their rights, and rights expire.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::access::Grant;
use tidegate_core::durable::DurableName;
use tidegate_core::limits::{FRAMES_HELD_MAX, HELLO_FIELD_BYTES_MAX};
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::session::{Access, CloseReason, Session, SessionConfig, SessionOutput};
use tidegate_core::time::Instant;
use tidegate_tests::asking::{answer, asked, grant, granted, hello, patterns, publish, wire};
use tidegate_tests::json::Json;
use tidegate_tests::secs;
use tidegate_tests::wire::{kinds, subscribe};

#[test]
fn whoever_shows_nothing_is_turned_away_at_the_first_frame() {
    for frame in [
        subscribe("job:1"),
        publish("job:1"),
        json!({ "type": "ping" }),
        json!({ "type": "hello" }),
    ] {
        let mut wire = wire();
        let id = asked(&mut wire);
        assert_eq!(wire.said(id, &frame), ["error unauthorized"]);
        assert_eq!(wire.closes(), [(id, CloseReason::Unauthorized)]);
        assert_eq!(wire.server.poll_token(), None);
        assert_eq!(wire.server.counts().subscriptions, 0);
    }
}

#[test]
fn what_is_sent_with_the_token_waits_for_the_answer_and_is_done_in_order() {
    let mut wire = wire();
    let id = asked(&mut wire);
    wire.send(id, &hello("mine"));
    assert!(wire.server.is_asking(id));
    wire.send(id, &subscribe("job:1"));
    wire.send(id, &publish("job:1"));
    assert!(wire.receive(id).is_empty());
    answer(&mut wire, "mine", Ok(grant("ada", &["job:*"], &["job:1"])));
    assert!(!wire.server.is_asking(id));
    assert_eq!(
        kinds(&wire.receive(id)),
        ["welcome", "subscribed", "published", "pub"]
    );
}

#[test]
fn a_bad_token_ends_the_connection_and_nothing_of_it_is_done() {
    let mut wire = wire();
    let id = asked(&mut wire);
    wire.send(id, &hello("forged"));
    wire.send(id, &publish("job:1"));
    let error = WireError::new(ErrorCode::Unauthorized, "forged");
    answer(&mut wire, "forged", Err(error));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["error unauthorized"]);
    assert_eq!(frames[0]["fatal"], json!(true));
    assert_eq!(wire.closes(), [(id, CloseReason::Unauthorized)]);
    assert_eq!(wire.server.counts().topics, 0);
}

#[test]
fn who_is_turned_away_by_what_passes_is_closed_as_one_that_may_come_again() {
    for (code, reason) in [
        (
            ErrorCode::TooManyConnections,
            CloseReason::TooManyConnections,
        ),
        (ErrorCode::Unavailable, CloseReason::Unavailable),
        (ErrorCode::Forbidden, CloseReason::Unauthorized),
    ] {
        let mut wire = wire();
        let id = asked(&mut wire);
        wire.send(id, &hello("mine"));
        answer(&mut wire, "mine", Err(WireError::new(code, "not now")));
        let expected = format!("error {}", code.as_str());
        assert_eq!(kinds(&wire.receive(id)), [expected]);
        assert_eq!(wire.closes(), [(id, reason)]);
    }
}

#[test]
fn who_waits_for_an_answer_for_too_long_is_closed_and_the_late_answer_does_nothing() {
    let mut wire = wire();
    let id = asked(&mut wire);
    wire.send(id, &hello("slow"));
    wire.send(id, &publish("job:1"));
    wire.pass(secs(10));
    assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);
    answer(&mut wire, "slow", Ok(Grant::everything()));
    assert_eq!(kinds(&wire.receive(id)), ["error timeout"]);
    assert_eq!(wire.server.counts().topics, 0);
}

#[test]
fn frames_that_wait_for_an_answer_are_bounded() {
    let mut wire = wire();
    let id = asked(&mut wire);
    wire.send(id, &hello("slow"));
    for _ in 0..FRAMES_HELD_MAX {
        wire.send(id, &publish("job:1"));
    }
    assert_eq!(kinds(&wire.receive(id)), ["error too_many_requests"]);
    assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
}

#[test]
fn each_request_is_held_against_the_grant() {
    let mut wire = wire();
    let id = granted(&mut wire, grant("ada", &["job:*", "doc:7"], &["chat:1"]));
    for (frame, expected) in [
        (subscribe("job:1"), "subscribed"),
        (subscribe("job:*"), "subscribed"),
        (subscribe("job:**"), "error forbidden"),
        (subscribe("**"), "error forbidden"),
        (subscribe("user:7"), "error forbidden"),
        (publish("chat:1"), "published"),
        (publish("chat:2"), "error forbidden"),
        (publish("job:1"), "error forbidden"),
        (
            json!({ "type": "watch", "ref": 2, "topic": "doc:7" }),
            "presence_state",
        ),
        (
            json!({ "type": "watch", "ref": 3, "topic": "doc:8" }),
            "error forbidden",
        ),
        (
            json!({ "type": "track", "ref": 4, "topic": "doc:7", "key": "bob", "data": 1 }),
            "error forbidden",
        ),
    ] {
        assert_eq!(wire.said(id, &frame), [expected], "{frame}");
    }
    assert!(wire.closes().is_empty());
}

#[test]
fn a_topic_that_exists_is_refused_in_the_same_words_as_one_that_does_not() {
    let mut wire = wire();
    wire.publish("secret:1", json!(1));
    let id = granted(&mut wire, grant("ada", &["job:*"], &[]));
    let mut refusal = |topic: &str| {
        wire.send(id, &subscribe(topic));
        let frames = wire.receive(id);
        assert_eq!(frames.len(), 1);
        frames[0]["message"].clone()
    };
    assert_eq!(refusal("secret:1"), refusal("secret:2"));
}

#[test]
fn tabs_of_two_users_never_share_whatever_group_they_name() {
    let mut wire = wire();
    let shared = json!({ "type": "hello", "token": "t", "group": "g", "term": 1, "tab": 1 });
    let later = json!({ "type": "hello", "token": "t", "group": "g", "term": 9, "tab": 1 });
    let [ada, bob] = [("ada", &shared), ("bob", &later)].map(|(user, hello)| {
        let id = asked(&mut wire);
        wire.send(id, hello);
        answer(&mut wire, "t", Ok(grant(user, &["job:*"], &[])));
        id
    });
    assert!(wire.closes().is_empty());
    let again = asked(&mut wire);
    wire.send(again, &later);
    answer(&mut wire, "t", Ok(grant("ada", &["job:*"], &[])));
    assert_eq!(wire.closes(), [(ada, CloseReason::Superseded)]);
    assert_eq!(
        wire.said(bob, &subscribe("job:1")),
        ["welcome", "subscribed"]
    );
}

#[test]
fn a_client_is_in_its_own_rooms_without_asking_from_welcome_to_close() {
    let mut wire = wire();
    let id = asked(&mut wire);
    wire.send(id, &hello("t"));
    let own = Grant {
        joins: patterns(&["user:7"]),
        ..grant("7", &[], &[])
    };
    answer(&mut wire, "t", Ok(own));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["welcome", "subscribed"]);
    assert_eq!(frames[1]["pattern"], json!("user:7"));
    wire.publish("user:7", json!(1));
    assert_eq!(kinds(&wire.receive(id)), ["pub"]);
    wire.server.handle_closed(wire.now, id);
    assert_eq!(wire.server.counts().subscriptions, 0);
}

#[test]
fn a_client_that_asks_for_its_own_room_has_it_as_it_asked() {
    let mut wire = wire();
    wire.publish("user:7", json!("before"));
    let own = Grant {
        joins: patterns(&["user:7"]),
        ..grant("7", &[], &[])
    };
    let access = Access::known(Arc::new(own));
    let id = wire.server.handle_open_as(wire.now, &access);
    wire.server.handle_welcome(wire.now, id);
    assert_eq!(kinds(&wire.receive(id)), ["welcome", "subscribed"]);
    let throttled =
        json!({ "type": "subscribe", "pattern": "user:7", "flow": { "throttle_ms": 1000 } });
    assert_eq!(wire.said(id, &throttled), ["subscribed", "pub"]);
    assert_eq!(wire.server.counts().subscriptions, 1);
    assert_eq!(wire.said(id, &throttled), ["error already_subscribed"]);
    let unsubscribe = json!({ "type": "unsubscribe", "pattern": "user:7" });
    assert_eq!(wire.said(id, &unsubscribe), ["unsubscribed"]);
    assert_eq!(wire.server.counts().subscriptions, 0);
}

/// What it says beside its token waits for the answer, and is done together with what it has without asking.
#[test]
fn a_client_that_asks_for_its_own_room_beside_its_token_leaves_nothing_behind() {
    let own = || Grant {
        joins: patterns(&["user:7"]),
        ..grant("7", &["job:*"], &[])
    };
    let unsubscribe = |to: &str| json!({ "type": "unsubscribe", "pattern": to });
    let durable = json!({ "type": "subscribe", "pattern": "user:7", "durable": "phone" });
    for (asks, subscriptions) in [
        (vec![subscribe("user:7")], 1),
        (vec![durable.clone()], 1),
        (vec![durable, unsubscribe("user:7")], 0),
        (vec![subscribe("job:1"), unsubscribe("job:1")], 1),
        (vec![unsubscribe("user:7"), subscribe("user:7")], 1),
    ] {
        let mut wire = wire();
        let id = asked(&mut wire);
        wire.send(id, &hello("t"));
        for frame in &asks {
            wire.send(id, frame);
        }
        answer(&mut wire, "t", Ok(own()));
        assert_eq!(
            wire.server.counts().subscriptions,
            subscriptions,
            "{asks:?}"
        );
        wire.receive(id);
        wire.publish("job:1", json!(1));
        wire.publish("user:7", json!(1));
        let heard = kinds(&wire.receive(id));
        let is_in_room =
            !asks.contains(&unsubscribe("user:7")) || asks.ends_with(&[subscribe("user:7")]);
        assert_eq!(heard.len(), usize::from(is_in_room), "{asks:?}: {heard:?}");
        wire.server.handle_closed(wire.now, id);
        assert_eq!(wire.server.counts().subscriptions, 0, "{asks:?}");
        wire.publish("user:7", json!(2));
        wire.publish("job:1", json!(2));
    }
}

proptest! {
    /// Whatever is asked in whatever order: nothing is delivered that isn't granted, and nothing is left behind.
    #[test]
    fn nobody_hears_what_they_may_not(
        steps in prop::collection::vec((0_usize..6, 0_usize..6, 0_usize..6), 1..60),
    ) {
        const PATTERNS: [&str; 6] = ["a:1", "a:2", "a:*", "b:1", "b:**", "**"];
        const TOPICS: [&str; 6] = ["a:1", "a:2", "a:3", "b:1", "b:1:2", "c"];
        let mut wire = wire();
        let mut grants = patterns(&["a:*"]);
        let id = granted(&mut wire, grant("ada", &["a:*"], &[]));
        for (step, pattern, topic) in steps {
            match step {
                0 | 1 => wire.send(id, &subscribe(PATTERNS[pattern])),
                2 | 3 => wire.publish(TOPICS[topic], json!(1)),
                4 => wire.send(id, &json!({ "type": "unsubscribe", "pattern": PATTERNS[pattern] })),
                _ => {
                    wire.pass(secs(1));
                    grants = patterns(&[PATTERNS[pattern]]);
                    wire.send(id, &hello("t"));
                    answer(&mut wire, "t", Ok(grant("ada", &[PATTERNS[pattern]], &[])));
                }
            }
            for frame in wire.receive(id) {
                if frame["type"] == "pub" {
                    let topic = tidegate_tests::topic(frame["topic"].as_str().expect("a text"));
                    prop_assert!(grants.iter().any(|granted| granted.matches(&topic)), "{topic}");
                }
            }
        }
        wire.server.handle_closed(wire.now, id);
        prop_assert_eq!(wire.server.counts().subscriptions, 0);
    }
}

#[test]
fn a_token_may_be_as_long_as_the_limit() {
    let mut wire = wire();
    let token = "x".repeat(HELLO_FIELD_BYTES_MAX);
    let id = asked(&mut wire);
    wire.send(id, &hello(&token));
    answer(&mut wire, &token, Ok(grant("ada", &[], &[])));
    assert_eq!(kinds(&wire.receive(id)), ["welcome"]);
    let id = asked(&mut wire);
    assert_eq!(wire.said(id, &hello(&(token + "x"))), ["error too_large"]);
    assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
}

#[test]
fn the_rooms_of_a_device_are_durable_under_its_name() {
    for name in [None, Some("phone")] {
        let name = name.map(|name| DurableName::new(name).expect("a name"));
        let mut grant = grant("ada", &[], &[]);
        grant.joins = patterns(&["user:ada"]);
        let mut session: Session<Json> = Session::with_access(
            Instant::ZERO,
            SessionConfig::default(),
            &Access::known(Arc::new(grant)),
        );
        name.iter()
            .for_each(|name| session.handle_device(name.clone()));
        session.handle_welcome(Instant::ZERO);
        let joined = std::iter::from_fn(|| session.poll_output()).find_map(|output| match output {
            SessionOutput::Subscribe(request) => Some(request.durable),
            _ => None,
        });
        assert_eq!(joined, Some(name));
    }
}
