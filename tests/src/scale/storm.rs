//! The reconnects after a server dies or is drained, or after all of them restart. The clients are real; of the
//! servers, only the time that they spend on a connection is modelled.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use core::time::Duration;

use tidegate_core::client::{Client, ClientConfig, ClientEvent};
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{ServerFrame, SubscribeRequest};
use tidegate_core::random::Random;
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::{ms, pattern, secs};

/// How long a new connection keeps its server busy: handshake, token, subscriptions.
const WORK: Duration = ms(1);

/// The round-trip time to a server.
const WAY: Duration = ms(40);

/// Why the clients lose their connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Their server dies.
    Killed,
    /// Their server tells them to connect elsewhere within this time.
    Drained(Duration),
    /// All servers are away for this long.
    AllAway(Duration),
}

/// The course of a storm.
#[derive(Clone, Debug, Default)]
pub struct Storm {
    /// The attempts of each tenth of a second.
    pub attempts: Vec<u64>,
    /// The connections that were opened in each tenth of a second.
    pub opened: Vec<u64>,
    /// When each client was connected again.
    pub back: Vec<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Opened(u32),
    Closed(u32),
    Timer,
}

struct World {
    clients: Vec<Client<Json>>,
    is_back: Vec<bool>,
    events: BinaryHeap<Reverse<(Instant, usize, Event)>>,
    /// When each server will have finished its connections.
    busy: Vec<Instant>,
    away_until: Instant,
    begun: Instant,
    random: Random,
    storm: Storm,
}

/// Simulates this many clients that lose their server and reconnect to one of `servers` others.
///
/// # Panics
/// If a client is not connected within ten minutes.
pub fn measure(cause: Cause, clients: usize, servers: usize) -> Storm {
    let mut world = World {
        clients: Vec::new(),
        is_back: vec![false; clients],
        events: BinaryHeap::new(),
        busy: vec![Instant::ZERO; servers],
        away_until: Instant::ZERO,
        begun: Instant::ZERO + secs(60),
        random: Random::new(7),
        storm: Storm::default(),
    };
    for client in 0..clients {
        world.add(client);
    }
    let begun = world.begun;
    if let Cause::AllAway(how_long) = cause {
        world.away_until = begun + how_long;
    }
    for client in 0..clients {
        match cause {
            Cause::Killed | Cause::AllAway(_) => world.clients[client].handle_closed(begun, 1),
            Cause::Drained(within) => {
                let within_ms = u64::try_from(within.as_millis()).expect("short");
                let drain = ServerFrame::Drain { within_ms };
                world.clients[client].handle_frame(begun, 1, drain);
            }
        }
        world.settle(begun, client);
    }
    while let Some(Reverse((at, client, event))) = world.events.pop() {
        assert!(at < begun + secs(600), "somebody does not come back");
        world.happen(at, client, event);
    }
    world.storm.back.sort_unstable();
    world.storm
}

impl World {
    /// A client that has been connected for a minute.
    fn add(&mut self, client: usize) {
        let mut machine = Client::new(ClientConfig::new(client as u64));
        machine.handle_connect(Instant::ZERO);
        let request = SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
        machine.handle_subscribe(Instant::ZERO, request);
        machine.handle_opened(Instant::ZERO, 1);
        machine.handle_frame(Instant::ZERO, 1, welcome());
        while machine.poll_output().is_some() {}
        self.clients.push(machine);
    }

    fn happen(&mut self, at: Instant, client: usize, event: Event) {
        if self.is_back[client] {
            return;
        }
        let machine = &mut self.clients[client];
        match event {
            Event::Opened(link) => {
                machine.handle_opened(at, link);
                machine.handle_frame(at, link, welcome());
            }
            Event::Closed(link) => machine.handle_closed(at, link),
            Event::Timer => machine.handle_timeout(at),
        }
        self.settle(at, client);
    }

    fn settle(&mut self, now: Instant, client: usize) {
        while let Some(output) = self.clients[client].poll_output() {
            match output {
                ClientEvent::Connect { link } => self.connect(now, client, link),
                ClientEvent::State(tidegate_core::client::ConnectionState::Connected) => {
                    self.is_back[client] = true;
                    self.storm.back.push(now - self.begun);
                    return;
                }
                _ => {}
            }
        }
        if let Some(at) = self.clients[client].poll_timeout() {
            self.events
                .push(Reverse((at.max(now), client, Event::Timer)));
        }
    }

    /// An attempt reaches one of the servers, which handles attempts one by one.
    fn connect(&mut self, now: Instant, client: usize, link: u32) {
        note(&mut self.storm.attempts, now - self.begun);
        if now < self.away_until {
            let closed = Event::Closed(link);
            return self.events.push(Reverse((now + WAY, client, closed)));
        }
        let last = self.busy.len() as u64 - 1;
        let server = usize::try_from(self.random.up_to(last)).expect("below a count");
        let done = self.busy[server].max(now) + WORK;
        self.busy[server] = done;
        note(&mut self.storm.opened, done - self.begun);
        let opened = Event::Opened(link);
        self.events.push(Reverse((done + WAY, client, opened)));
    }
}

fn note(counts: &mut Vec<u64>, after: Duration) {
    let index = usize::try_from(after.as_millis() / 100).expect("short");
    if counts.len() <= index {
        counts.resize(index + 1, 0);
    }
    counts[index] += 1;
}

fn welcome() -> ServerFrame<Json> {
    ServerFrame::Welcome {
        heartbeat_ms: 25_000,
        expires_in_ms: None,
        message_bytes_max: None,
        publish_rate: None,
    }
}
