//! Tokens that expire during their connection, and those that replace them.

use serde_json::{Value, json};
use tidegate_core::access::Grant;
use tidegate_core::limits::TOKEN_RATE;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;
use tidegate_tests::asking::{answer, asked, grant, granted, hello, wire};
use tidegate_tests::wire::{kinds, subscribe};
use tidegate_tests::{ms, secs};

#[test]
fn a_grant_ends_on_a_live_connection() {
    let mut wire = wire();
    let ends = Grant {
        expires: Some(Instant::from_millis(3_000)),
        ..grant("ada", &["job:*"], &[])
    };
    let id = granted(&mut wire, ends);
    assert_eq!(wire.said(id, &subscribe("job:1")), ["subscribed"]);
    wire.pass(ms(2_999));
    assert!(wire.closes().is_empty());
    wire.pass(ms(1));
    assert_eq!(wire.closes(), [(id, CloseReason::Unauthorized)]);
    assert_eq!(kinds(&wire.receive(id)), ["error token_expired"]);
    assert_eq!(wire.server.counts().subscriptions, 0);
}

#[test]
fn a_new_token_in_time_prolongs_the_grant_and_ends_what_it_does_not_cover() {
    let mut wire = wire();
    let first = Grant {
        expires: Some(Instant::from_millis(3_000)),
        ..grant("ada", &["job:*", "log:*"], &[])
    };
    let id = granted(&mut wire, first);
    for pattern in ["job:1", "log:1"] {
        assert_eq!(wire.said(id, &subscribe(pattern)), ["subscribed"]);
    }
    wire.pass(secs(2));
    wire.send(id, &hello("next"));
    answer(&mut wire, "next", Ok(grant("ada", &["job:1"], &[])));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["error forbidden", "welcome"]);
    assert_eq!(frames[0]["pattern"], json!("log:1"));
    assert_eq!(frames[1].get("expires_in_ms"), None, "without end");
    wire.pass(secs(5));
    assert!(wire.closes().is_empty());
    wire.publish("job:1", json!(1));
    wire.publish("log:1", json!(1));
    assert_eq!(kinds(&wire.receive(id)), ["pub"]);
}

#[test]
fn a_new_token_ends_watches_and_presences_that_it_does_not_cover_and_says_so() {
    let mut wire = wire();
    let id = granted(&mut wire, grant("ada", &["doc:*"], &[]));
    let other = granted(&mut wire, grant("bob", &["doc:*"], &[]));
    for (to, watch, track) in [("doc:1", 11, 21), ("doc:2", 12, 22)] {
        let frame = json!({ "type": "watch", "ref": watch, "topic": to });
        assert_eq!(wire.said(id, &frame), ["presence_state"]);
        wire.send(id, &tracks(track, to, "ada"));
        wire.pass(secs(1));
        assert_eq!(kinds(&wire.receive(id)), ["presence_diff"]);
    }
    wire.send(
        other,
        &json!({ "type": "watch", "ref": 1, "topic": "doc:2" }),
    );
    wire.receive(other);
    wire.send(id, &hello("fewer"));
    answer(&mut wire, "fewer", Ok(grant("ada", &["doc:1"], &[])));
    let mut frames = wire.receive(id);
    frames.retain(|frame| frame["type"] == "error");
    let told = frames.iter().map(|error| (&error["code"], &error["ref"]));
    let forbidden = json!("forbidden");
    let (watch, track) = (json!(12), json!(22));
    assert!(told.eq([(&forbidden, &watch), (&forbidden, &track)]));
    wire.pass(secs(1));
    let frames = wire.receive(other);
    assert_eq!(kinds(&frames), ["presence_diff"]);
    assert_eq!(frames[0]["leaves"][0]["key"], json!("ada"));

    // Subscriptions that the new token covers go on; the others have ended for good.
    for (number, to) in [(2, "doc:1"), (3, "doc:2")] {
        wire.send(other, &tracks(number, to, "bob"));
        wire.pass(secs(1));
    }
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["presence_diff"]);
    assert_eq!(frames[0]["topic"], json!("doc:1"));
}

fn tracks(number: u64, to: &str, key: &str) -> Value {
    json!({ "type": "track", "ref": number, "topic": to, "key": key, "data": 1 })
}

#[test]
fn a_welcome_tells_how_long_the_token_lasts_and_a_new_one_is_welcomed_again() {
    let mut wire = wire();
    let lasting = |millis| Grant {
        expires: Some(Instant::from_millis(millis)),
        ..grant("ada", &["job:*"], &[])
    };
    let id = asked(&mut wire);
    wire.pass(secs(1));
    for (token, millis, lasts) in [("first", 61_000, 60_000), ("next", 121_000, 120_000)] {
        wire.send(id, &hello(token));
        answer(&mut wire, token, Ok(lasting(millis)));
        let frames = wire.receive(id);
        assert_eq!(kinds(&frames), ["welcome"]);
        assert_eq!(frames[0]["expires_in_ms"], json!(lasts));
    }
}

#[test]
fn a_new_token_that_is_over_already_leaves_the_old_grant() {
    let mut wire = wire();
    let until = |millis| Grant {
        expires: Some(Instant::from_millis(millis)),
        ..grant("ada", &["job:*"], &[])
    };
    let id = granted(&mut wire, until(60_000));
    wire.pass(secs(10));
    wire.send(id, &hello("old"));
    answer(&mut wire, "old", Ok(until(9_000)));
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["error token_expired"]);
    assert_eq!(frames[0].get("fatal"), None);
    wire.pass(secs(14));
    assert_eq!(wire.said(id, &subscribe("job:1")), ["subscribed"]);
}

#[test]
fn tokens_are_looked_at_no_more_often_than_once_a_second_after_the_first_few() {
    let mut wire = wire();
    let id = granted(&mut wire, grant("ada", &["job:*"], &[]));
    let burst = TOKEN_RATE.burst.get() - 1;
    for _ in 0..burst {
        wire.send(id, &hello("next"));
        answer(&mut wire, "next", Ok(grant("ada", &["job:*"], &[])));
        assert_eq!(kinds(&wire.receive(id)), ["welcome"]);
    }
    assert_eq!(
        wire.said(id, &hello("one too many")),
        ["error too_many_requests"]
    );
    assert_eq!(wire.server.poll_token(), None);
    wire.pass(secs(1));
    wire.send(id, &hello("in time"));
    answer(&mut wire, "in time", Ok(grant("ada", &["job:*"], &[])));
    assert_eq!(kinds(&wire.receive(id)), ["welcome"]);
    assert_eq!(wire.said(id, &subscribe("job:1")), ["subscribed"]);
}

#[test]
fn whoever_is_unknown_and_floods_with_tokens_is_turned_away() {
    let mut wire = wire();
    let id = asked(&mut wire);
    for _ in 0..=TOKEN_RATE.burst.get() {
        wire.send(id, &hello("guess"));
    }
    assert_eq!(kinds(&wire.receive(id)), ["error too_many_requests"]);
    assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
}

#[test]
fn a_bad_new_token_leaves_the_old_grant_and_another_users_ends_the_connection() {
    let mut wire = wire();
    let id = granted(&mut wire, grant("ada", &["job:*"], &[]));
    wire.send(id, &hello("bad"));
    let error = WireError::new(ErrorCode::Unauthorized, "bad");
    answer(&mut wire, "bad", Err(error));
    assert_eq!(kinds(&wire.receive(id)), ["error unauthorized"]);
    assert_eq!(wire.said(id, &subscribe("job:1")), ["subscribed"]);
    wire.send(id, &hello("bob's"));
    answer(&mut wire, "bob's", Ok(grant("bob", &["job:*"], &[])));
    assert_eq!(wire.closes(), [(id, CloseReason::Unauthorized)]);
}

#[test]
fn tokens_mean_nothing_to_a_server_that_does_not_ask() {
    let mut wire = wire();
    let id = wire.open();
    assert_eq!(wire.said(id, &hello("whatever")), ["welcome"]);
    assert_eq!(wire.server.poll_token(), None);
}
