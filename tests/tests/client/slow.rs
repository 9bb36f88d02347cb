//! What subscribers below a client want to become of their publications while its connection is behind: the server is asked
//! for what loses least of it, and a change of mind loses nothing.

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_core::client::ClientConfig;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Conflate, Flow, Slow};
use tidegate_core::hub::{ClientHub, ClientOutput, SubscribeError, SubscriptionId};
use tidegate_core::protocol::{ClientEnvelope, ServerFrame, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_tests::bench::{known, position, publication};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern};

/// A client that is connected; the test plays its server, which confirms everything.
struct Page {
    hub: ClientHub<Json>,
    now: Instant,
}

impl Page {
    fn new() -> Self {
        let mut hub = ClientHub::new(ClientConfig::new(1));
        let now = Instant::ZERO;
        hub.handle_connect(now);
        hub.handle_opened(now, 1);
        let welcome = ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max: None,
            publish_rate: None,
        };
        hub.handle_frame(now, 1, welcome);
        let mut page = Self { hub, now };
        page.sent();
        page
    }

    /// The frames that the client has sent since the last call, including reactions to the server's answers, as JSON.
    fn sent(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        loop {
            let sent = self.answered();
            if sent.is_empty() {
                return all;
            }
            all.extend(sent);
        }
    }

    fn answered(&mut self) -> Vec<Value> {
        let mut sent = Vec::new();
        while let Some(output) = self.hub.poll_output() {
            if let ClientOutput::Send(frame) = output {
                sent.push(serde_json::to_value(ClientEnvelope::from(&frame)).unwrap());
            }
        }
        for frame in &sent {
            let answer = match frame["type"].as_str() {
                Some("subscribe") => ServerFrame::Subscribed {
                    pattern: pattern("job:1"),
                    position: Some(position(0)),
                    recovered: false,
                    flow: Flow::IMMEDIATE,
                },
                Some("unsubscribe") => ServerFrame::Unsubscribed {
                    pattern: pattern("job:1"),
                },
                Some("ping") => ServerFrame::Pong,
                _ => continue,
            };
            self.hub.handle_frame(self.now, 1, answer);
        }
        sent
    }

    fn try_subscribe(
        &mut self,
        flow: Flow,
        slow: Option<Slow>,
    ) -> Result<SubscriptionId, SubscribeError> {
        let request = SubscribeRequest {
            slow,
            ..SubscribeRequest::new(pattern("job:1"), flow)
        };
        self.hub.handle_subscribe(self.now, 0, request)
    }

    fn subscribe(&mut self, flow: Flow, slow: Option<Slow>) -> SubscriptionId {
        self.try_subscribe(flow, slow).unwrap()
    }
}

/// The last policy that the server was asked for.
fn asked(frames: &[Value]) -> Option<&Value> {
    let mut subscribes = frames.iter().filter(|frame| frame["type"] == "subscribe");
    subscribes.next_back().map(|frame| &frame["slow"])
}

#[test]
fn one_subscriber_is_asked_for_as_it_says() {
    for (slow, text) in [
        (None, Value::Null),
        (Some(Slow::Conflate), json!("conflate")),
        (Some(Slow::Drop), json!("drop")),
        (Some(Slow::Disconnect), json!("disconnect")),
    ] {
        let mut page = Page::new();
        page.subscribe(Flow::IMMEDIATE, slow);
        let sent = page.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(asked(&sent), Some(&text));
    }
}

#[test]
fn several_are_asked_for_what_loses_least() {
    let all = Flow::IMMEDIATE;
    let paced = Flow::throttle(ms(100));
    let merged = paced.with_conflate(Conflate::Merge);
    let (conflate, drop) = (Some(Slow::Conflate), Some(Slow::Drop));
    let disconnect = Some(Slow::Disconnect);
    for (first, second, expected) in [
        ((all, conflate), (all, drop), "drop"),
        ((all, drop), (all, disconnect), "disconnect"),
        ((all, disconnect), (all, conflate), "disconnect"),
        // A subscriber without a policy is told of losses.
        ((all, conflate), (all, None), "drop"),
        ((paced, conflate), (paced, None), "conflate"),
        // The newest alone is too little for who wants them merged, where the server doesn't merge.
        ((merged, conflate), (all, conflate), "drop"),
        ((merged, conflate), (merged, conflate), "conflate"),
    ] {
        let mut page = Page::new();
        page.subscribe(first.0, first.1);
        let mut sent = page.sent();
        let later = page.subscribe(second.0, second.1);
        sent.extend(page.sent());
        assert_eq!(asked(&sent), Some(&json!(expected)), "{first:?} {second:?}");
        page.hub.handle_unsubscribe(page.now, later);
        sent.extend(page.sent());
        let alone = json!(first.1.map(Slow::as_str));
        assert_eq!(asked(&sent), Some(&alone), "the second one has left");
    }
}

#[test]
fn a_change_goes_on_after_what_was_seen() {
    let mut page = Page::new();
    page.subscribe(Flow::IMMEDIATE, Some(Slow::Conflate));
    page.sent();
    for offset in 1..=3 {
        let frame = ServerFrame::Publication {
            publication: publication("job:1", position(offset)),
            via: None,
        };
        page.hub.handle_frame(page.now, 1, frame);
    }
    page.subscribe(Flow::IMMEDIATE, Some(Slow::Disconnect));
    let sent = page.sent();
    let kinds: Vec<&Value> = sent.iter().map(|frame| &frame["type"]).collect();
    assert_eq!(kinds, ["unsubscribe", "subscribe"]);
    let since = serde_json::to_value([known("job:1", position(3))]).unwrap();
    assert_eq!(sent[1]["since"], since);
}

#[test]
fn a_durable_subscription_is_given_everything_and_says_so() {
    let durable = |page: &mut Page| {
        let request = SubscribeRequest {
            durable: Some(DurableName::new("phone").unwrap()),
            ..SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE)
        };
        page.hub.handle_subscribe(page.now, 0, request)
    };
    let mut page = Page::new();
    durable(&mut page).unwrap();
    let refused = page.try_subscribe(Flow::IMMEDIATE, Some(Slow::Drop));
    assert_eq!(refused, Err(SubscribeError::SlowDurable));
    page.subscribe(Flow::IMMEDIATE, None);

    let mut page = Page::new();
    page.subscribe(Flow::IMMEDIATE, Some(Slow::Drop));
    assert_eq!(durable(&mut page), Err(SubscribeError::SlowDurable));
    assert_eq!(page.hub.counts(), (1, 1));
}

fn any_slow() -> impl Strategy<Value = Option<Slow>> {
    proptest::sample::select(vec![
        None,
        Some(Slow::Conflate),
        Some(Slow::Drop),
        Some(Slow::Disconnect),
    ])
}

fn any_flow() -> impl Strategy<Value = Flow> {
    proptest::sample::select(vec![
        Flow::IMMEDIATE,
        Flow::throttle(ms(100)),
        Flow::debounce(ms(100)),
        Flow::throttle(ms(100)).with_conflate(Conflate::Sum),
    ])
}

proptest! {
    /// Subscribers come, go and change their pace. The client never requests a policy that loses more than any of them allows.
    #[test]
    fn nobody_loses_more_than_it_allows(
        steps in proptest::collection::vec((any_flow(), any_slow(), 0..8_usize), 1..12),
    ) {
        let mut page = Page::new();
        let mut subscribers: Vec<(SubscriptionId, Option<Slow>)> = Vec::new();
        let mut sent = Vec::new();
        for (flow, slow, which) in steps {
            match which {
                0 | 1 if !subscribers.is_empty() => {
                    let (id, _) = subscribers.remove(0);
                    page.hub.handle_unsubscribe(page.now, id);
                }
                2 if !subscribers.is_empty() => {
                    page.hub.handle_flow(page.now, subscribers[0].0, flow).unwrap();
                }
                _ => subscribers.push((page.subscribe(flow, slow), slow)),
            }
            sent.extend(page.sent());
            let Some(strictest) = subscribers.iter().filter_map(|(_, slow)| *slow).max() else {
                continue;
            };
            let asked: Option<Slow> = asked(&sent)
                .and_then(Value::as_str)
                .map(|text| text.parse().unwrap());
            // Where nothing is asked for, what the server does by itself is what is wanted; and it never disconnects.
            prop_assert!(asked.unwrap_or(Slow::Drop) >= strictest, "{asked:?} for {subscribers:?}");
        }
    }
}
