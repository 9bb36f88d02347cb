//! Connections that browsers' tabs share: of each group's, the server keeps the one of the latest term.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::access::Grant;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::limits::GROUP_BYTES_MAX;
use tidegate_core::session::{Access, CloseReason};
use tidegate_tests::ms;
use tidegate_tests::wire::{Wire, kinds};

const GROUP: &str = "b1946ac92492d2347c6235b4d2611184";

fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

fn hello(group: &str, term: u64, tab: u64) -> Value {
    json!({ "type": "hello", "group": group, "term": term, "tab": tab })
}

/// Opens a connection that says this, and closes those that the server wants closed; returns which. A token is looked at,
/// and is its bearer's name.
fn greet(wire: &mut Wire, hello: &Value) -> (ConnectionId, Vec<ConnectionId>) {
    let id = match hello["token"] {
        Value::Null => wire.open(),
        _ => wire.server.handle_open_as(wire.now, &Access::asked()),
    };
    wire.send(id, hello);
    if let Some((id, token)) = wire.server.poll_token() {
        let grant = Grant {
            user: Some(token.into()),
            ..Grant::everything()
        };
        let found = Ok(Arc::new(grant));
        wire.server.handle_authenticated(wire.now, id, found);
    }
    let closed = wire.closes().into_iter().map(|(id, reason)| {
        assert_eq!(reason, CloseReason::Superseded);
        id
    });
    let closed: Vec<ConnectionId> = closed.collect();
    (id, closed)
}

#[test]
fn a_later_term_closes_the_connection_of_an_earlier_one_at_once_and_says_why() {
    let mut wire = wire();
    let (frozen, _) = greet(&mut wire, &hello(GROUP, 1, 7));
    wire.send(frozen, &json!({ "type": "subscribe", "pattern": "job:1" }));
    wire.receive(frozen);
    let (next, closed) = greet(&mut wire, &hello(GROUP, 2, 3));
    assert_eq!(closed, [frozen]);
    let last = wire.receive(frozen);
    assert_eq!(kinds(&last), ["error superseded"]);
    assert_eq!(last[0]["fatal"], json!(true));
    assert_eq!(wire.server.counts().subscriptions, 0);
    assert_eq!(kinds(&wire.receive(next)), ["welcome"]);
}

#[test]
fn an_earlier_term_that_comes_late_is_refused_and_disturbs_nobody() {
    let mut wire = wire();
    let (latest, _) = greet(&mut wire, &hello(GROUP, 5, 1));
    wire.receive(latest);
    let (thawed, closed) = greet(&mut wire, &hello(GROUP, 4, 9));
    assert_eq!(closed, [thawed]);
    assert_eq!(
        kinds(&wire.receive(thawed)),
        ["welcome", "error superseded"]
    );
    assert_eq!(kinds(&wire.receive(latest)), Vec::<String>::new());
    wire.send(latest, &json!({ "type": "ping" }));
    assert_eq!(kinds(&wire.receive(latest)), ["pong"]);
}

#[test]
fn of_equal_counters_the_higher_tab_stays() {
    let mut wire = wire();
    let (lower, _) = greet(&mut wire, &hello(GROUP, 5, 1));
    let (higher, closed) = greet(&mut wire, &hello(GROUP, 5, 2));
    assert_eq!(closed, [lower]);
    let (again, closed) = greet(&mut wire, &hello(GROUP, 5, 1));
    assert_eq!(closed, [again]);
    assert_ne!(again, higher);
}

#[test]
fn a_tab_that_connects_again_in_its_term_takes_the_place_of_what_it_lost() {
    let mut wire = wire();
    let (lost, _) = greet(&mut wire, &hello(GROUP, 5, 1));
    let (_, closed) = greet(&mut wire, &hello(GROUP, 5, 1));
    assert_eq!(closed, [lost]);
}

#[test]
fn a_term_whose_connection_has_closed_stands_in_nobodys_way() {
    let mut wire = wire();
    let (later, _) = greet(&mut wire, &hello(GROUP, 5, 1));
    wire.server.handle_closed(wire.now, later);
    let (_, closed) = greet(&mut wire, &hello(GROUP, 2, 1));
    assert_eq!(closed, []);
}

#[test]
fn users_that_know_the_same_group_do_not_disturb_each_other() {
    let mut wire = wire();
    let as_user = |token: &str, term| {
        let mut hello = hello(GROUP, term, 1);
        hello["token"] = json!(token);
        hello
    };
    greet(&mut wire, &as_user("ada", 1));
    let (_, closed) = greet(&mut wire, &as_user("bob", 2));
    assert_eq!(closed, []);
    let (_, closed) = greet(&mut wire, &hello(GROUP, 3, 1));
    assert_eq!(closed, []);
    assert_eq!(wire.server.connections(), 3);
}

#[test]
fn a_connection_that_changes_its_group_leaves_the_first() {
    let mut wire = wire();
    let (moving, _) = greet(&mut wire, &hello(GROUP, 1, 1));
    wire.send(moving, &hello("another", 1, 1));
    let (_, closed) = greet(&mut wire, &hello(GROUP, 2, 1));
    assert_eq!(closed, []);
    let (_, closed) = greet(&mut wire, &hello("another", 2, 1));
    assert_eq!(closed, [moving]);
}

#[test]
fn a_group_without_a_name_or_with_an_endless_one_is_refused() {
    for name in [String::new(), "x".repeat(GROUP_BYTES_MAX + 1)] {
        let mut wire = wire();
        let id = wire.open();
        wire.send(id, &hello(&name, 1, 1));
        assert_eq!(kinds(&wire.receive(id)), ["welcome", "error bad_frame"]);
        assert_eq!(wire.closes(), [(id, CloseReason::Protocol)]);
    }
}

#[test]
fn a_group_may_have_a_name_as_long_as_the_limit() {
    for bytes in [1, GROUP_BYTES_MAX] {
        let mut wire = wire();
        let id = wire.open();
        wire.send(id, &hello(&"x".repeat(bytes), 1, 1));
        assert_eq!(kinds(&wire.receive(id)), ["welcome"], "{bytes} bytes");
    }
}

proptest! {
    /// Against a model: each user's group keeps one connection, of the latest term among those that are open.
    #[test]
    fn every_group_keeps_the_connection_of_its_latest_term(
        steps in prop::collection::vec((0..3_u64, 0..2_u64, 0..6_u64, 0..3_u64, any::<bool>()), 1..60),
    ) {
        let mut wire = wire();
        let mut model: BTreeMap<(u64, u64), ((u64, u64), ConnectionId)> = BTreeMap::new();
        for (group, token, term, tab, closes) in steps {
            let key = (group, token);
            if closes {
                if let Some((_, id)) = model.remove(&key) {
                    wire.server.handle_closed(wire.now, id);
                }
                continue;
            }
            let mut greeting = hello(&group.to_string(), term, tab);
            greeting["token"] = json!(token.to_string());
            let (id, closed) = greet(&mut wire, &greeting);
            let loser = match model.get(&key) {
                Some((latest, _)) if *latest > (term, tab) => Some(id),
                Some((_, before)) => Some(*before),
                None => None,
            };
            prop_assert_eq!(&closed, &Vec::from_iter(loser));
            if loser != Some(id) {
                model.insert(key, ((term, tab), id));
            }
            for id in closed {
                wire.server.handle_closed(wire.now, id);
            }
            prop_assert_eq!(wire.server.connections(), model.len());
            wire.pass(ms(1));
        }
        for (_, id) in model.values() {
            wire.send(*id, &json!({ "type": "ping" }));
            prop_assert!(kinds(&wire.receive(*id)).contains(&"pong".to_owned()));
        }
    }
}
