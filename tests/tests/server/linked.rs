//! A server whose topics live beyond an uplink, and connections to it: the test answers the calls that it keeps, all others are answered
//! at once.

use core::time::Duration;

use serde_json::Value;
use tidegate_core::durable::DurableName;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig, ServerHub, ServerOutput};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{
    ClientFrame, PublishRequest, ServerEnvelope, Start, SubscribeRequest, TopicPosition,
};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkConfig};
use tidegate_tests::backend_model::Store;
use tidegate_tests::json::{Json, report};
use tidegate_tests::wire::kinds;
use tidegate_tests::{pattern, topic};

pub(crate) type Call = UplinkCall<Json>;

pub(crate) struct Linked {
    pub(crate) server: ServerHub<Json>,
    pub(crate) store: Store,
    pub(crate) now: Instant,
    /// Every call since it was looked at last.
    pub(crate) calls: Vec<Call>,
    /// Which calls the test answers itself,
    pub(crate) holds: fn(&Call) -> bool,
    /// and those that wait for it.
    pub(crate) held: Vec<(CallId, Call)>,
    pub(crate) closes: Vec<(ConnectionId, CloseReason)>,
}

impl Linked {
    pub(crate) fn new() -> Self {
        let now = Instant::from_millis(1);
        let server = ServerHub::with_uplink(ServerConfig::new(1), UplinkConfig::new(1));
        let mut linked = Self {
            server,
            store: Store::new(5),
            now,
            calls: Vec::new(),
            holds: |_| false,
            held: Vec::new(),
            closes: Vec::new(),
        };
        linked.wake();
        linked
    }

    /// Does what the server wants done.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(output) = self.server.poll_output() {
                if let ServerOutput::Close(id, reason) = output {
                    self.closes.push((id, reason));
                }
            }
            while self.server.poll_answer().is_some() {}
            let Some((id, call)) = self.server.poll_call() else {
                return;
            };
            self.calls.push(call.clone());
            if (self.holds)(&call) {
                self.held.push((id, call));
            } else {
                self.perform(id, &call);
            }
        }
    }

    fn perform(&mut self, id: CallId, call: &Call) {
        let answer = match call {
            UplinkCall::Read { topic, since } => {
                UplinkAnswer::Excerpt(self.store.read(topic, *since))
            }
            UplinkCall::List(pattern) => UplinkAnswer::Excerpts(self.store.list(pattern)),
            UplinkCall::Cursors(calls) => {
                UplinkAnswer::Cursors(self.store.cursors.carry_out(self.now, calls))
            }
            _ => UplinkAnswer::Done,
        };
        self.server.handle_answer(self.now, id, answer);
    }

    /// Answers everything that waits for it, and keeps nothing more.
    pub(crate) fn let_go(&mut self) {
        self.holds = |_| false;
        for (id, call) in core::mem::take(&mut self.held) {
            self.perform(id, &call);
        }
        self.settle();
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.wake();
        }
        self.now = end;
    }

    fn wake(&mut self) {
        self.server.handle_timeout(self.now);
        self.settle();
    }

    /// The link is lost, and opened again as soon as time passes.
    pub(crate) fn lose(&mut self) {
        self.held.clear();
        self.server.handle_lost(self.now);
        self.settle();
    }

    /// Another server publishes this many times.
    pub(crate) fn publish(&mut self, to: &str, count: u64) {
        for number in 1..=count {
            self.publish_request(&PublishRequest::new(topic(to), report(number)));
        }
    }

    /// A topic ends.
    pub(crate) fn end(&mut self, of: &str) {
        self.publish_request(&PublishRequest {
            end: Some(EndReason::Complete.into()),
            ..PublishRequest::new(topic(of), report(99))
        });
    }

    fn publish_request(&mut self, request: &PublishRequest<Json>) {
        let (_, publication) = self.store.publish(request);
        let publication = publication.expect("the topic is open");
        self.server.handle_heard(self.now, publication);
        self.settle();
    }

    /// A client's connection that was welcomed.
    pub(crate) fn client(&mut self) -> ConnectionId {
        let id = self.server.handle_open(self.now);
        let (token, client, group) = (None, None, None);
        self.say(
            id,
            ClientFrame::Hello {
                token,
                client,
                group,
            },
        );
        assert_eq!(kinds(&self.frames(id)), ["welcome"]);
        id
    }

    pub(crate) fn say(&mut self, id: ConnectionId, frame: ClientFrame<Json>) {
        self.server.handle_frame(self.now, id, frame);
        self.settle();
    }

    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, from: &str) {
        let pattern = pattern(from);
        self.say(id, ClientFrame::Unsubscribe { pattern });
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.server.handle_closed(self.now, id);
        self.settle();
    }

    pub(crate) fn subscribe(&mut self, id: ConnectionId, to: &str) {
        let request = SubscribeRequest::new(pattern(to), Flow::IMMEDIATE);
        self.say(id, ClientFrame::Subscribe(request));
    }

    /// A client subscribes durably.
    pub(crate) fn subscribe_as(&mut self, id: ConnectionId, name: &str, to: &str, start: Start) {
        self.say(id, ClientFrame::Subscribe(durable(name, to, start)));
    }

    /// A local connection subscribes; whether it has been answered.
    pub(crate) fn subscribe_local(&mut self, id: ConnectionId, to: &str) -> bool {
        let request = SubscribeRequest::new(pattern(to), Flow::IMMEDIATE);
        let subscribed = self.server.handle_subscribe(self.now, id, request);
        self.settle();
        subscribed.expect("nothing speaks against it").is_some()
    }

    /// Everything that waits for a connection, as the texts that would be sent.
    pub(crate) fn frames(&mut self, id: ConnectionId) -> Vec<Value> {
        let frames = core::iter::from_fn(|| self.server.poll_frame(id));
        let value = |frame| serde_json::to_value(ServerEnvelope::from(&frame));
        frames
            .map(|frame| value(frame).expect("frames have a JSON form"))
            .collect()
    }

    /// Where a topic stands, or so many publications before.
    pub(crate) fn at(&self, of: &str, back: u64) -> TopicPosition {
        let latest = self.store.latest(&topic(of)).expect("it has begun");
        let mut position = latest.position;
        position.offset -= back;
        let topic = topic(of);
        TopicPosition { topic, position }
    }
}

pub(crate) fn durable(name: &str, to: &str, start: Start) -> SubscribeRequest {
    SubscribeRequest {
        start,
        durable: Some(DurableName::new(name).expect("a name")),
        ..SubscribeRequest::new(pattern(to), Flow::IMMEDIATE)
    }
}

/// The numbers of publications among frames.
pub(crate) fn numbers(frames: &[Value]) -> Vec<u64> {
    let publications = frames.iter().filter(|frame| frame["type"] == "pub");
    publications
        .map(|frame| frame["data"]["n"].as_u64().expect("it is numbered"))
        .collect()
}
