//! A hub that is replaced by another one: between them, everything is delivered once and published once.

use core::num::NonZeroU32;

use proptest::prelude::*;
use tidegate_core::client::ClientConfig;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::hub::{ClientHub, ClientOutput, Due, SubscriptionId};
use tidegate_core::protocol::{
    ClientFrame, PublishRequest, ServerFrame, Start, SubscribeRequest, TopicPosition,
};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{known, position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, topic};

/// A hub whose server the test plays: one that shares its connection, and so paces by itself.
struct Page {
    hub: ClientHub<Json>,
    now: Instant,
    /// The delivered offsets, by subscription.
    handed: Vec<(SubscriptionId, u64)>,
    sent: Vec<ClientFrame<Json>>,
}

impl Page {
    fn new() -> Self {
        let mut page = Self {
            hub: ClientHub::shared(ClientConfig::new(1)),
            now: Instant::ZERO,
            handed: Vec::new(),
            sent: Vec::new(),
        };
        page.hub.handle_connect(page.now);
        page.hub.handle_opened(page.now, 1);
        page.receive(ServerFrame::Welcome {
            heartbeat_ms: 1_000_000_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        });
        page
    }

    fn receive(&mut self, frame: ServerFrame<Json>) {
        self.hub.handle_frame(self.now, 1, frame);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                ClientOutput::Due(Due::Deliver { delivery, .. }) => {
                    let id = delivery.subscription;
                    let offsets = delivery.emission.into_iter();
                    let offsets = offsets.map(|publication| publication.position.offset);
                    self.handed.extend(offsets.map(|offset| (id, offset)));
                }
                ClientOutput::Send(frame) => self.sent.push(frame),
                _ => {}
            }
        }
    }

    fn subscribe(&mut self, request: SubscribeRequest) -> SubscriptionId {
        let id = self.hub.handle_subscribe(self.now, 0, request).unwrap();
        self.drain();
        id
    }

    /// Subscribes to everything of `job:1` at this pace.
    fn follow(&mut self, pace: Pace, start: Start) -> SubscriptionId {
        let max = NonZeroU32::new(1_000).unwrap();
        let flow = Flow {
            pace,
            ..Flow::IMMEDIATE.with_conflate(Conflate::Collect { max })
        };
        self.subscribe(SubscribeRequest {
            start,
            ..SubscribeRequest::new(pattern("job:1"), flow)
        })
    }

    fn confirm(&mut self, offset: u64) {
        self.receive(ServerFrame::Subscribed {
            pattern: pattern("job:1"),
            position: Some(position(offset)),
            recovered: false,
            flow: Flow::IMMEDIATE,
        });
    }

    fn deliver(&mut self, offset: u64) {
        self.receive(ServerFrame::Publication {
            publication: publication("job:1", position(offset)),
            via: None,
        });
    }

    fn flush(&mut self) {
        self.hub.handle_flush(self.now);
        self.drain();
    }

    fn offsets(&self, of: SubscriptionId) -> Vec<u64> {
        let handed = self.handed.iter().filter(|(id, _)| *id == of);
        handed.map(|(_, offset)| *offset).collect()
    }
}

fn at(offset: u64) -> Option<Vec<TopicPosition>> {
    Some(vec![known("job:1", position(offset))])
}

fn any_pace() -> impl Strategy<Value = Pace> {
    let throttle = (1_u64..500, any::<bool>()).prop_map(|(every, leading)| Pace::Throttle {
        every: ms(every),
        leading,
        trailing: true,
    });
    let debounce = (1_u64..500, any::<bool>()).prop_map(|(quiet, leading)| Pace::Debounce {
        quiet: ms(quiet),
        max_wait: None,
        leading,
        trailing: true,
    });
    prop_oneof![Just(Pace::Immediate), throttle, debounce]
}

proptest! {
    #[test]
    fn all_that_came_is_handed_over_before_and_the_next_one_goes_on_after_it(
        paces in prop::collection::vec(any_pace(), 1..4),
        waits in prop::collection::vec(0_u64..300, 0..20),
    ) {
        let mut page = Page::new();
        let ids: Vec<SubscriptionId> = paces
            .into_iter()
            .map(|pace| page.follow(pace, Start::Latest))
            .collect();
        page.confirm(0);
        let mut last = 0;
        for wait in waits {
            page.now = page.now + ms(wait);
            page.hub.handle_timeout(page.now);
            page.drain();
            last += 1;
            page.deliver(last);
        }
        page.flush();
        for id in ids {
            prop_assert_eq!(page.offsets(id), Vec::from_iter(1..=last));
            prop_assert_eq!(page.hub.resumes_after(id), at(last));
        }
    }
}

#[test]
fn who_waits_for_what_is_new_goes_on_from_where_it_began_to_wait() {
    let mut page = Page::new();
    let id = page.follow(Pace::Immediate, Start::New);
    assert_eq!(page.hub.resumes_after(id), None, "it has not begun");
    page.confirm(7);
    assert_eq!(page.hub.resumes_after(id), at(7));
    page.hub.handle_closed(page.now, 1);
    assert_eq!(
        page.hub.resumes_after(id),
        at(7),
        "without a connection, too"
    );
}

#[test]
fn who_has_joined_others_and_was_given_nothing_starts_as_it_would_have() {
    let mut page = Page::new();
    let first = page.follow(Pace::Immediate, Start::Latest);
    page.confirm(0);
    for offset in 1..=5 {
        page.deliver(offset);
    }
    let start = Start::Since(vec![known("job:1", position(1))]);
    let second = page.follow(Pace::Immediate, start);
    page.flush();
    assert_eq!(page.hub.resumes_after(first), at(5));
    assert_eq!(page.hub.resumes_after(second), None);
    assert_eq!(page.offsets(second), [] as [u64; 0]);
}

#[test]
fn who_is_remembered_by_the_server_goes_on_from_what_was_dealt_with() {
    let mut page = Page::new();
    let id = page.subscribe(SubscribeRequest {
        durable: Some(DurableName::new("phone").unwrap()),
        ..SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE)
    });
    page.confirm(0);
    page.deliver(1);
    assert_eq!(page.hub.resumes_after(id), None);
}

#[test]
fn what_has_ended_goes_on_nowhere() {
    let mut page = Page::new();
    let id = page.follow(Pace::Immediate, Start::Latest);
    page.confirm(0);
    page.hub.handle_unsubscribe(page.now, id);
    assert_eq!(page.hub.resumes_after(id), None);
}

#[test]
fn what_is_not_answered_is_repeated_by_the_keys_that_it_left_with() {
    let mut page = Page::new();
    for (number, id) in [None, Some("mine".into()), None].into_iter().enumerate() {
        let request = PublishRequest {
            id,
            ..PublishRequest::new(topic("job:1"), Json::from(number as u64))
        };
        page.hub.handle_publish(page.now, request);
    }
    page.drain();
    let sent: Vec<(u64, String)> = page
        .sent
        .iter()
        .filter_map(|frame| match frame {
            ClientFrame::Publish { request, publish } => {
                Some((*request, publish.id.clone().unwrap()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(sent.len(), 3);
    page.receive(ServerFrame::Published {
        request: sent[0].0,
        position: position(1),
    });
    let keys = page.hub.unanswered_keys();
    let keys: Vec<(u64, String)> = keys.map(|(request, key)| (request, key.into())).collect();
    assert_eq!(keys, sent[1..]);
}
