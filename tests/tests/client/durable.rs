//! Several subscribers of one client to one durable subscription are one device: the server learns what all of them
//! have processed.

use std::time::Duration;

use tidegate_core::client::ClientConfig;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ClientHub, ClientOutput, Due, SubscriptionId};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{ClientFrame, ServerFrame, SubscribeRequest};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, secs, topic};

const TO: &str = "job:1";

/// A connected client, with its frames and deliveries.
struct Device {
    hub: ClientHub<Json>,
    now: Instant,
    sent: Vec<ClientFrame<Json>>,
    told: Vec<(SubscriptionId, u64)>,
}

impl Device {
    /// One that has subscribed, and is at the end of its topic's history.
    fn subscribed() -> (Self, SubscriptionId) {
        let mut device = Self {
            hub: ClientHub::new(ClientConfig::new(3)),
            now: Instant::from_millis(1),
            sent: Vec::new(),
            told: Vec::new(),
        };
        device.hub.handle_connect(device.now);
        let first = device.subscribe(Flow::IMMEDIATE);
        device.hub.handle_opened(device.now, 1);
        device.receive(ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        });
        device.confirm();
        device.sent.clear();
        (device, first)
    }

    fn confirm(&mut self) {
        self.receive(ServerFrame::Subscribed {
            pattern: pattern(TO),
            position: Some(position(0)),
            recovered: true,
            flow: Flow::IMMEDIATE,
        });
    }

    fn subscribe(&mut self, flow: Flow) -> SubscriptionId {
        let request = SubscribeRequest {
            durable: Some(DurableName::new("phone").unwrap()),
            ..SubscribeRequest::new(pattern(TO), flow)
        };
        let id = self.hub.handle_subscribe(self.now, 0, request).unwrap();
        self.drain();
        id
    }

    fn unsubscribe(&mut self, id: SubscriptionId) {
        self.hub.handle_unsubscribe(self.now, id);
        self.drain();
    }

    fn receive(&mut self, frame: ServerFrame<Json>) {
        self.hub.handle_frame(self.now, 1, frame);
        self.drain();
    }

    fn deliver(&mut self, offsets: core::ops::RangeInclusive<u64>) {
        for offset in offsets {
            self.receive(ServerFrame::Publication {
                publication: publication(TO, position(offset)),
                via: None,
            });
        }
    }

    fn end_at(&mut self, offset: u64) {
        let last = Publication {
            end: Some(EndReason::Complete),
            ..(*publication(TO, position(offset))).clone()
        };
        self.receive(ServerFrame::Publication {
            publication: last.into(),
            via: None,
        });
        self.receive(ServerFrame::End {
            pattern: pattern(TO),
            reason: EndReason::Complete,
        });
    }

    fn deal_with(&mut self, id: SubscriptionId, offset: u64) {
        let (now, topic) = (self.now, topic(TO));
        self.hub.handle_handled(now, id, &topic, position(offset));
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.hub.handle_timeout(self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                ClientOutput::Send(frame) => self.sent.push(frame),
                ClientOutput::Due(Due::Deliver { delivery, .. }) => {
                    for publication in delivery.emission {
                        let offset = publication.position.offset;
                        self.told.push((delivery.subscription, offset));
                    }
                }
                _ => {}
            }
        }
    }

    /// The deliveries to a subscriber since the last call.
    fn told(&mut self, id: SubscriptionId) -> Vec<u64> {
        let told = self.told.extract_if(.., |(known, _)| *known == id);
        told.map(|(_, offset)| offset).collect()
    }

    /// The acknowledgements since the last call, after enough time for all of them.
    fn acknowledged(&mut self) -> Vec<Position> {
        self.pass(secs(2));
        let sent = std::mem::take(&mut self.sent);
        sent.into_iter()
            .filter_map(|frame| match frame {
                ClientFrame::Ack { positions, .. } => Some(positions),
                _ => None,
            })
            .flatten()
            .map(|known| known.position)
            .collect()
    }
}

#[test]
fn who_joins_is_given_what_nobody_has_dealt_with() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=4);
    device.deal_with(first, 1);
    device.deal_with(first, 3);
    assert_eq!(device.acknowledged(), [position(1)]);
    let second = device.subscribe(Flow::IMMEDIATE);
    assert_eq!(device.told(second), [2, 4]);
    device.deal_with(second, 4);
    assert_eq!(device.acknowledged(), [], "the second one is left");
    let third = device.subscribe(Flow::IMMEDIATE);
    assert_eq!(device.told(third), [2]);
    device.deal_with(second, 2);
    assert_eq!(device.acknowledged(), [position(4)]);
    device.told.clear();
    device.deliver(5..=5);
    for id in [first, second, third] {
        assert_eq!(device.told(id), [5], "{id:?}");
    }
}

#[test]
fn who_joins_when_everything_is_dealt_with_is_given_nothing() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=3);
    for offset in 1..=3 {
        device.deal_with(first, offset);
    }
    let second = device.subscribe(Flow::IMMEDIATE);
    assert_eq!(device.told(second), Vec::<u64>::new());
}

#[test]
fn who_comes_after_the_end_is_given_what_is_left_by_the_server_alone() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=1);
    device.end_at(2);
    assert_eq!(device.told(first), [1, 2]);
    let second = device.subscribe(Flow::IMMEDIATE);
    device.confirm();
    device.deliver(1..=1);
    device.end_at(2);
    assert_eq!(device.told(second), [1, 2]);
}

#[test]
fn who_joins_where_not_all_has_come_is_given_what_is_left_by_the_server_alone() {
    let (mut device, first) = Device::subscribed();
    let flow = Flow::throttle(ms(100));
    device.hub.handle_flow(device.now, first, flow).unwrap();
    device.deliver(1..=3);
    let second = device.subscribe(Flow::IMMEDIATE);
    device.deliver(1..=3);
    assert_eq!(device.told(second), Vec::<u64>::new());
    device.confirm();
    device.deliver(1..=3);
    assert_eq!(device.told(second), [1, 2, 3]);
}

#[test]
fn what_one_that_leaves_has_not_dealt_with_is_left_to_the_others() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=2);
    let second = device.subscribe(Flow::IMMEDIATE);
    device.unsubscribe(first);
    device.deliver(3..=3);
    device.deal_with(second, 3);
    assert_eq!(device.acknowledged(), []);
    device.deal_with(second, 1);
    device.deal_with(second, 2);
    assert_eq!(device.acknowledged(), [position(3)]);
}

#[test]
fn who_conflates_speaks_for_what_it_was_not_given_only_where_all_do() {
    let (mut device, first) = Device::subscribed();
    let conflating = device.subscribe(Flow::throttle(ms(100)));
    device.deliver(1..=4);
    device.pass(ms(200));
    assert_eq!(device.told(conflating), [1, 4]);
    device.deal_with(conflating, 4);
    assert_eq!(device.acknowledged(), []);
    device.deal_with(first, 1);
    device.deal_with(first, 2);
    device.deal_with(first, 3);
    assert_eq!(device.acknowledged(), [position(3)]);
    device.deal_with(first, 4);
    assert_eq!(device.acknowledged(), [position(4)]);
    device.unsubscribe(first);
    device.deliver(5..=8);
    device.pass(ms(200));
    assert_eq!(device.told(conflating), [5, 8]);
    device.deal_with(conflating, 8);
    assert_eq!(device.acknowledged(), [position(8)]);
}

#[test]
fn the_end_is_dealt_with_once_one_has_dealt_with_everything() {
    let (mut device, first) = Device::subscribed();
    let second = device.subscribe(Flow::IMMEDIATE);
    device.deliver(1..=1);
    device.end_at(2);
    device.deal_with(first, 2);
    assert_eq!(device.acknowledged(), []);
    device.deal_with(second, 1);
    assert_eq!(device.acknowledged(), [position(2)]);
    // Nothing is left of it, so another name can be used for the pattern.
    let tablet = SubscribeRequest {
        durable: Some(DurableName::new("tablet").unwrap()),
        ..SubscribeRequest::new(pattern(TO), Flow::IMMEDIATE)
    };
    let again = device.hub.handle_subscribe(device.now, 0, tablet);
    assert!(again.is_ok(), "{again:?}");
}

/// The last position that was acknowledged so far.
fn last_acknowledged(device: &Device) -> Option<Position> {
    let mut acks = device.sent.iter().filter_map(|frame| match frame {
        ClientFrame::Ack { positions, .. } => positions.last(),
        _ => None,
    });
    acks.next_back().map(|known| known.position)
}

#[test]
fn what_was_dealt_with_is_told_before_the_connection_is_closed() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=3);
    device.deal_with(first, 1);
    device.deal_with(first, 2);
    device.hub.handle_disconnect(device.now);
    device.drain();
    assert_eq!(last_acknowledged(&device), Some(position(2)));
}

#[test]
fn what_was_dealt_with_is_told_before_a_page_is_left_and_the_device_goes_on_if_it_comes_back() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=3);
    device.deal_with(first, 1);
    device.deal_with(first, 2);
    assert_eq!(last_acknowledged(&device), None);
    device.hub.handle_pause(device.now);
    device.drain();
    assert_eq!(last_acknowledged(&device), Some(position(2)));
    device.sent.clear();
    device.hub.handle_pause(device.now);
    device.deal_with(first, 3);
    assert_eq!(
        device.sent,
        [],
        "it is told once, and what follows waits again"
    );
    assert_eq!(device.acknowledged(), [position(3)]);
}

#[test]
fn what_was_dealt_with_is_told_before_the_last_one_leaves() {
    let (mut device, first) = Device::subscribed();
    device.deliver(1..=3);
    device.deal_with(first, 1);
    device.deal_with(first, 2);
    device.unsubscribe(first);
    assert_eq!(last_acknowledged(&device), Some(position(2)));
}

#[test]
fn who_comes_to_conflate_speaks_for_what_it_was_not_given() {
    let (mut device, first) = Device::subscribed();
    let flow = Flow::throttle(ms(100));
    device.hub.handle_flow(device.now, first, flow).unwrap();
    device.deliver(1..=4);
    device.pass(ms(200));
    device.deal_with(first, 4);
    assert_eq!(device.acknowledged(), [position(4)]);
}

#[test]
fn a_subscription_that_is_forgotten_is_over_for_all_and_nothing_more_is_told_of_it() {
    let (mut device, first) = Device::subscribed();
    let second = device.subscribe(Flow::IMMEDIATE);
    device.deliver(1..=2);
    device.told.clear();
    device.deal_with(first, 1);
    device.deal_with(second, 1);
    device.sent.clear();
    device.hub.handle_forget(device.now, first);
    device.drain();
    let pattern = pattern(TO);
    assert_eq!(device.sent, [ClientFrame::Forget { pattern }]);
    device.deliver(3..=3);
    device.deal_with(second, 2);
    for id in [first, second] {
        assert_eq!(device.told(id), Vec::<u64>::new());
    }
    assert_eq!(device.acknowledged(), []);
    // Acknowledgements of the old one don't count for the next.
    let third = device.subscribe(Flow::IMMEDIATE);
    device.confirm();
    device.deliver(4..=4);
    assert_eq!(device.told(third), Vec::<u64>::new());
    device.receive(ServerFrame::Unsubscribed {
        pattern: tidegate_tests::pattern(TO),
    });
    device.confirm();
    device.deliver(5..=5);
    assert_eq!(device.told(third), [5]);
}

#[test]
fn what_is_forgotten_without_a_connection_is_over_and_nobody_is_told() {
    let (mut device, first) = Device::subscribed();
    device.hub.handle_closed(device.now, 1);
    device.hub.handle_forget(device.now, first);
    device.pass(secs(30));
    assert_eq!(device.sent, []);
    device.hub.handle_connect(device.now);
    device.hub.handle_opened(device.now, 2);
    device.drain();
    let hello = &device.sent[..];
    assert!(matches!(hello, [ClientFrame::Hello { .. }]), "{hello:?}");
}
