//! Messages that take longer than a heartbeat: which bytes count as a sign of life before they are complete.

use proptest::prelude::*;
use serde_json::json;
use tidegate_core::hub::ServerConfig;
use tidegate_core::limits::PART_BYTES_MIN;
use tidegate_core::session::CloseReason;
use tidegate_tests::wire::{Wire, kinds};
use tidegate_tests::{ms, secs};

fn wire() -> Wire {
    Wire::new(ServerConfig::new(1))
}

#[test]
fn who_is_sending_a_long_message_is_not_silent() {
    let mut wire = wire();
    let id = wire.welcomed();
    for _ in 0..60 {
        wire.pass(secs(10));
        wire.server
            .handle_part(wire.now, id, PART_BYTES_MIN.div_ceil(4));
    }
    assert_eq!(wire.closes(), []);
    wire.send(id, &json!({ "type": "ping" }));
    assert_eq!(kinds(&wire.receive(id)).last().unwrap(), "pong");
}

#[test]
fn who_sends_a_byte_now_and_then_is_silent() {
    let mut wire = wire();
    let id = wire.welcomed();
    for _ in 0..44 {
        wire.pass(secs(1));
        wire.server.handle_part(wire.now, id, PART_BYTES_MIN / 45);
    }
    assert_eq!(wire.closes(), []);
    wire.pass(secs(1));
    assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);
}

#[test]
fn a_control_frame_is_a_sign_of_life() {
    let mut wire = wire();
    let id = wire.welcomed();
    for _ in 0..20 {
        wire.pass(secs(44));
        wire.server.handle_control(wire.now, id);
    }
    assert_eq!(wire.closes(), []);
}

#[test]
fn neither_opens_a_session_or_keeps_one_that_drains() {
    let mut wire = wire();
    let id = wire.open();
    wire.pass(secs(9));
    wire.server.handle_part(wire.now, id, 2 * PART_BYTES_MIN);
    wire.server.handle_control(wire.now, id);
    assert!(wire.receive(id).is_empty());
    wire.pass(secs(1));
    assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);

    let id = wire.welcomed();
    wire.server.handle_drain(wire.now);
    for _ in 0..8 {
        wire.pass(secs(1));
        wire.server.handle_part(wire.now, id, PART_BYTES_MIN);
        wire.server.handle_control(wire.now, id);
    }
    assert_eq!(wire.closes(), [(id, CloseReason::Drained)]);
}

proptest! {
    /// However the bytes are split: a connection is closed only if too few bytes to count as a sign of life arrived within the
    /// timeout of a silent client.
    #[test]
    fn parts_count_by_their_sum(
        parts in prop::collection::vec((1_u64..30_000, 0..PART_BYTES_MIN * 2), 1..60),
    ) {
        let mut wire = wire();
        let id = wire.welcomed();
        let (mut silent_ms, mut bytes) = (0, 0);
        for (passed, part) in parts {
            wire.pass(ms(passed));
            silent_ms += passed;
            if silent_ms >= 45_000 {
                prop_assert_eq!(wire.closes(), [(id, CloseReason::Timeout)]);
                return Ok(());
            }
            prop_assert_eq!(wire.closes(), []);
            wire.server.handle_part(wire.now, id, part);
            bytes += part;
            if bytes >= PART_BYTES_MIN {
                (silent_ms, bytes) = (0, 0);
            }
        }
    }
}
