mod leases;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const LEASE: Duration = Duration::from_secs(3);

/// What servers receive, in the same order for all.
#[derive(Clone, Copy, Debug)]
enum Event {
    Raw { mark: u64, number: u64 },
    Taken { server: usize, mark: u64 },
    Leased { server: usize, token: u64 },
}

#[derive(Clone, Debug)]
enum Answer {
    Lease { token: u64, is_held: bool },
    Took { token: u64, answers: Vec<Took> },
}

struct Server {
    intake: Intake<u64>,
    /// How many of the events it has received.
    heard: usize,
    commands: VecDeque<IntakeOutput<u64>>,
    answers: VecDeque<Answer>,
    is_alive: bool,
    shed: usize,
}

/// A store and its servers. Nothing is delivered by itself.
struct World {
    now: Instant,
    events: Vec<Event>,
    lease: Option<(usize, u64, Instant)>,
    taken: Vec<(u64, u64)>,
    published: BTreeMap<u64, usize>,
    servers: Vec<Server>,
}

impl World {
    fn new(servers: usize) -> Self {
        let config = IntakeConfig {
            age_max: Duration::from_secs(1_000_000),
            ..IntakeConfig::default()
        };
        let server = || Server {
            intake: Intake::new(config),
            heard: 0,
            commands: VecDeque::new(),
            answers: VecDeque::new(),
            is_alive: true,
            shed: 0,
        };
        Self {
            now: Instant::from_millis(1),
            events: Vec::new(),
            lease: None,
            taken: Vec::new(),
            published: BTreeMap::new(),
            servers: (0..servers).map(|_| server()).collect(),
        }
    }

    fn publish(&mut self, mark: u64) {
        let number = self.events.len() as u64;
        self.events.push(Event::Raw { mark, number });
        *self.published.entry(mark).or_default() += 1;
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    fn drain(&mut self, at: usize) {
        let server = &mut self.servers[at];
        while let Some(output) = server.intake.poll_output() {
            match output {
                IntakeOutput::Shed { count } => server.shed += count,
                command @ (IntakeOutput::Acquire { .. }
                | IntakeOutput::Prolong { .. }
                | IntakeOutput::Take { .. }) => server.commands.push_back(command),
            }
        }
    }

    fn tick(&mut self, at: usize) {
        let now = self.now;
        let server = &mut self.servers[at];
        if server.is_alive {
            server.intake.handle_timeout(now);
            assert!(server.intake.poll_timeout().is_none_or(|due| due > now));
            self.drain(at);
        }
    }

    fn hear(&mut self, at: usize) -> bool {
        let now = self.now;
        let server = &mut self.servers[at];
        let Some(event) = self.events.get(server.heard).filter(|_| server.is_alive) else {
            return false;
        };
        server.heard += 1;
        match *event {
            Event::Raw { mark, number } => server.intake.handle_raw(now, mark, 1, number),
            Event::Taken { server: by, mark } if by != at => server.intake.handle_taken(mark),
            Event::Leased { server: by, token } if by == at => {
                server.intake.handle_leased(now, token);
            }
            Event::Taken { .. } | Event::Leased { .. } => {}
        }
        self.drain(at);
        true
    }

    fn holds(&self, at: usize, token: u64) -> bool {
        self.lease
            .is_some_and(|(server, held, until)| (server, held) == (at, token) && self.now < until)
    }

    /// The store carries out the next command of a server, which may have crashed since it sent it.
    fn execute(&mut self, at: usize) -> bool {
        let Some(command) = self.servers[at].commands.pop_front() else {
            return false;
        };
        let answer = match command {
            IntakeOutput::Acquire { token } => {
                let is_free = self.lease.is_none_or(|(_, _, until)| until <= self.now);
                if is_free {
                    self.lease = Some((at, token, self.now + LEASE));
                    self.events.push(Event::Leased { server: at, token });
                }
                Answer::Lease {
                    token,
                    is_held: is_free,
                }
            }
            IntakeOutput::Prolong { token } => {
                let is_held = self.holds(at, token);
                if is_held {
                    self.lease = Some((at, token, self.now + LEASE));
                }
                Answer::Lease { token, is_held }
            }
            IntakeOutput::Take { token, messages } => {
                let take = |(mark, number)| {
                    if !self.holds(at, token) {
                        return Took::Fenced;
                    }
                    self.taken.push((mark, number));
                    self.events.push(Event::Taken { server: at, mark });
                    Took::Done
                };
                Answer::Took {
                    token,
                    answers: messages.into_iter().map(take).collect(),
                }
            }
            IntakeOutput::Shed { .. } => return true,
        };
        self.servers[at].answers.push_back(answer);
        true
    }

    fn answer(&mut self, at: usize) -> bool {
        let now = self.now;
        let server = &mut self.servers[at];
        let Some(answer) = server.answers.pop_front().filter(|_| server.is_alive) else {
            return false;
        };
        match answer {
            Answer::Lease { token, is_held } => server.intake.handle_lease(now, token, is_held),
            Answer::Took { token, answers } => server.intake.handle_took(now, token, &answers),
        }
        self.drain(at);
        true
    }

    /// Delivers everything to everyone for a while.
    fn settle(&mut self) {
        for _ in 0..40 {
            for at in 0..self.servers.len() {
                self.tick(at);
            }
            let mut goes_on = true;
            while goes_on {
                goes_on = false;
                for at in 0..self.servers.len() {
                    goes_on |= self.execute(at) | self.answer(at) | self.hear(at);
                }
            }
            self.advance(Duration::from_millis(250));
        }
    }

    fn holders(&self) -> Vec<usize> {
        let holding = |at: &usize| self.servers[*at].intake.holding().is_some();
        (0..self.servers.len()).filter(holding).collect()
    }

    fn taken_numbers(&self) -> Vec<u64> {
        self.taken.iter().map(|(_, number)| *number).collect()
    }
}

#[test]
fn one_of_several_takes_in_and_nobody_keeps_what_was_taken() {
    let mut world = World::new(3);
    world.settle();
    for mark in [7, 7, 8] {
        world.publish(mark);
    }
    world.settle();
    assert_eq!(world.holders().len(), 1);
    assert_eq!(world.taken.len(), 3);
    assert!(world.servers.iter().all(|server| server.intake.is_empty()));
}

#[test]
fn another_takes_in_what_a_crashed_holder_left() {
    let mut world = World::new(2);
    world.settle();
    let holder = world.holders()[0];
    for mark in 0..5 {
        world.publish(mark);
    }
    while world.hear(holder) {}
    world.execute(holder);
    world.publish(5);
    world.servers[holder].is_alive = false;
    world.settle();
    assert_eq!(
        world
            .taken
            .iter()
            .map(|(mark, _)| *mark)
            .collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
}

#[test]
fn a_holder_that_was_paused_is_refused_when_it_wakes_up() {
    let mut world = World::new(2);
    world.settle();
    let paused = world.holders()[0];
    let other = 1 - paused;
    world.publish(1);
    while world.hear(paused) {}
    assert!(matches!(
        world.servers[paused].commands[0],
        IntakeOutput::Take { .. }
    ));
    for _ in 0..20 {
        world.advance(Duration::from_millis(250));
        world.tick(other);
        while world.execute(other) | world.answer(other) | world.hear(other) {}
    }
    assert_eq!(world.taken.len(), 1);
    world.settle();
    assert_eq!(world.taken.len(), 1);
    assert_eq!(world.holders(), [other]);
    assert!(world.servers[paused].intake.is_empty());
}

#[test]
fn a_new_holder_waits_until_it_has_heard_what_the_old_one_took() {
    let mut world = World::new(2);
    world.settle();
    let old = world.holders()[0];
    let new = 1 - old;
    world.publish(1);
    while world.hear(old) | world.execute(old) | world.answer(old) {}
    world.servers[old].is_alive = false;
    world.advance(Duration::from_secs(5));
    world.tick(new);
    while world.execute(new) | world.answer(new) {}
    assert_eq!(world.servers[new].intake.holding(), None);
    while world.hear(new) | world.execute(new) {}
    assert!(world.servers[new].intake.holding().is_some());
    assert_eq!(world.taken.len(), 1);
}

#[test]
fn what_is_kept_is_bounded_by_count_bytes_and_age() {
    let config = IntakeConfig {
        count_max: 3,
        bytes_max: 10,
        ..IntakeConfig::default()
    };
    let mut intake = Intake::new(config);
    let shed = |intake: &mut Intake<u64>| match intake.poll_output() {
        Some(IntakeOutput::Shed { count }) => count,
        None => 0,
        other => panic!("{other:?}"),
    };
    for (mark, bytes, expected) in [
        (1, 1, 0),
        (2, 1, 0),
        (3, 1, 0),
        (4, 1, 1),
        (5, 9, 2),
        (6, 50, 2),
    ] {
        intake.handle_raw(Instant::from_millis(mark), mark, bytes, mark);
        assert_eq!(shed(&mut intake), expected, "{mark}");
    }
    let expiry = Instant::from_millis(6) + config.age_max;
    assert_eq!(intake.poll_timeout(), Some(Instant::ZERO));
    intake.handle_timeout(expiry);
    assert_eq!(shed(&mut intake), 1);
    assert!(intake.is_empty());
}

#[test]
fn what_the_store_could_not_take_is_offered_again_later() {
    let mut world = World::new(1);
    world.settle();
    world.publish(1);
    world.hear(0);
    let Some(IntakeOutput::Take { token, messages }) = world.servers[0].commands.pop_front() else {
        panic!("it takes in");
    };
    let now = world.now;
    let intake = &mut world.servers[0].intake;
    intake.handle_took(now, token, &[Took::Failed]);
    assert_eq!(intake.poll_output(), None);
    intake.handle_timeout(now + IntakeConfig::default().ask_every);
    let outputs: Vec<_> = core::iter::from_fn(|| intake.poll_output()).collect();
    assert!(outputs.contains(&IntakeOutput::Take { token, messages }));
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u64),
    Advance(u64),
    Tick(usize),
    Hear(usize),
    Execute(usize),
    Answer(usize),
    /// Everything that one server can do while the others stand still.
    Serve(usize),
    Crash(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    let server = 0..3_usize;
    prop_oneof![
        30 => (0..3_u64).prop_map(Step::Publish),
        20 => (0..4_000_u64).prop_map(Step::Advance),
        40 => server.clone().prop_map(Step::Tick),
        80 => server.clone().prop_map(Step::Hear),
        80 => server.clone().prop_map(Step::Execute),
        80 => server.clone().prop_map(Step::Answer),
        40 => server.prop_map(Step::Serve),
        1 => (1..3_usize).prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 300 }))]

    /// Whichever server is slow, paused or crashes, and whenever: as long as one server lives that has received
    /// everything, each message is taken in once, and in order.
    #[test]
    fn each_message_is_taken_in_once_and_in_order(steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 15 } else { 250 })) {
        let mut world = World::new(3);
        for step in steps {
            match step {
                Step::Publish(mark) => world.publish(mark),
                Step::Advance(millis) => world.advance(Duration::from_millis(millis)),
                Step::Tick(at) => world.tick(at),
                Step::Hear(at) => { world.hear(at); }
                Step::Execute(at) => { world.execute(at); }
                Step::Answer(at) => { world.answer(at); }
                Step::Serve(at) => { world.tick(at); while world.hear(at) | world.execute(at) | world.answer(at) {} }
                Step::Crash(at) => world.servers[at].is_alive = false,
            }
        }
        world.settle();
        let mut counts = BTreeMap::new();
        for (mark, _) in &world.taken {
            *counts.entry(*mark).or_insert(0) += 1;
        }
        prop_assert_eq!(counts, world.published.clone());
        let numbers = world.taken_numbers();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b), "{:?}", numbers);
        // Whatever a living server still keeps would be taken in again.
        let is_done = |server: &Server| server.shed == 0 && (server.intake.is_empty() || !server.is_alive);
        prop_assert!(world.servers.iter().all(is_done));
    }
}
