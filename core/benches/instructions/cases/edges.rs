//! Where connections end: the server's hub, the client's, and presences.

use std::hint::black_box;

use tidegate_core::client::ClientConfig;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{ClientHub, ClientOutput, ServerConfig, ServerHub, ServerOutput};
use tidegate_core::presence::{Key, NodeId, PresenceOutput, TrackId, Tracker, TrackerConfig};
use tidegate_core::protocol::{ClientFrame, PublishRequest, ServerFrame, Start, SubscribeRequest};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use super::counted;

const NOW: Instant = Instant::from_millis(1);
const OPERATIONS: u32 = 1_000;

fn topic() -> Topic {
    Topic::new("job:42").expect("a valid topic")
}

/// A server with a hundred connections of clients that watch the topic.
fn crowded() -> ServerHub<()> {
    let mut server: ServerHub<()> = ServerHub::new(ServerConfig::new(7));
    for _ in 0..100 {
        let id = server.handle_open(NOW);
        let request = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(Pattern::from(topic()), Flow::IMMEDIATE)
        };
        server.handle_frame(NOW, id, ClientFrame::Subscribe(request));
    }
    take_frames(&mut server);
    server
}

/// By way of the outboxes.
pub(super) fn server_fan_out() {
    let mut server = crowded();
    counted(100, 100, |_| {
        server
            .handle_publish(NOW, PublishRequest::new(topic(), ()))
            .expect("the topic is live");
        take_frames(&mut server);
    });
}

/// To connections that are written to directly.
pub(super) fn server_spread() {
    let mut server = crowded();
    counted(100, 100, |_| {
        server
            .handle_publish(NOW, PublishRequest::new(topic(), ()))
            .expect("the topic is live");
        while let Some(spread) = server.poll_spread() {
            while let Some(recipient) = server.poll_recipient() {
                black_box((recipient, &spread));
            }
        }
        take_frames(&mut server);
    });
}

fn take_frames(server: &mut ServerHub<()>) {
    while let Some(output) = server.poll_output() {
        if let ServerOutput::Ready(id) = output {
            while let Some(frame) = server.poll_frame(id) {
                black_box(frame);
            }
        }
    }
}

/// A frame with a publication, from the transport to a subscriber.
pub(super) fn client_receive() {
    let mut client: ClientHub<()> = ClientHub::new(ClientConfig::new(7));
    let pattern = Pattern::from(topic());
    let request = SubscribeRequest::new(pattern.clone(), Flow::IMMEDIATE);
    client
        .handle_subscribe(NOW, 1, request)
        .expect("a valid flow");
    client.handle_connect(NOW);
    let mut link = 0;
    while let Some(output) = client.poll_output() {
        if let ClientOutput::Connect { link: number } = output {
            link = number;
        }
    }
    client.handle_opened(NOW, link);
    let welcome = ServerFrame::Welcome {
        heartbeat_ms: 25_000,
        expires_in_ms: None,
        message_bytes_max: None,
        publish_rate: None,
    };
    client.handle_frame(NOW, link, welcome);
    let position = |offset| Position { epoch: 1, offset };
    let subscribed = ServerFrame::Subscribed {
        pattern,
        position: Some(position(0)),
        recovered: false,
        flow: Flow::IMMEDIATE,
    };
    client.handle_frame(NOW, link, subscribed);
    take_dues(&mut client);
    let mut delivered = 0;
    counted(OPERATIONS, 1, |i| {
        let frame = ServerFrame::Publication {
            publication: std::sync::Arc::new(Publication {
                topic: topic(),
                position: position(u64::from(i) + 1),
                payload: (),
                end: None,
            }),
            via: None,
        };
        client.handle_frame(NOW, link, frame);
        delivered += take_dues(&mut client);
    });
    assert_eq!(delivered, OPERATIONS);
}

fn take_dues(client: &mut ClientHub<()>) -> u32 {
    let mut taken = 0;
    while let Some(output) = client.poll_output() {
        taken += u32::from(matches!(output, ClientOutput::Due(_)));
        black_box(output);
    }
    taken
}

fn tracker(node: u64) -> Tracker<()> {
    let mut tracker = Tracker::new(TrackerConfig::new(NodeId::new(node)));
    tracker.handle_linked(NOW);
    while tracker.poll_output().is_some() {}
    tracker
}

fn track(tracker: &mut Tracker<()>, now: Instant, session: u32) {
    let key = Key::new(&format!("user-{session}")).expect("a valid key");
    let track = TrackId {
        session: u64::from(session),
        number: 1,
    };
    tracker
        .handle_track(now, track, topic(), key, ())
        .expect("within the limits");
}

/// A presence that comes and goes beside a hundred others, with what watchers and other servers are told of it.
pub(super) fn presence_track() {
    let mut own = tracker(1);
    (0..100).for_each(|session| track(&mut own, NOW, session));
    let gather = TrackerConfig::new(NodeId::new(1)).gather;
    let mut now = NOW;
    counted(OPERATIONS, 1, |i| {
        track(&mut own, now, 100 + i);
        own.handle_session_closed(now, u64::from(i) + 100);
        now = now + gather;
        own.handle_timeout(now);
        while let Some(output) = own.poll_output() {
            black_box(output);
        }
    });
}

/// A hundred presences of another server are heard of.
pub(super) fn presence_merge() {
    let mut other = tracker(2);
    (0..100).for_each(|session| track(&mut other, NOW, session));
    other.handle_timeout(NOW + TrackerConfig::new(NodeId::new(2)).gather);
    let told: Vec<_> = std::iter::from_fn(|| other.poll_output()).collect();
    let mut own = tracker(1);
    counted(1, 100, |_| {
        for output in &told {
            if let PresenceOutput::Send(message) = output {
                own.handle_message(NOW, message.clone());
            }
        }
        while let Some(output) = own.poll_output() {
            black_box(output);
        }
    });
    assert_eq!(own.counts().metas, 100);
}
