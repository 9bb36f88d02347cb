//! How often a client may publish, and hear.

use core::num::NonZeroU32;

use serde_json::{Value, json};
use tidegate_core::flow::FlowFloor;
use tidegate_core::hub::ServerConfig;
use tidegate_core::rate::Rate;
use tidegate_core::topic::Pattern;
use tidegate_tests::asking::publish;
use tidegate_tests::wire::{Wire, kinds, subscribe};
use tidegate_tests::{ms, secs};

#[test]
fn who_publishes_too_often_is_told_when_to_try_again() {
    let mut config = ServerConfig::new(1);
    config.session.publish_rate = Some(Rate {
        per_second: NonZeroU32::new(10).expect("not 0"),
        burst: NonZeroU32::new(2).expect("not 0"),
    });
    let mut wire = Wire::new(config);
    let id = wire.open();
    let all: Vec<Value> = (0..3)
        .flat_map(|_| wire.answer(id, &publish("job:1")))
        .collect();
    assert_eq!(
        kinds(&all),
        [
            "welcome",
            "published",
            "published",
            "error too_many_requests"
        ]
    );
    assert_eq!(
        all[0]["publish_rate"],
        json!({ "per_second": 10, "burst": 2 })
    );
    wire.pass(ms(100));
    assert_eq!(wire.said(id, &publish("job:1")), ["published"]);
}

#[test]
fn the_granted_flow_is_no_finer_than_the_floor_and_told() {
    let mut config = ServerConfig::new(1);
    config.floor = FlowFloor::none().with(Pattern::new("job:*").expect("a pattern"), secs(1));
    let mut wire = Wire::new(config);
    let id = wire.open();
    wire.send(id, &subscribe("job:1"));
    let frames = wire.receive(id);
    assert_eq!(frames[1]["flow"]["throttle_ms"], json!(1000));
    for _ in 0..3 {
        wire.publish("job:1", json!(1));
    }
    assert_eq!(kinds(&wire.receive(id)), ["pub"]);
    wire.send(
        id,
        &json!({ "type": "flow", "pattern": "job:1", "flow": {} }),
    );
    wire.pass(ms(999));
    assert!(wire.receive(id).is_empty());
    wire.pass(ms(1));
    assert_eq!(kinds(&wire.receive(id)), ["pub"]);
}
