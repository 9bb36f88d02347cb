//! What servers say to each other about presences: real trackers, each of which hears all others.

use core::time::Duration;

use tidegate_core::presence::{
    Key, NodeId, PresenceEnvelope, PresenceOutput, TrackId, Tracker, TrackerConfig,
};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::{secs, topic};

/// How long is measured, after the servers have found each other.
const SPAN: Duration = secs(5);

/// The presences of the cluster at the beginning, on all servers together.
const PRESENT: u64 = 2_000;

/// What a cluster's servers say in a second.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// The servers.
    pub servers: u64,
    /// How many come and go in a second, on all servers together.
    pub changes: u64,
    /// Messages handed to the backend.
    pub sent: f64,
    /// Messages that servers read: each of them for each other server.
    pub read: f64,
    /// The bytes of those that were handed to the backend.
    pub bytes: f64,
}

struct World {
    now: Instant,
    trackers: Vec<Tracker<Json>>,
    /// When each may have something due.
    due: Vec<Option<Instant>>,
    sent: u64,
    bytes: u64,
    next: u64,
}

/// Lets a cluster's servers live for a while, in which so many come and go each second.
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
        // Changes come at random: on average at their rate.
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
    /// Somebody comes to a server, or who came before goes.
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
        // Whoever came first goes, on the same server, where enough are there.
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

    /// What a server says reaches all others at once.
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
