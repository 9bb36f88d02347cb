//! Connections that browser tabs share, at several servers: of each group's connections, only the one with the latest term
//! stays.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::session::{Claim, ClaimsEnvelope, CloseReason};
use tidegate_core::time::Instant;
use tidegate_tests::wire::{Wire, kinds};
use tidegate_tests::{asking, ms};

/// Servers, and their broadcasts that have not arrived yet.
struct Servers {
    wires: Vec<Wire>,
    under_way: Vec<(Instant, String)>,
    /// How long each broadcast takes, in turn.
    delays: Vec<u64>,
    said: usize,
    open: Vec<(usize, ConnectionId)>,
}

impl Servers {
    fn new(count: u64, delays: Vec<u64>) -> Self {
        let mut wires: Vec<Wire> = (1..=count)
            .map(|seed| Wire::new(ServerConfig::new(seed)))
            .collect();
        for wire in &mut wires {
            wire.server.handle_servers_linked(wire.now);
        }
        Self {
            wires,
            under_way: Vec::new(),
            delays,
            said: 0,
            open: Vec::new(),
        }
    }

    fn greet(&mut self, server: usize, group: &str, term: u64, tab: u64) -> (usize, ConnectionId) {
        let wire = &mut self.wires[server];
        let id = wire.open();
        wire.send(
            id,
            &json!({ "type": "hello", "group": group, "term": term, "tab": tab }),
        );
        self.open.push((server, id));
        self.close_the_superseded();
        (server, id)
    }

    fn close_the_superseded(&mut self) {
        for (server, wire) in self.wires.iter_mut().enumerate() {
            for (id, reason) in wire.closes() {
                assert_eq!(reason, CloseReason::Superseded);
                let last = kinds(&wire.receive(id));
                assert_eq!(last.last().map(String::as_str), Some("error superseded"));
                wire.server.handle_closed(wire.now, id);
                self.open.retain(|known| *known != (server, id));
            }
        }
    }

    /// Lets time pass. Each broadcast reaches all servers twice, including its sender.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis {
            for wire in &mut self.wires {
                wire.pass(ms(1));
                let now = wire.now;
                while let Some(text) = next_claims(wire) {
                    let delay = self.delays[self.said % self.delays.len()];
                    self.said += 1;
                    self.under_way.push((now + ms(delay), text.clone()));
                    self.under_way.push((now + ms(2 * delay), text));
                }
            }
            let now = self.wires[0].now;
            let arrived = self.under_way.extract_if(.., |(at, _)| *at <= now);
            for (_, text) in arrived {
                for wire in &mut self.wires {
                    let envelope: ClaimsEnvelope = serde_json::from_str(&text).unwrap();
                    wire.server.handle_claims(now, envelope.into());
                }
            }
            self.close_the_superseded();
        }
    }
}

fn next_claims(wire: &mut Wire) -> Option<String> {
    let claims: Vec<Claim> = wire.server.poll_claims();
    let text = serde_json::to_string(&ClaimsEnvelope::from(claims.clone())).unwrap();
    (!claims.is_empty()).then_some(text)
}

proptest! {
    #[test]
    fn a_server_tells_of_all_in_messages_that_are_full_and_not_too_long(
        groups in prop::collection::btree_set("[a-z]{1,64}", 1..12),
        bytes_max in 100..600_usize,
    ) {
        let mut config = ServerConfig::new(1);
        config.presence.limits.message_bytes_max = bytes_max;
        let mut wire = Wire::new(config);
        wire.server.handle_servers_linked(wire.now);
        for group in &groups {
            let user = if group.len() > 30 { group.repeat(2) } else { "ada".to_owned() };
            let id = asking::granted(&mut wire, asking::grant(&user, &[], &[]));
            wire.send(id, &json!({ "type": "hello", "group": group, "term": 1, "tab": 1 }));
        }
        wire.pass(ms(1_000));
        let mut told = Vec::new();
        let mut before: Option<usize> = None;
        loop {
            let claims = wire.server.poll_claims();
            if claims.is_empty() {
                break;
            }
            // The length of a claim, whatever the lengths of its numbers.
            let bytes = |claim: &Claim| {
                let user = claim.shared_by.user.as_ref().map_or(0, |user| user.len());
                80 + claim.shared_by.group.len() + user
            };
            let sum: usize = claims.iter().map(bytes).sum();
            prop_assert!(sum <= bytes_max || claims.len() == 1, "{} of {}", sum, bytes_max);
            prop_assert!(before.is_none_or(|before| before + bytes(&claims[0]) > bytes_max));
            before = Some(sum);
            told.extend(claims.into_iter().map(|claim| claim.shared_by.group));
        }
        told.sort_unstable();
        prop_assert_eq!(told, groups.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_later_term_at_another_server_closes_the_connection_of_an_earlier_one() {
    let mut servers = Servers::new(2, vec![5]);
    servers.greet(0, "tabs", 1, 7);
    let next = servers.greet(1, "tabs", 2, 3);
    assert_eq!(servers.open.len(), 2);
    servers.pass(100);
    assert_eq!(servers.open, [next]);
}

#[test]
fn an_earlier_term_that_comes_late_to_another_server_is_ended_and_disturbs_nobody() {
    let mut servers = Servers::new(3, vec![5]);
    let latest = servers.greet(0, "tabs", 5, 1);
    servers.pass(1_000);
    servers.greet(2, "tabs", 4, 9);
    servers.pass(200);
    assert_eq!(servers.open, [latest]);
}

#[test]
fn a_tab_that_connects_again_in_its_term_at_another_server_is_not_ended() {
    let mut servers = Servers::new(2, vec![5]);
    servers.greet(0, "tabs", 5, 1);
    let again = servers.greet(1, "tabs", 5, 1);
    servers.pass(200);
    assert!(servers.open.contains(&again));
}

#[test]
fn a_thousand_browsers_at_once_are_told_of_in_a_few_messages_of_bounded_size() {
    let mut servers = Servers::new(2, vec![1]);
    for browser in 0..1_000 {
        servers.greet(0, &format!("{browser:032}"), 1, 1);
    }
    let bytes_max = ServerConfig::new(1).presence.limits.message_bytes_max;
    let wire = &mut servers.wires[0];
    assert_eq!(next_claims(wire), None, "they are gathered");
    wire.pass(ms(50));
    let texts: Vec<String> = std::iter::from_fn(|| next_claims(wire)).collect();
    assert!(texts.iter().all(|text| text.len() <= bytes_max));
    assert!((2..10).contains(&texts.len()), "{}", texts.len());
    let told = texts.iter().map(|text| {
        let message: Value = serde_json::from_str(text).unwrap();
        message["claims"].as_array().unwrap().len()
    });
    assert_eq!(told.sum::<usize>(), 1_000);
}

#[test]
fn a_server_that_nobody_hears_says_nothing_and_once_it_is_heard_says_what_stands() {
    let mut wire = Wire::new(ServerConfig::new(1));
    for term in 1..=3 {
        let id = wire.open();
        let hello = json!({ "type": "hello", "group": "tabs", "term": term, "tab": 1 });
        wire.send(id, &hello);
    }
    wire.pass(ms(100));
    assert_eq!(next_claims(&mut wire), None);
    wire.server.handle_servers_linked(wire.now);
    wire.pass(ms(50));
    let claims: Value = serde_json::from_str(&next_claims(&mut wire).unwrap()).unwrap();
    assert_eq!(
        claims["claims"],
        json!([{ "group": "tabs", "term": 3, "tab": 1 }])
    );
    assert_eq!(next_claims(&mut wire), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Claims may be delayed, doubled and reordered. In the end each group has one connection, the one with the latest term.
    #[test]
    fn in_the_end_each_group_has_the_connection_of_its_latest_term(
        steps in prop::collection::vec((0..3_usize, 0..2_u64, 0..150_u64), 1..12),
        terms in Just((1..=12_u64).collect::<Vec<_>>()).prop_shuffle(),
        delays in prop::collection::vec(1..400_u64, 1..6),
    ) {
        let mut servers = Servers::new(3, delays);
        let mut latest: BTreeMap<u64, (u64, (usize, ConnectionId))> = BTreeMap::new();
        for ((server, group, pause), term) in steps.into_iter().zip(terms) {
            let opened = servers.greet(server, &group.to_string(), term, 1);
            let known = latest.entry(group).or_insert((term, opened));
            if term > known.0 {
                *known = (term, opened);
            }
            servers.pass(pause);
        }
        servers.pass(3_000);
        let stay: Vec<_> = latest.into_values().map(|(_, opened)| opened).collect();
        servers.open.sort_by_key(|opened| stay.iter().position(|known| known == opened));
        prop_assert_eq!(servers.open, stay);
    }
}

/// A server with a connection of the second term, and the claims of other servers for the same tabs.
fn claimed() -> (Wire, Claim) {
    let mut wire = Wire::new(ServerConfig::new(1));
    wire.server.handle_servers_linked(wire.now);
    let id = wire.open();
    let hello = json!({ "type": "hello", "group": "tabs", "term": 2, "tab": 7 });
    assert_eq!(kinds(&wire.answer(id, &hello)), ["welcome"]);
    let told = wire.server.poll_timeout().expect("others are to be told");
    assert!(told <= wire.now + ms(50));
    wire.pass(ms(50));
    let claims = wire.server.poll_claims();
    assert_eq!(claims.len(), 1);
    (wire, claims[0].clone())
}

#[test]
fn who_claims_an_earlier_term_is_told_of_the_later_one_and_nobody_else() {
    for (counter, told) in [(1, 1), (2, 0), (3, 0)] {
        let (mut wire, own) = claimed();
        let mut claim = own.clone();
        claim.term.counter = counter;
        wire.server.handle_claims(wire.now, vec![claim]);
        wire.pass(ms(50));
        let claims = wire.server.poll_claims();
        assert_eq!(claims, vec![own; told], "{counter}");
    }
}

#[test]
fn so_many_claims_are_gathered_and_no_more() {
    let (mut wire, own) = claimed();
    let mut claim = own.clone();
    claim.term.counter = 1;
    wire.server.handle_claims(wire.now, vec![claim; 10_001]);
    wire.pass(ms(50));
    let told =
        std::iter::from_fn(|| Some(wire.server.poll_claims().len()).filter(|told| *told > 0));
    assert_eq!(told.sum::<usize>(), 10_000);
}

#[test]
fn a_message_has_as_many_claims_as_fit_to_the_byte() {
    // A claim with names of one letter has 81 bytes.
    let bytes = 2 * 81;
    for (bytes_max, told) in [(bytes, 2), (bytes - 1, 1)] {
        let mut config = ServerConfig::new(1);
        config.presence.limits.message_bytes_max = bytes_max;
        let mut wire = Wire::new(config);
        wire.server.handle_servers_linked(wire.now);
        for group in ["a", "b"] {
            let id = wire.open();
            let hello = json!({ "type": "hello", "group": group, "term": 1, "tab": 1 });
            wire.send(id, &hello);
        }
        wire.pass(ms(50));
        assert_eq!(wire.server.poll_claims().len(), told);
    }
}
