//! Events in the lives of servers: they are killed, drained, started and paused, and their clocks jump.

use core::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::presence::{NodeId, Roster};
use tidegate_core::progress::Tracker;
use tidegate_core::protocol::{Start, SubscribeRequest};
use tidegate_core::time::Instant;
use tidegate_core::uplink::UplinkConfig;

use super::{Link, Server, World};
use crate::json::Json;
use crate::{pattern, secs};

/// How long effects of late timers may last after the timers are exact again.
const AFTERMATH: Duration = secs(61);

impl World {
    /// Adds a server that owns its topics itself. Returns its index.
    pub fn add_owner(&mut self, config: ServerConfig) -> usize {
        let server = self.push_server(ServerHub::new(config.clone()), config, None);
        self.watch_owner(server);
        server
    }

    pub(super) fn push_server(
        &mut self,
        hub: ServerHub<Json>,
        config: ServerConfig,
        uplink: Option<UplinkConfig>,
    ) -> usize {
        self.servers.push(Server {
            hub,
            watches: super::BTreeMap::new(),
            link: Link::default(),
            is_up: true,
            ahead: Duration::ZERO,
            lateness: Duration::ZERO,
            paused_until: Instant::ZERO,
            disturbed_until: Instant::ZERO,
            life: 0,
            config,
            uplink,
            witness: None,
            remotes: super::BTreeMap::new(),
            tracker: None,
        });
        self.start_counting(self.servers.len() - 1);
        self.servers.len() - 1
    }

    /// Subscribes the witness to everything that is published at a server that owns its topics.
    fn watch_owner(&mut self, server: usize) {
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        let witness = hub.handle_open_local(usize::MAX / 4);
        let all = SubscribeRequest {
            start: Start::New,
            ..SubscribeRequest::new(pattern("**"), Flow::IMMEDIATE)
        };
        hub.handle_subscribe(now, witness, all)
            .expect("there is room for the witness");
        self.servers[server].witness = Some(witness);
        self.settle(server);
    }

    /// What a server's clock shows.
    pub fn clock(&self, server: usize) -> Instant {
        self.now + self.servers[server].ahead
    }

    /// When a server's next timer fires, lateness included.
    pub(super) fn wakes(&self, server: usize) -> Option<Instant> {
        let server = &self.servers[server];
        if !server.is_up {
            return None;
        }
        let ahead = Instant::ZERO + server.ahead;
        let tracker = server.tracker.as_ref();
        let deadlines = [
            server.hub.poll_timeout(),
            tracker.and_then(Tracker::poll_timeout),
        ];
        let at = deadlines.into_iter().flatten().min()?;
        let at = at.as_micros().saturating_sub(ahead.as_micros());
        let at = at.max(server.paused_until.as_micros());
        let step = u64::try_from(server.lateness.as_micros()).expect("short");
        if step == 0 {
            return Some(Instant::from_micros(at));
        }
        let at = at.max(self.now.as_micros()).div_ceil(step) * step;
        Some(Instant::from_micros(at))
    }

    /// Whether a server is there and runs.
    pub fn runs(&self, server: usize) -> bool {
        let server = &self.servers[server];
        server.is_up && server.paused_until <= self.now
    }

    /// A server dies, with all that it knows.
    pub fn kill(&mut self, server: usize) {
        if !self.servers[server].is_up {
            return;
        }
        self.note(format_args!("{server} dies"));
        self.note_counts_of(server);
        self.shut(server);
        let delay = Duration::from_millis(3 * self.weather.announce_ms_max);
        let dead = &mut self.servers[server];
        let silent_by = self.now + delay + dead.config.presence.down_after;
        let gone_by = silent_by + dead.config.presence.gather;
        self.gone_by.insert(dead.config.presence.node, gone_by);
        dead.is_up = false;
        dead.tracker = None;
        dead.life += 1;
        dead.link.feed += 1;
        dead.link.sessions.clear();
        dead.watches.clear();
        dead.remotes.clear();
        let owned = dead.uplink.is_none();
        self.outward
            .retain(|outward| outward.connection().0 != server);
        let lost = self.published.iter_mut();
        lost.filter(|published| published.server == server && published.result.is_none())
            .for_each(|published| published.is_lost = true);
        if owned {
            self.store.wipe();
        }
    }

    /// A server shuts down in an orderly way.
    pub fn shut_down(&mut self, server: usize) {
        if self.servers[server].is_up {
            let now = self.clock(server);
            self.servers[server].hub.handle_shutdown(now);
            if let Some(tracker) = &mut self.servers[server].tracker {
                tracker.handle_shutdown(now);
            }
            self.settle(server);
            self.kill(server);
        }
    }

    /// A server drains: it tells its clients to connect elsewhere.
    pub fn drain(&mut self, server: usize) {
        if self.servers[server].is_up {
            self.note(format_args!("{server} drains"));
            let now = self.clock(server);
            self.servers[server].hub.handle_drain(now);
            self.settle(server);
        }
    }

    /// A dead server starts again, with empty memory.
    pub fn start(&mut self, server: usize) {
        if self.servers[server].is_up {
            return;
        }
        self.note(format_args!("{server} starts"));
        let seed = self.random.next_u64();
        let node = NodeId::new(self.random.next_u64() >> 11);
        let started = &mut self.servers[server];
        started.config.hub.seed = seed;
        started.config.presence.node = node;
        let config = started.config.clone();
        started.hub = match &mut started.uplink {
            Some(uplink) => {
                uplink.seed = seed;
                ServerHub::with_uplink(config, uplink.clone())
            }
            None => ServerHub::new(config),
        };
        started.is_up = true;
        started.ahead = Duration::ZERO;
        started.lateness = Duration::ZERO;
        started.paused_until = self.now;
        let is_owner = started.uplink.is_none();
        self.start_counting(server);
        if is_owner {
            self.watch_owner(server);
        }
    }

    /// Nothing of a server runs for a while.
    pub fn pause(&mut self, server: usize, how_long: Duration) {
        self.note(format_args!("{server} pauses for {how_long:?}"));
        let paused = &mut self.servers[server];
        paused.paused_until = paused.paused_until.max(self.now + how_long);
        paused.disturbed_until = paused.paused_until + AFTERMATH;
    }

    /// How long a server keeps an idle topic.
    pub fn retention(&self, server: usize) -> Duration {
        self.servers[server].config.hub.retention
    }

    /// A server's clock jumps forward.
    pub fn jump(&mut self, server: usize, by: Duration) {
        self.note(format_args!("the clock of {server} jumps by {by:?}"));
        self.servers[server].ahead += by;
    }

    /// A server's timers come at multiples of this from now on.
    pub fn set_lateness(&mut self, server: usize, lateness: Duration) {
        self.note(format_args!("timers of {server} are late by {lateness:?}"));
        let server = &mut self.servers[server];
        server.lateness = lateness;
        server.disturbed_until = server.disturbed_until.max(self.now + lateness + AFTERMATH);
    }

    /// Checks that presences of earlier lives are gone in time.
    ///
    /// # Panics
    /// If they are not.
    pub fn check_ghosts(&self, topics: &[&str]) {
        for (index, server) in self.servers.iter().enumerate() {
            let is_exact = server.lateness.is_zero() && server.disturbed_until <= self.now;
            if !server.is_up || !is_exact {
                continue;
            }
            for topic in topics {
                let roster = server.hub.presence(&crate::topic(topic));
                for present in roster.into_iter().flat_map(Roster::present) {
                    let by = self.gone_by.get(&present.id.node);
                    assert!(
                        by.is_none_or(|by| *by >= self.now),
                        "at server {index}, {present:?} of a server that is gone"
                    );
                }
            }
        }
    }
}
