//! A connection's durable subscription takes the place of the one that it has with the same pattern.

use serde_json::json;
use tidegate_core::hub::ServerConfig;
use tidegate_tests::wire::{Wire, kinds, payloads, subscribe};

#[test]
fn a_durable_subscription_takes_the_place_of_the_first_and_nothing_is_missing_in_between() {
    let mut wire = Wire::new(ServerConfig::new(1));
    let id = wire.welcomed();
    let paced =
        json!({ "type": "subscribe", "pattern": "job:1", "flow": { "throttle_ms": 60000 } });
    wire.answer(id, &paced);
    for number in 1..=3 {
        wire.publish("job:1", number);
    }
    assert_eq!(payloads(&wire.receive(id)), [json!(1)]);
    wire.send(
        id,
        &json!({ "type": "flow", "pattern": "job:1", "flow": {} }),
    );
    wire.publish("job:1", 4);
    let durable = json!({ "type": "subscribe", "pattern": "job:1", "durable": "phone" });
    wire.send(id, &durable);
    wire.publish("job:1", 5);
    let frames = wire.receive(id);
    assert_eq!(kinds(&frames), ["pub", "pub", "subscribed", "pub", "pub"]);
    let (before, after) = frames.split_at(2);
    assert_eq!(payloads(before), [json!(3), json!(4)]);
    assert_eq!(payloads(&after[1..]), [json!(4), json!(5)]);

    // So it does of one that is durable: what was not acknowledged comes again.
    let frames = wire.answer(id, &durable);
    assert_eq!(kinds(&frames), ["subscribed", "pub", "pub"]);
    let unsubscribe = json!({ "type": "unsubscribe", "pattern": "job:1" });
    assert_eq!(wire.said(id, &unsubscribe), ["unsubscribed"]);
    wire.publish("job:1", 6);
    assert_eq!(kinds(&wire.receive(id)), [""; 0]);
}

#[test]
fn a_durable_subscription_that_is_refused_ends_the_one_whose_place_it_was_to_take() {
    let mut config = ServerConfig::new(1);
    config.cursors.total_max = 0;
    let mut wire = Wire::new(config);
    let id = wire.welcomed();
    wire.answer(id, &subscribe("job:1"));
    let durable = json!({ "type": "subscribe", "pattern": "job:1", "durable": "phone" });
    let frames = wire.answer(id, &durable);
    assert_eq!(kinds(&frames), ["error too_many_subscriptions"]);
    wire.publish("job:1", 1);
    assert_eq!(kinds(&wire.receive(id)), [""; 0]);
}
