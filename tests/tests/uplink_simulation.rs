//! Servers that share a backend, with faults at random. Whatever happens, no promise is broken on the way, and once faults
//! heal every subscriber is where the topics are and nothing is left behind.

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ConnectionId, ServerConfig};
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::{PublishRequest, Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_core::random::Random;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::UplinkConfig;
use tidegate_tests::backend_model::{Last, Weather, World};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, pattern, secs, topic};

const TOPICS: [&str; 5] = ["job:1", "job:2", "job:42", "job:42:log", "user:7"];

const PATTERNS: [&str; 8] = [
    "job:1",
    "job:2",
    "job:42",
    "user:7",
    "job:42:log",
    "job:*",
    "job:**",
    "**",
];

/// A run: the world, and the dice that decide what happens.
struct Run {
    world: World,
    dice: Random,
    weather: Weather,
    loses_data: bool,
    connections: Vec<(usize, ConnectionId)>,
    known: Vec<TopicPosition>,
}

/// The weather of a run; the higher the number, the worse.
fn weather(number: u64) -> Weather {
    let bad = Weather {
        call_ms_max: 100,
        announce_ms_max: 100,
        drops: 10,
        reports: 50,
        doubles: 10,
        lost_calls: 1,
        lost_answers: 2,
        failures: 3,
    };
    match number {
        0 => Weather::CALM,
        1 => Weather {
            call_ms_max: 400,
            ..Weather::CALM
        },
        2 => Weather {
            announce_ms_max: 400,
            ..Weather::CALM
        },
        3 => Weather {
            drops: 20,
            reports: 50,
            doubles: 20,
            call_ms_max: 60,
            ..Weather::CALM
        },
        _ => bad,
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut dice = Random::new(seed);
        let mut world = World::new(seed);
        world.store.count_max = [256, 256, 3, 1][below(&mut dice, 4)];
        for server in 0..2 + below(&mut dice, 2) as u64 {
            let mut config = ServerConfig::new(seed + server);
            config.hub.history.count_max = [256, 2][below(&mut dice, 2)];
            let mut uplink = UplinkConfig::new(seed + server);
            uplink.held_max = [1024, 2][below(&mut dice, 2)];
            uplink.reads_max = [64, 1][below(&mut dice, 2)];
            uplink.batch_max = [512, 2][below(&mut dice, 2)];
            uplink.call_timeout = secs(2);
            uplink.publish_patience = secs(3);
            world.add_server_with(config, uplink);
        }
        let weather = weather(dice.up_to(4));
        world.weather = weather;
        Self {
            world,
            weather,
            loses_data: dice.up_to(2) == 0,
            connections: Vec::new(),
            known: Vec::new(),
            dice,
        }
    }

    fn below(&mut self, count: usize) -> usize {
        below(&mut self.dice, count)
    }

    fn server(&mut self) -> usize {
        let count = self.world.servers.len();
        self.below(count)
    }

    fn flow(&mut self) -> Flow {
        [
            Flow::IMMEDIATE,
            Flow::IMMEDIATE,
            Flow::throttle(ms(50)),
            Flow::throttle(ms(700)),
        ][self.below(4)]
    }

    fn step(&mut self) {
        match self.dice.up_to(99) {
            0..30 => self.publish(1),
            30..34 => {
                let count = 2 + self.below(20);
                self.publish(count);
            }
            34..54 => self.subscribe(),
            54..60 => self.leave(),
            60..65 => self.change(),
            65..69 => {
                let (server, is_told) = (self.server(), self.dice.up_to(1) == 0);
                self.world.cut(server, is_told);
            }
            69..72 => {
                let server = self.server();
                self.world.servers[server].link.is_reachable ^= true;
                self.world.cut(server, true);
            }
            72 => self.world.store.is_full ^= true,
            73..76 if self.loses_data => self.lose_data(),
            76 => {
                let server = self.server();
                self.world.miss(server);
            }
            77..82 => self.pass(3_000),
            _ => self.pass(150),
        }
    }

    fn pass(&mut self, most: u64) {
        let millis = self.dice.up_to(most);
        self.world.run_for(ms(millis));
    }

    fn publish(&mut self, count: usize) {
        let (server, to) = (self.server(), TOPICS[self.below(TOPICS.len())]);
        let sessions: Vec<ConnectionId> = self.world.sessions(server).collect();
        let by = match self.below(3) {
            0 => sessions.first().copied(),
            _ => None,
        };
        for _ in 0..count {
            let end = (self.dice.up_to(9) == 0).then_some(EndReason::Complete);
            let restart = self.dice.up_to(2) == 0;
            let request = PublishRequest {
                end,
                restart,
                ..PublishRequest::new(topic(to), Json::from(0))
            };
            self.world.publish_request(server, by, request);
        }
    }

    fn subscribe(&mut self) {
        let (server, flow) = (self.server(), self.flow());
        let to = PATTERNS[self.below(PATTERNS.len())];
        let start = match self.below(4) {
            0 => Start::New,
            1 => self.since(&pattern(to)),
            _ => Start::Latest,
        };
        let own: Vec<ConnectionId> = self.world.servers[server].watches.keys().copied().collect();
        let is_free = |id: &&ConnectionId| {
            let watches = &self.world.servers[server].watches[id];
            watches.open().all(|watch| watch.pattern != pattern(to))
        };
        let shared = own.iter().rfind(is_free).copied();
        match (self.below(4), shared) {
            (0, Some(id)) => self.world.subscribe(server, id, to, flow, start),
            (1, _) => {
                let id = self.world.watch_session(server, to, flow, start);
                self.connections.push((server, id));
            }
            _ => {
                let id = self.world.watch(server, to, flow, start);
                self.connections.push((server, id));
            }
        }
    }

    /// Positions that somebody has seen.
    fn since(&mut self, of: &Pattern) -> Start {
        let watches = self
            .world
            .servers
            .iter()
            .flat_map(|server| server.watches.values());
        for watch in watches.flat_map(|watches| watches.open()) {
            self.known
                .extend(watch.last.iter().map(|(topic, last)| TopicPosition {
                    topic: topic.clone(),
                    position: match last {
                        Last::Seen { position, .. } | Last::Reset(position) => *position,
                    },
                }));
        }
        let mut chosen: Vec<TopicPosition> = Vec::new();
        for name in TOPICS {
            let name: Topic = topic(name);
            let known: Vec<Position> = self
                .known
                .iter()
                .filter(|known| known.topic == name && of.matches(&name))
                .map(|known| known.position)
                .collect();
            if !known.is_empty() && self.below(4) > 0 {
                let position = known[self.below(known.len())];
                chosen.push(TopicPosition {
                    topic: name,
                    position,
                });
            }
        }
        Start::Since(chosen)
    }

    fn choose(&mut self) -> Option<(usize, ConnectionId)> {
        let world = &self.world;
        self.connections
            .retain(|(server, id)| world.servers[*server].watches.contains_key(id));
        let count = self.connections.len();
        (count > 0).then(|| self.connections[below(&mut self.dice, count)])
    }

    fn leave(&mut self) {
        let Some((server, id)) = self.choose() else {
            return;
        };
        self.world.close(server, id);
    }

    /// A client unsubscribes from something, or changes a flow.
    fn change(&mut self) {
        let Some((server, id)) = self.choose() else {
            return;
        };
        if !self.world.sessions(server).any(|session| session == id) {
            return;
        }
        let watches = &self.world.servers[server].watches[&id];
        let Some(to) = watches.open().next().map(|watch| watch.pattern.clone()) else {
            return;
        };
        if self.below(2) == 0 {
            self.world.unsubscribe(server, id, &to);
        } else {
            let flow = self.flow();
            self.world.set_flow(server, id, &to, flow);
        }
    }

    /// A backend that comes back without a part of its data has lost its links before.
    fn lose_data(&mut self) {
        if self.below(4) == 0 {
            self.world.store.wipe();
        } else {
            for name in TOPICS {
                let count = self.below(4);
                self.world.store.lose_tail(&topic(name), count);
            }
        }
        for server in 0..self.world.servers.len() {
            let is_told = self.dice.up_to(1) == 0;
            self.world.cut(server, is_told);
        }
    }

    fn heal(&mut self) {
        self.world.weather = Weather::CALM;
        self.world.store.is_full = false;
        for server in &mut self.world.servers {
            server.link.is_reachable = true;
        }
        self.world.run_for(secs(20));
        for name in TOPICS {
            self.world.publish(0, name);
        }
        self.world.run_for(secs(5));
        for server in 0..self.world.servers.len() {
            if self.world.servers[server].link.is_deaf {
                self.world.miss(server);
            }
        }
        self.world.run_for(secs(5));
    }
}

fn below(dice: &mut Random, count: usize) -> usize {
    usize::try_from(dice.up_to(count as u64 - 1)).expect("it is below a count")
}

fn simulate(seed: u64) -> World {
    let mut run = Run::new(seed);
    for _ in 0..30 + run.below(90) {
        run.step();
    }
    run.world.weather = run.weather;
    run.heal();
    run.world
}

fn check(seed: u64) {
    let mut world = simulate(seed);
    world.check_converged();
    world.check_published();
    let again = simulate(seed);
    assert!(world.log == again.log, "the same run had another outcome");
    world.check_nothing_left();
}

/// Seeds that once failed: whoever resumed at the top left no copy of the latest publication, and a topic whose end had
/// been lost went on behind it.
const FOUND: [u64; 3] = [9303, 18959, 27046];

/// The first 200 seeds and those that once failed, or others: `TIDEGATE_SEEDS=1000..2000`.
fn seeds() -> Vec<u64> {
    let Ok(text) = std::env::var("TIDEGATE_SEEDS") else {
        return (0..200).chain(FOUND).collect();
    };
    let (first, last) = text.split_once("..").expect("a range of seeds");
    let number = |text: &str| text.parse().expect("a range of seeds");
    (number(first)..number(last)).collect()
}

#[test]
fn promises_hold_on_the_way_and_everybody_converges() {
    let mut failed = Vec::new();
    for seed in seeds() {
        if std::panic::catch_unwind(|| check(seed)).is_err() {
            eprintln!("this was seed {seed}");
            failed.push(seed);
        }
    }
    assert!(failed.is_empty(), "seeds {failed:?}");
}
