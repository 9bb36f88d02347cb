//! The messages of servers about presences, measured with real trackers that all hear each other.

use core::time::Duration;

use tidegate_core::presence::{
    Key, NodeId, PresenceEnvelope, PresenceOutput, TrackId, Tracker, TrackerConfig,
};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::{secs, topic};

/// How long to measure, after the servers have found each other.
const SPAN: Duration = secs(5);

/// The presences of the cluster at the beginning, on all servers together.
const PRESENT: u64 = 2_000;

/// The messages of a cluster's servers in a second.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The number of servers.
    pub servers: u64,
    /// The presences that come or go in a second, on all servers together.
    pub changes: u64,
    /// The messages sent to the backend.
    pub sent: f64,
    /// The messages that servers receive: each other server gets each of them.
    pub read: f64,
    /// The bytes of the messages sent to the backend.
    pub bytes: f64,
}

struct World {
    now: Instant,
    trackers: Vec<Tracker<Json>>,
    /// The next deadline of each tracker.
    due: Vec<Option<Instant>>,
    sent: u64,
    bytes: u64,
    next: u64,
}

/// Runs a cluster for a while, with this many changes per second.
pub fn measure(servers: u64, changes: u64) -> Said {
    let trackers =
        (0..servers).map(|server| Tracker::new(TrackerConfig::new(NodeId::new(server + 1))));
    let mut world = World {
        now: Instant::from_millis(1),
        trackers: trackers.collect(),
        due: Vec::new(),
        sent: 0,
        bytes: 0,
        next: 0,
    };
    world.due = vec![None; world.trackers.len()];
    for server in 0..world.trackers.len() {
        let now = world.now;
        world.trackers[server].handle_linked(now);
        world.settle(server);
    }
    for _ in 0..PRESENT {
        world.change(servers);
    }
    world.pass(secs(11));
    (world.sent, world.bytes) = (0, 0);
    let begun = world.now;
    let mut random = Random::new(servers);
    while world.now - begun < SPAN {
        // Changes come at random times, at this rate on average.
        let pause = Duration::from_secs(2).checked_div(u32::try_from(changes).unwrap_or(u32::MAX));
        let pause = pause.unwrap_or(SPAN);
        let micros = u64::try_from(pause.as_micros()).expect("short");
        world.pass(Duration::from_micros(random.up_to(micros).max(1)));
        if changes > 0 {
            world.change(servers);
        }
    }
    let span = SPAN.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let (sent, bytes, others) = (world.sent as f64, world.bytes as f64, (servers - 1) as f64);
    Said {
        servers,
        changes,
        sent: sent / span,
        read: sent * others / span,
        bytes: bytes / span,
    }
}

impl World {
    /// A presence joins at a server, or the oldest one leaves.
    fn change(&mut self, servers: u64) {
        let number = self.next;
        self.next += 1;
        let server = usize::try_from(number % servers).expect("few");
        let came = |number: u64| TrackId {
            session: number,
            number: 1,
        };
        let now = self.now;
        let tracker = &mut self.trackers[server];
        // Once there are enough, the oldest presence leaves its server.
        if number >= PRESENT {
            let earlier = number - PRESENT;
            if tracker.handle_untrack(now, came(earlier)) {
                return self.settle(server);
            }
        }
        let key = Key::new(&format!("user{number}")).expect("a short name");
        let room = topic(&format!("room:{}", number % 500));
        let meta = serde_json::json!({ "device": "phone" }).into();
        tracker
            .handle_track(now, came(number), room, key, meta)
            .expect("there is room");
        self.settle(server);
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let due = self.due.iter().enumerate();
            let next = due.filter_map(|(server, at)| Some(((*at)?, server))).min();
            let Some((at, server)) = next.filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            let now = self.now;
            self.trackers[server].handle_timeout(now);
            self.settle(server);
        }
    }

    /// Delivers a server's messages to all others at once.
    fn settle(&mut self, from: usize) {
        let mut talking = vec![from];
        while let Some(server) = talking.pop() {
            while let Some(output) = self.trackers[server].poll_output() {
                let PresenceOutput::Send(message) = output else {
                    continue;
                };
                self.sent += 1;
                let envelope = PresenceEnvelope::from(&message);
                let text = serde_json::to_string(&envelope).expect("messages have a JSON form");
                self.bytes += text.len() as u64;
                let now = self.now;
                for to in 0..self.trackers.len() {
                    if to != server {
                        self.trackers[to].handle_message(now, message.clone());
                        self.due[to] = self.trackers[to].poll_timeout();
                        talking.push(to);
                    }
                }
            }
            self.due[server] = self.trackers[server].poll_timeout();
        }
    }
}
