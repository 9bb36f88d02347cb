//! One publication to 1, 100 and 10,000 subscribers, layer by layer.

mod harness;

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use harness::{Bench, Group, timed};
use tidegate_core::flow::Flow;
use tidegate_core::hub::{Hub, HubConfig, ServerConfig, ServerHub, ServerOutput};
use tidegate_core::protocol::{PublishRequest, Start, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

/// Published to without end.
const TOPIC: &str = "job:42";

fn main() {
    let bench = Bench::from_args();
    for (name, subscribers) in [
        ("hub/fan_out/1", 1),
        ("hub/fan_out/100", 100),
        ("hub/fan_out/10000", 10_000),
    ] {
        if bench.wants(name) {
            fan_out(&bench, name, subscribers);
        }
    }
}

fn fan_out(bench: &Bench, name: &'static str, subscribers: u32) {
    let units = u64::from(subscribers);
    let mut group = Group::new(name, "delivery");

    let shared = Arc::new(0_u64);
    let mut queue = VecDeque::new();
    group.case("floor: an Arc cloned, queued, taken", units, move |n| {
        timed(n, |_| {
            queue.extend((0..subscribers).map(|downlink| (downlink, Arc::clone(&shared))));
            while let Some(due) = queue.pop_front() {
                black_box(due);
            }
        })
    });

    for (case, flow, pattern) in [
        ("hub", Flow::IMMEDIATE, TOPIC),
        ("hub, by a pattern", Flow::IMMEDIATE, "job:*"),
        (
            "hub, throttled: held back",
            Flow::throttle(Duration::from_secs(1)),
            TOPIC,
        ),
    ] {
        let mut hub = hub(subscribers, pattern, flow);
        group.case(case, units, move |n| {
            timed(n, |_| {
                hub.handle_publish(Instant::ZERO, request())
                    .expect("the topic is live");
                while let Some(due) = hub.poll_output() {
                    black_box(due);
                }
            })
        });
    }

    let mut server = server(subscribers);
    group.case(
        "server hub: queued and taken per connection",
        units,
        move |n| {
            timed(n, |_| {
                server
                    .handle_publish(Instant::ZERO, request())
                    .expect("the topic is live");
                take_frames(&mut server);
            })
        },
    );
    bench.measure(group);
}

fn request() -> PublishRequest<()> {
    // Hosts get topics as text, so checking and copying it is part of every publish.
    PublishRequest::new(Topic::new(TOPIC).expect("a valid topic"), ())
}

fn hub(subscribers: u32, pattern: &str, flow: Flow) -> Hub<()> {
    let mut hub = Hub::new(HubConfig::new(7));
    let request = subscription(pattern, flow);
    for downlink in 0..subscribers {
        hub.handle_subscribe(Instant::ZERO, downlink, &request)
            .expect("within the limits");
    }
    hub
}

fn subscription(pattern: &str, flow: Flow) -> SubscribeRequest {
    let pattern = Pattern::new(pattern).expect("a valid pattern");
    SubscribeRequest {
        start: Start::New,
        ..SubscribeRequest::new(pattern, flow)
    }
}

fn server(subscribers: u32) -> ServerHub<()> {
    let mut server = ServerHub::new(ServerConfig::new(7));
    let request = subscription(TOPIC, Flow::IMMEDIATE);
    for _ in 0..subscribers {
        let id = server.handle_open_local(1024 * 1024);
        server
            .handle_subscribe(Instant::ZERO, id, request.clone())
            .expect("within the limits");
    }
    take_frames(&mut server);
    server
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
