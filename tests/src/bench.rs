//! A client, with its server and clock played by the test.

use std::sync::Arc;

use core::time::Duration;

use crate::json::Json;
use crate::{pattern, topic};
use tidegate_core::client::{Client, ClientConfig, ClientEvent, ConnectionState};
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{
    ClientFrame, ErrorCode, PublishRequest, ServerFrame, Start, SubscribeRequest, TopicPosition,
    WireError,
};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;

/// An output of the client under test.
pub type Event = ClientEvent<Json>;

/// A client, its clock, and a server that the test plays.
#[derive(Debug)]
pub struct Bench {
    /// The machine under test.
    pub client: Client<Json>,
    /// The virtual clock.
    pub now: Instant,
    /// The number of its latest attempt.
    pub link: u32,
}

impl Bench {
    /// A client that was not asked to connect.
    pub fn new(config: ClientConfig) -> Self {
        Self {
            client: Client::new(config),
            now: Instant::ZERO,
            link: 0,
        }
    }

    /// A client that is asked to connect.
    pub fn wanted() -> Self {
        let mut bench = Self::new(ClientConfig::new(1));
        bench.client.handle_connect(bench.now);
        bench.events();
        bench
    }

    /// A client that is connected and welcomed, with a subscription to `job:1` that stands at its beginning.
    pub fn subscribed() -> Self {
        let mut bench = Self::wanted();
        bench.subscribe("job:1", Start::Latest);
        bench.open();
        bench.confirm("job:1", Some(position(0)));
        bench.events();
        bench
    }

    /// Takes the outputs of the client.
    pub fn events(&mut self) -> Vec<Event> {
        let events: Vec<Event> = std::iter::from_fn(|| self.client.poll_output()).collect();
        for event in &events {
            if let ClientEvent::Connect { link } = event {
                self.link = *link;
            }
        }
        events
    }

    /// Takes the outputs of the client, and returns the frames among them.
    pub fn sent(&mut self) -> Vec<ClientFrame<Json>> {
        let sent = |event| match event {
            ClientEvent::Send(frame) => Some(frame),
            _ => None,
        };
        self.events().into_iter().filter_map(sent).collect()
    }

    /// Subscribes to everything of a pattern.
    pub fn subscribe(&mut self, to: &str, start: Start) {
        let request = SubscribeRequest {
            start,
            ..SubscribeRequest::new(pattern(to), Flow::IMMEDIATE)
        };
        self.client.handle_subscribe(self.now, request);
    }

    /// Publishes a number to `job:1`.
    pub fn publish(&mut self, number: u64) -> u64 {
        let request = PublishRequest::new(topic("job:1"), Json::from(number));
        self.client.handle_publish(self.now, request)
    }

    /// The transport opens, and the server welcomes the client. Its outputs are discarded.
    pub fn open(&mut self) {
        self.client.handle_opened(self.now, self.link);
        self.welcome(None);
        self.events();
    }

    /// The server welcomes the client, and accepts messages of up to this many bytes.
    pub fn welcome(&mut self, message_bytes_max: Option<u64>) {
        self.receive(ServerFrame::Welcome {
            heartbeat_ms: 25_000,
            expires_in_ms: None,
            message_bytes_max,
            publish_rate: None,
        });
    }

    /// The transport is lost.
    pub fn lose(&mut self) {
        self.client.handle_closed(self.now, self.link);
    }

    /// The transport is lost, and another one opens after the backoff. Returns the frames sent then; earlier outputs
    /// are discarded.
    pub fn reopen(&mut self) -> Vec<ClientFrame<Json>> {
        self.lose();
        self.wake();
        self.events();
        self.client.handle_opened(self.now, self.link);
        let mut sent = self.sent();
        self.welcome(None);
        sent.extend(self.sent());
        sent
    }

    /// The server sends a frame.
    pub fn receive(&mut self, frame: ServerFrame<Json>) {
        self.client.handle_frame(self.now, self.link, frame);
    }

    /// The server confirms a subscription.
    pub fn confirm(&mut self, to: &str, position: Option<Position>) {
        self.receive(ServerFrame::Subscribed {
            pattern: pattern(to),
            position,
            recovered: false,
            flow: Flow::IMMEDIATE,
        });
    }

    /// The server sends a publication of `job:1`.
    pub fn deliver(&mut self, position: Position) {
        self.receive(ServerFrame::Publication {
            publication: publication("job:1", position),
            via: None,
        });
    }

    /// Advances the clock to the next deadline, and wakes the client.
    ///
    /// # Panics
    /// If there is none, or the next one has passed already.
    pub fn wake(&mut self) {
        self.now = self.client.poll_timeout().expect("something is awaited");
        self.client.handle_timeout(self.now);
        let next = self.client.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now));
    }

    /// Advances the clock, and then wakes the client.
    pub fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.client.handle_timeout(self.now);
    }
}

/// The epoch of all positions here.
pub const EPOCH: u64 = 7;

/// A place in the history of a topic.
pub const fn position(offset: u64) -> Position {
    Position {
        epoch: EPOCH,
        offset,
    }
}

/// A publication whose payload is its offset.
pub fn publication(to: &str, position: Position) -> Arc<Publication<Json>> {
    Arc::new(Publication {
        topic: topic(to),
        position,
        payload: Json::from(position.offset),
        end: None,
    })
}

/// A position of a topic.
pub fn known(to: &str, position: Position) -> TopicPosition {
    TopicPosition {
        topic: topic(to),
        position,
    }
}

/// Where a subscribe frame starts.
///
/// # Panics
/// If there is not exactly one.
pub fn start_of(frames: &[ClientFrame<Json>]) -> Start {
    let mut starts = frames.iter().filter_map(|frame| match frame {
        ClientFrame::Subscribe(request) => Some(request.start.clone()),
        _ => None,
    });
    let start = starts.next().expect("there is a subscribe frame");
    assert_eq!(starts.next(), None);
    start
}

/// The offsets of the publications among events.
pub fn offsets(events: &[Event]) -> Vec<u64> {
    let offset = |event: &Event| match event {
        ClientEvent::Publication { publication, .. } => Some(publication.position.offset),
        _ => None,
    };
    events.iter().filter_map(offset).collect()
}

/// The states of the connection among events.
pub fn state_of(events: &[Event]) -> Vec<ConnectionState> {
    let state = |event: &Event| match event {
        ClientEvent::State(state) => Some(state.clone()),
        _ => None,
    };
    events.iter().filter_map(state).collect()
}

/// Ends the subscription to `job:1`.
pub fn unsubscribe(bench: &mut Bench) {
    bench.client.handle_unsubscribe(&pattern("job:1"));
}

/// An error of the server.
pub fn error(code: ErrorCode) -> WireError {
    WireError::new(code, "as the test says")
}
