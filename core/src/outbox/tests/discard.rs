//! What is dropped with a subscription that its subscriber has ended.

use super::*;

#[test]
fn what_waited_for_an_ended_subscription_is_forgotten() {
    let ids = subscriptions(&["a", "b"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    for offset in 1..=60 {
        outbox.push_delivery(delivery(ids[0], None, publication("a", offset, 100)));
    }
    outbox.push_delivery(delivery(ids[1], None, publication("b", 1, 10)));
    outbox.discard(ids[0]);
    assert_eq!(drain(&mut outbox), ["b@1"]);
}

#[test]
fn what_waits_alone_is_forgotten_with_its_own_subscription_and_no_other() {
    let ids = subscriptions(&["a", "b"]);
    let mut outbox = Outbox::new(BYTES_MAX);
    outbox.push_delivery(delivery(ids[0], None, publication("a", 1, 100)));
    outbox.discard(ids[1]);
    assert_eq!(drain(&mut outbox), ["a@1"]);
    outbox.push_delivery(delivery(ids[0], None, publication("a", 2, 100)));
    outbox.discard(ids[0]);
    assert!(outbox.is_empty());
    outbox.push_frame(ServerFrame::Ping);
    outbox.discard(ids[0]);
    assert_eq!(outbox.pop(), Some(ServerFrame::Ping));
}
