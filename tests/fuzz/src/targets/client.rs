//! Servers that send anything.

use core::time::Duration;

use serde_json::{Value, json};
use tidegate_core::client::ClientConfig;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ClientHub, ClientOutput};
use tidegate_core::protocol::{PublishRequest, ServerEnvelope, ServerFrame, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_tests::json::Json;
use tidegate_tests::{pattern, topic};

use crate::Source;

/// The most outputs of a client for one event.
const OUTPUTS_MAX: usize = 10_000;

const WAITS_MS: [u64; 6] = [0, 1, 250, 10_000, 38_000, 120_000];

const PATTERNS: [&str; 3] = ["job:1", "job:*", "user:7"];

/// Whatever a server sends, and however often connections break, the client goes on, never asks to be woken in the
/// past, has a bounded number of outputs for each event, and can be closed.
pub fn run(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    let mut host = Host {
        hub: ClientHub::new(ClientConfig::new(1)),
        now: Instant::ZERO,
        link: 0,
    };
    host.hub.handle_connect(host.now);
    let mut ids = Vec::new();
    for (index, wanted) in (0..).zip(PATTERNS) {
        let request = SubscribeRequest::new(pattern(wanted), Flow::IMMEDIATE);
        let subscribed = host.hub.handle_subscribe(host.now, index, request);
        ids.extend(subscribed.ok());
    }
    host.hub.handle_watch(host.now, &topic("doc:7"));
    host.drain();
    while source.has_more() {
        match source.below(10) {
            0 => host.hub.handle_opened(host.now, host.link),
            1 => host.hub.handle_closed(host.now, host.link),
            2 => host.wait(Duration::from_millis(*source.one_of(&WAITS_MS))),
            3 => {
                let publish = PublishRequest::new(topic("job:1"), Json(source.value()));
                host.hub.handle_publish(host.now, publish);
            }
            _ => {
                let frame = any_frame(&mut source);
                host.hear(source.damaged(frame));
            }
        }
        host.drain();
    }
    for id in ids {
        host.hub.handle_unsubscribe(host.now, id);
    }
    host.hub.handle_disconnect(host.now);
    host.drain();
    assert_eq!(host.hub.counts().0, 0, "nobody subscribes any more");
}

struct Host {
    hub: ClientHub<Json>,
    now: Instant,
    link: u32,
}

impl Host {
    fn hear(&mut self, frame: Value) {
        let envelope = serde_json::from_value::<ServerEnvelope<Json>>(frame);
        if let Some(frame) = envelope.ok().and_then(|it| ServerFrame::try_from(it).ok()) {
            self.hub.handle_frame(self.now, self.link, frame);
        }
    }

    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        for _ in 0..OUTPUTS_MAX {
            let Some(at) = self.hub.poll_timeout().filter(|at| *at <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            self.hub.handle_timeout(self.now);
            self.drain();
            let next = self.hub.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "woken in the past");
        }
        panic!("it is woken for ever");
    }

    fn drain(&mut self) {
        for _ in 0..OUTPUTS_MAX {
            match self.hub.poll_output() {
                Some(ClientOutput::Connect { link }) => self.link = link,
                Some(_) => {}
                None => return,
            }
        }
        panic!("it has no end");
    }
}

/// The valid frames of a server.
fn any_frame(source: &mut Source<'_>) -> Value {
    let pattern = *source.one_of(&PATTERNS);
    let topic = *source.one_of(&["job:1", "job:2", "user:7"]);
    let (epoch, offset) = (source.below(3), source.below(6));
    match source.below(16) {
        0 => json!({ "type": "welcome", "heartbeat_ms": 25_000 }),
        1 | 2 => json!({
            "type": "subscribed", "pattern": pattern, "recovered": offset > 2, "flow": {},
            "position": { "epoch": epoch, "offset": offset },
        }),
        3..=5 => {
            json!({ "type": "pub", "topic": topic, "epoch": epoch, "offset": offset, "data": source.value() })
        }
        6 => {
            json!({ "type": "pub", "topic": topic, "epoch": epoch, "offset": offset, "data": 1, "end": "complete", "via": "job:*" })
        }
        7 => {
            json!({ "type": "batch", "topic": topic, "items": [{ "epoch": epoch, "offset": offset, "data": 1 }] })
        }
        8 => json!({ "type": "reset", "topic": topic, "epoch": epoch, "offset": offset }),
        9 => json!({ "type": "end", "pattern": pattern, "reason": "failed" }),
        10 => json!({ "type": "lagged", "pattern": pattern, "missed": offset }),
        11 => json!({ "type": "published", "ref": offset, "epoch": epoch, "offset": offset }),
        12 => {
            json!({ "type": "error", "code": "forbidden", "message": "no", "pattern": pattern, "fatal": offset == 0 })
        }
        13 => {
            json!({ "type": "presence_state", "topic": "doc:7", "present": [{ "key": "ada", "node": 1, "clock": offset, "data": 1 }] })
        }
        14 => {
            json!({ "type": "presence_diff", "topic": "doc:7", "joins": [], "leaves": [{ "key": "ada", "node": 1, "clock": offset }] })
        }
        _ => json!({ "type": source.one_of(&["ping", "pong", "drain", "stale", "live"]) }),
    }
}
