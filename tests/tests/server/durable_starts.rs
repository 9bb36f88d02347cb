//! Where a durable subscription starts, what may happen before it does, and when its cursor is stored.

use std::sync::Arc;

use serde_json::json;
use tidegate_core::access::Grant;
use tidegate_core::durable::{CursorCall, CursorKey, DurableName};
use tidegate_core::flow::Flow;
use tidegate_core::hub::ServerConfig;
use tidegate_core::protocol::{ClientFrame, Start};
use tidegate_core::session::{Access, CloseReason};
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkFailure};
use tidegate_tests::wire::{Wire, kinds, payloads};
use tidegate_tests::{ms, pattern, secs};

use crate::linked::{Call, Linked, durable, numbers};

fn is_about_cursors(call: &Call) -> bool {
    matches!(call, UplinkCall::Cursors(_))
}

fn reads(linked: &mut Linked) -> usize {
    let calls = linked.calls.drain(..);
    calls
        .filter(|call| matches!(call, UplinkCall::Read { .. }))
        .count()
}

fn key(name: &str, to: &str) -> CursorKey {
    CursorKey {
        user: None,
        name: DurableName::new(name).expect("a name"),
        pattern: pattern(to),
    }
}

/// Whether a cursor was stored since the last call.
fn is_stored(linked: &mut Linked) -> bool {
    let mut calls = linked.calls.drain(..);
    calls.any(|call| {
        matches!(call, UplinkCall::Cursors(calls)
            if calls.iter().any(|call| matches!(call, CursorCall::Store { .. })))
    })
}

#[test]
fn a_new_cursor_begins_where_its_client_says_or_before_the_latest() {
    for (known, expected) in [(None, vec![3]), (Some(2), vec![2, 3])] {
        let mut linked = Linked::new();
        linked.publish("job:1", 3);
        let known = known.map(|back| linked.at("job:1", back));
        let id = linked.client();
        let since = Start::Since(Vec::from_iter(known));
        linked.subscribe_as(id, "phone", "job:1", since);
        assert_eq!(numbers(&linked.frames(id)), expected);
    }
}

#[test]
fn a_device_goes_on_where_it_or_its_cursor_is_further() {
    let mut linked = Linked::new();
    linked.publish("job:1", 5);
    let mut starts_at = |back, is_other_epoch| {
        let mut seen = linked.at("job:1", back);
        seen.position.epoch += u64::from(is_other_epoch);
        let id = linked.server.handle_open_local(usize::MAX / 4);
        let request = durable("phone", "job:1", Start::Since(vec![seen]));
        let subscribed = linked.server.handle_subscribe(linked.now, id, request);
        assert!(subscribed.is_ok());
        linked.settle();
        let frames = linked.frames(id);
        linked.close(id);
        let is_lost = kinds(&frames).contains(&"reset".to_owned());
        (numbers(&frames), is_lost)
    };
    // What it says that it has seen moves the cursor.
    assert_eq!(starts_at(2, false), (vec![4, 5], false));
    assert_eq!(
        starts_at(4, false),
        (vec![4, 5], false),
        "the cursor is further"
    );
    assert_eq!(starts_at(1, false), (vec![5], false));
    assert_eq!(starts_at(3, true), (vec![1, 2, 3, 4, 5], true));
}

#[test]
fn nobody_goes_on_where_the_device_of_another_user_is() {
    let mut linked = Linked::new();
    linked.publish("job:1", 3);
    let seen = linked.at("job:1", 2);
    let starts = [("ada", Start::Since(vec![seen])), ("bob", Start::Latest)];
    let told = starts.map(|(user, start)| {
        let id = linked.server.handle_open_local(usize::MAX / 4);
        linked.server.handle_user(id, Some(user.into()), linked.now);
        let request = durable("phone", "job:1", start);
        let subscribed = linked.server.handle_subscribe(linked.now, id, request);
        assert!(subscribed.is_ok());
        linked.settle();
        let told = numbers(&linked.frames(id));
        linked.close(id);
        told
    });
    assert_eq!(told, [vec![2, 3], vec![3]]);
}

#[test]
fn what_is_forgotten_begins_anew() {
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.publish("job:1", 1);
    let durable = json!({ "type": "subscribe", "pattern": "job:1", "durable": "phone" });
    for forgets in [false, true] {
        let id = wire.welcomed();
        let frames = wire.answer(id, &durable);
        assert_eq!(payloads(&frames).len(), 1);
        if forgets {
            wire.send(id, &json!({ "type": "forget", "pattern": "job:1" }));
        }
        wire.server.handle_closed(wire.now, id);
    }
    wire.publish("job:1", 2);
    let id = wire.welcomed();
    assert_eq!(payloads(&wire.answer(id, &durable)), [json!(2)]);
}

#[test]
fn what_was_acknowledged_is_stored_after_a_second_or_when_the_server_goes() {
    for goes in 0..3 {
        let mut linked = Linked::new();
        let id = linked.client();
        linked.subscribe_as(id, "phone", "job:1", Start::Latest);
        linked.publish("job:1", 2);
        let positions = vec![linked.at("job:1", 0)];
        let pattern = pattern("job:1");
        linked.say(id, ClientFrame::Ack { pattern, positions });
        assert!(!is_stored(&mut linked));
        match goes {
            0 => linked.pass(secs(1)),
            1 => linked.server.handle_drain(linked.now),
            _ => linked.server.handle_shutdown(linked.now),
        }
        linked.settle();
        assert!(is_stored(&mut linked), "{goes}");
    }
}

#[test]
fn what_a_device_has_without_asking_is_durable() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let grant = Grant {
        joins: vec![pattern("user:7")],
        ..Grant::nothing()
    };
    let access = Access::known(Arc::new(grant));
    let id = wire.server.handle_open_as(wire.now, &access);
    let phone = DurableName::new("phone").expect("a name");
    wire.server.handle_device(id, phone);
    wire.server.handle_welcome(wire.now, id);
    assert_eq!(wire.server.durable_counts().held, 1);
}

#[test]
fn a_host_may_ask_what_its_server_remembers() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let remove = CursorCall::Remove {
        key: key("phone", "job:1"),
    };
    let answers = wire
        .server
        .handle_cursor_calls(wire.now, &[remove.clone(), remove]);
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_local_connection_with_durable_subscriptions_ends_with_the_last_of_them() {
    for topics in [&["job:1"][..], &["job:1", "job:2"]] {
        let mut linked = Linked::new();
        let id = linked.server.handle_open_local(usize::MAX / 4);
        for to in topics {
            let request = durable("phone", to, Start::Latest);
            let subscribed = linked.server.handle_subscribe(linked.now, id, request);
            assert!(subscribed.is_ok());
        }
        linked.settle();
        for to in topics {
            assert_eq!(linked.closes, []);
            linked.end(to);
        }
        assert_eq!(linked.closes, [(id, CloseReason::Ended)]);
    }
}

#[test]
fn a_pattern_is_followed_while_its_cursor_is_asked_for() {
    let mut linked = Linked::new();
    let (other, phone) = (linked.client(), linked.client());
    linked.subscribe(other, "job:1");
    linked.holds = is_about_cursors;
    linked.subscribe_as(phone, "phone", "job:1", Start::Latest);
    linked.unsubscribe(other, "job:1");
    let is_unfollowed = |call: &Call| matches!(call, UplinkCall::Unfollow(_));
    assert!(!linked.calls.iter().any(is_unfollowed));
    linked.let_go();
    linked.publish("job:1", 1);
    assert_eq!(numbers(&linked.frames(phone)), [1]);
}

#[test]
fn a_flow_that_changes_before_the_start_is_the_one_that_it_starts_with() {
    let mut linked = Linked::new();
    let phone = linked.client();
    linked.holds = is_about_cursors;
    linked.subscribe_as(phone, "phone", "job:1", Start::Latest);
    let pattern = pattern("job:1");
    let flow = Flow::throttle(ms(1000));
    linked.say(phone, ClientFrame::Flow { pattern, flow });
    linked.let_go();
    linked.publish("job:1", 2);
    assert_eq!(numbers(&linked.frames(phone)), [1]);
    linked.pass(secs(1));
    assert_eq!(numbers(&linked.frames(phone)), [2]);
}

#[test]
fn a_claim_that_comes_late_is_not_taken_for_another_one() {
    let mut linked = Linked::new();
    linked.publish("job:1", 3);
    // A cursor that stands after the first.
    let known = linked.at("job:1", 2);
    let id = linked.client();
    linked.subscribe_as(id, "phone", "job:1", Start::Since(vec![known]));
    linked.close(id);
    let id = linked.client();
    linked.holds = is_about_cursors;
    linked.subscribe_as(id, "phone", "job:1", Start::Latest);
    linked.unsubscribe(id, "job:1");
    linked.subscribe_as(id, "tablet", "job:1", Start::Latest);
    linked.let_go();
    let frames = linked.frames(id);
    assert_eq!(numbers(&frames), [3], "{frames:#?}");
    assert_eq!(linked.server.durable_counts().held, 1);
}

#[test]
fn where_there_is_no_room_for_cursors_a_durable_subscription_is_refused() {
    let mut linked = Linked::new();
    let id = linked.client();
    linked.holds = is_about_cursors;
    linked.subscribe_as(id, "phone", "job:1", Start::Latest);
    let (call, _) = linked.held.remove(0);
    let full = UplinkAnswer::Failed(UplinkFailure::Full);
    linked.server.handle_answer(linked.now, call, full);
    linked.settle();
    let kinds = kinds(&linked.frames(id));
    assert_eq!(kinds, ["error too_many_subscriptions"]);
}

#[test]
fn a_host_that_mixes_up_answers_about_cursors_has_lost_its_link() {
    let mut linked = Linked::new();
    let id = linked.client();
    linked.holds = is_about_cursors;
    linked.subscribe_as(id, "phone", "job:1", Start::Latest);
    let (call, _) = linked.held.remove(0);
    linked.calls.clear();
    let nothing = UplinkAnswer::Cursors(Vec::new());
    linked.server.handle_answer(linked.now, call, nothing);
    linked.let_go();
    linked.pass(secs(1));
    assert_eq!(linked.calls.first(), Some(&UplinkCall::Open));
    assert!(kinds(&linked.frames(id)).contains(&"subscribed".to_owned()));
}

#[test]
fn cursors_are_asked_for_over_a_link_that_stands() {
    let mut linked = Linked::new();
    let (other, phone) = (linked.client(), linked.client());
    linked.subscribe(other, "job:1");
    linked.lose();
    linked.calls.clear();
    linked.subscribe_as(phone, "phone", "job:1", Start::Latest);
    assert_eq!(linked.calls, []);
    linked.pass(secs(1));
    assert_eq!(linked.calls.first(), Some(&UplinkCall::Open));
    assert!(linked.calls.iter().any(is_about_cursors));
    linked.publish("job:1", 1);
    assert_eq!(numbers(&linked.frames(phone)), [1]);
}

#[test]
fn all_that_is_kept_is_read_once_more_where_a_read_was_lost_with_the_link() {
    let mut linked = Linked::new();
    linked.store.count_max = 3;
    linked.publish("job:1", 6);
    let (other, phone) = (linked.client(), linked.client());
    linked.subscribe(other, "job:1");
    let known = linked.at("job:1", 5);
    for losses in 0..3 {
        linked.holds = |call| matches!(call, UplinkCall::Read { .. });
        if losses == 0 {
            linked.subscribe_as(phone, "phone", "job:1", Start::Since(vec![known.clone()]));
        }
        linked.lose();
        linked.holds = |call| {
            let whole = Some(tidegate_core::publication::Position::default());
            matches!(call, UplinkCall::Read { since, .. } if *since == whole)
        };
        linked.pass(secs(5));
    }
    let waiting = linked.frames(phone);
    assert!(!kinds(&waiting).contains(&"subscribed".to_owned()));
    linked.let_go();
    let frames = linked.frames(phone);
    assert_eq!(numbers(&frames), [4, 5, 6], "{frames:#?}");
    assert!(kinds(&frames).contains(&"reset".to_owned()));
}

#[test]
fn who_has_missed_nothing_has_nothing_read() {
    let mut linked = Linked::new();
    linked.publish("job:1", 3);
    let (other, phone) = (linked.client(), linked.client());
    linked.subscribe(other, "job:*");
    linked.calls.clear();
    let known = linked.at("job:1", 0);
    linked.subscribe_as(phone, "phone", "job:*", Start::Since(vec![known]));
    assert_eq!(reads(&mut linked), 0);
    assert_eq!(kinds(&linked.frames(phone)), ["subscribed"]);
}
