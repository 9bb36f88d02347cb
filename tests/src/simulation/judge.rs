//! The invariants: limits of queues at any time, and the final state once faults are healed and nobody publishes any
//! more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidegate_core::flow::Conflate;
use tidegate_core::hub::ConnectionId;
use tidegate_core::presence::Roster;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::{Pattern, Topic};

use super::links::Owner;
use super::{ASKED_FROM, By, ROOMS, System};
use crate::json::Json;
use crate::presence_model::Presence;
use crate::record::Record;
use crate::tab_model::{Life, Machine};
use crate::topic;

/// The presences of a room: keys and metas, in order.
type Present = Vec<(String, String)>;

/// All publications of each topic, in order.
type History<'a> = BTreeMap<&'a Topic, Vec<&'a Arc<Publication<Json>>>>;

impl System {
    /// Checks that a connection's outbox keeps its limit.
    pub(super) fn check_outbox(&self, server: usize, connection: ConnectionId) {
        let bytes_max = if self.is_tight { 700 } else { 1024 * 1024 };
        let waiting = self.world.servers[server].hub.waiting_bytes(connection);
        // A single frame may exceed the limit.
        let most = 2 * bytes_max + 16 * 1024;
        assert!(waiting <= most, "{waiting} bytes wait, {most} may");
    }

    /// Checks that all queues keep their limits, and that presences disappear in time.
    pub(super) fn check_bounds(&self) {
        for server in &self.world.servers {
            let counts = server.hub.uplink_counts();
            assert!(counts.publishes <= 10_000, "{counts:?}");
        }
        for program in &self.programs {
            let unanswered = program.hub.as_ref().map_or(0, |hub| hub.unanswered());
            assert!(unanswered <= 1_024, "{unanswered} publishes wait");
        }
        self.world.check_ghosts(&ROOMS);
        self.check_tokens();
    }

    fn all_records(&self) -> impl Iterator<Item = (String, &Record)> {
        let own = self.records.iter().enumerate();
        let own =
            own.map(|(index, record)| (format!("{index} of program {}", record.peer), record));
        let browsers = self.browsers.iter().enumerate();
        let pages = browsers.flat_map(|(browser, node)| {
            let records = node.browser.records.iter().enumerate();
            records.map(move |(index, record)| {
                let name = format!("{index} of browser {browser}, page {}", record.peer);
                (name, record)
            })
        });
        own.chain(pages)
    }

    /// Checks that every subscriber has the latest state of its topics. If a topic's publications expired while a
    /// subscriber was away, it can only be told that they are gone; and of two programs that are the same device, one
    /// doesn't get what the other has processed.
    pub(super) fn check_latest(&self, may_be_new: bool) {
        let topics: Vec<&Topic> = self.world.store.topics().collect();
        for (name, record) in self.all_records() {
            let is_gone = |topic: &Topic| {
                self.world.has_forgotten(topic) && record.was_told_that_nothing_is_left(topic)
            };
            let latest = topics.iter().copied().filter(|topic| !is_gone(topic));
            let latest = latest.filter_map(|topic| self.world.store.latest(topic));
            let latest = latest.filter(|latest| !self.was_dealt_with(record, latest));
            record.check_latest(&name, latest, may_be_new);
        }
    }

    /// Checks that everything delivered was published, that paces were kept, and that no end was withheld.
    pub(super) fn check_told(&self) {
        let store = &self.world.store;
        let mut history = History::new();
        let mut published: BTreeMap<(&Topic, u64, u64), &Json> = BTreeMap::new();
        for publication in &store.stored {
            let topic = &publication.topic;
            history.entry(topic).or_default().push(publication);
            let Position { epoch, offset } = publication.position;
            published.insert((topic, epoch, offset), &publication.payload);
        }
        for (name, record) in self.all_records() {
            record.check_pace();
            assert!(
                !self.must_lose_nothing || record.resets() == 0,
                "{name} to {} was told of a loss: {:#?}",
                record.pattern,
                record.seen
            );
            if store.is_tainted {
                continue;
            }
            assert_eq!(record.taken_back, None, "{name} to {}", record.pattern);
            for (_, told) in record.publications() {
                let Position { epoch, offset } = told.position;
                let payload = published.get(&(&told.topic, epoch, offset));
                let payload = payload.unwrap_or_else(|| panic!("{told:?} was not published"));
                let is_whole = record.flow.conflate != Conflate::Sum;
                let own = &told.payload;
                assert!(
                    !is_whole || own == *payload,
                    "{name}: {told:?} was {payload:?}"
                );
            }
            if record.losses() == 0 {
                check_terminals(&name, record, &history, self.may_have_forgotten);
                check_sums(&name, record, &history);
            }
        }
    }

    /// Whether the client is gone. A browser may have ended a page on which others waited.
    fn is_gone(&self, by: By) -> bool {
        match by {
            By::Page(browser, page) => !self.browsers[browser].browser.pages[page].is_open_tab(),
            By::Program(_) | By::Server(_) | By::Nobody => false,
        }
    }

    /// Checks that every publish of a client was answered, and stored exactly once if the answer says so.
    pub(super) fn check_asked(&self) {
        self.world.check_published();
        let mut stored: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
        for publication in &self.world.store.stored {
            let number = publication.payload.0["n"].as_u64().expect("it is numbered");
            let positions = stored.entry(number).or_default();
            positions.push(publication.position);
        }
        // When a topic is forgotten, so are its idempotency keys.
        let is_tainted = self.world.store.is_tainted || self.may_have_forgotten;
        for (index, asked) in self.asked.iter().enumerate() {
            let number = ASKED_FROM + index as u64;
            let positions = stored.get(&number).map_or(&[][..], Vec::as_slice);
            assert!(
                is_tainted || positions.len() <= 1,
                "{number}: {positions:?}"
            );
            if asked.is_lost || self.is_gone(asked.by) {
                continue;
            }
            let answer = match asked.by {
                By::Program(program) => self.programs[program].published.get(&asked.request),
                By::Page(browser, page) => {
                    let page = &self.browsers[browser].browser.pages[page];
                    page.published.get(&asked.request)
                }
                By::Server(_) | By::Nobody => None,
            };
            match answer.unwrap_or_else(|| panic!("publish {number} was not answered")) {
                Ok(position) => assert!(positions.contains(position), "{number} at {position}"),
                // A copy that another server holds may be stored after this one was refused.
                Err(error) => {
                    let may_be_late = is_tainted || self.may_hold_copies;
                    check_refusal(number, error, positions, may_be_late);
                }
            }
        }
    }

    /// Checks that each server follows exactly what its clients want, and that each client has one link.
    pub(super) fn check_interest(&self) {
        let count = self.world.servers.len();
        let mut wanted: Vec<Vec<Pattern>> = vec![Vec::new(); count];
        let mut clients: BTreeMap<(bool, usize), usize> = BTreeMap::new();
        for id in self.standing() {
            let link = &self.links[id];
            let (client, records): (_, Vec<&Record>) = match link.owner {
                Owner::Program(program, _) => {
                    let own = self.programs[program].subscribers.values();
                    let own = own.map(|record| &self.records[*record]);
                    ((false, program), own.collect())
                }
                Owner::Browser(browser, _) => {
                    let own = self.browsers[browser].browser.records.iter();
                    ((true, browser), own.collect())
                }
            };
            let live = records
                .iter()
                .filter(|record| !record.is_gone && !record.is_over());
            let patterns: BTreeSet<&Pattern> = live.map(|record| &record.pattern).collect();
            wanted[link.server].extend(patterns.into_iter().cloned());
            let before = clients.insert(client, id);
            assert_eq!(before, None, "client {client:?} has two links, {id} is one");
        }
        for (server, wanted) in wanted.into_iter().enumerate() {
            let hub = &self.world.servers[server].hub;
            let own = usize::from(!hub.has_uplink());
            let watches = &self.world.servers[server].watches;
            let listened = watches.values().flat_map(|watches| watches.open());
            let listened = listened.map(|watch| watch.pattern.clone());
            let wanted: Vec<Pattern> = wanted.into_iter().chain(listened).collect();
            assert_eq!(hub.counts().subscriptions, wanted.len() + own, "{server}");
            let connections = self.world.remotes(server) + watches.len() + own;
            assert_eq!(hub.connections(), connections);
            let union: BTreeSet<Pattern> = wanted.into_iter().collect();
            self.world.check_interest(server, &union);
        }
        for (index, node) in self.browsers.iter().enumerate() {
            let open = node.pages(Life::Awake).len();
            let leaders = node.browser.leaders().len();
            // Without a connection a leader can't prove that it is alive, so leadership moves from page to page, and
            // may be in transit.
            let is_wanted = |record: &Record| !record.is_gone && !record.is_over();
            let least = usize::from(open > 0 && node.browser.records.iter().any(is_wanted));
            let most = usize::from(open > 0);
            assert!(
                (least..=most).contains(&leaders),
                "browser {index}: {leaders} lead"
            );
        }
    }

    /// Checks that subscribers within servers have the latest state of their topics.
    pub(super) fn check_listeners(&self) {
        self.world.check_watches();
    }

    /// Checks that all servers and watchers know exactly the presences that there are.
    pub(super) fn check_presences(&self) {
        for room in ROOMS {
            let room = topic(room);
            let programs = self
                .programs
                .iter()
                .flat_map(|program| program.present.values());
            let browsers = self.browsers.iter().flat_map(|node| {
                let is_open = |page: usize| node.browser.pages[page].is_open_tab();
                let present = node.present.iter();
                present
                    .filter(move |((page, _), _)| is_open(*page))
                    .map(|(_, presence)| presence)
            });
            let live = programs.chain(browsers).filter(|(at, _, _)| *at == room);
            let mut expected: Present = live.map(as_pair).collect();
            expected.sort();
            let check = |name: String, roster: Option<&Roster<Json>>| {
                let present = roster.into_iter().flat_map(Roster::present);
                let mut present: Present = present
                    .map(|present| (present.key.to_string(), present.meta.0.to_string()))
                    .collect();
                present.sort();
                assert_eq!(present, expected, "{name} in {room}");
            };
            for (index, server) in self.world.servers.iter().enumerate() {
                check(format!("server {index}"), server.hub.presence(&room));
            }
            for (index, program) in self.programs.iter().enumerate() {
                if let Some(hub) = program
                    .hub
                    .as_ref()
                    .filter(|_| program.watched.contains(&room))
                {
                    check(format!("program {index}"), hub.roster(&room));
                }
            }
            for node in &self.browsers {
                for (page, watched) in &node.watched {
                    if let Machine::Tab(hub) = &node.browser.pages[*page].machine
                        && *watched == room
                        && node.browser.pages[*page].is_open_tab()
                    {
                        check(format!("page {page}"), hub.roster(&room));
                    }
                }
            }
        }
    }

    /// Checks that nothing is left behind by closed clients.
    pub(super) fn check_empty(&self) {
        for (index, program) in self.programs.iter().enumerate() {
            let hub = program.hub.as_ref().expect("healed");
            assert_eq!(hub.counts(), (0, 0), "program {index}");
            assert_eq!(hub.unanswered(), 0, "program {index}");
        }
        for node in &self.browsers {
            assert!(node.browser.locks.is_free(), "the lock is left");
        }
        self.world.check_empty();
    }
}

fn as_pair((_, key, meta): &Presence) -> (String, String) {
    (key.to_string(), meta.to_string())
}

fn check_refusal(number: u64, error: &WireError, positions: &[Position], may_be_late: bool) {
    match error.code {
        // It was not confirmed in time, but may have been stored.
        ErrorCode::Unavailable => {}
        ErrorCode::TopicEnded => {
            assert!(
                may_be_late || positions.is_empty(),
                "{number} at {positions:?}"
            );
        }
        _ => panic!("publish {number} was refused: {error:?}"),
    }
}

/// Checks that a subscriber that was told of no loss got every terminal publication between its first and its last
/// publication.
///
/// A server that has forgotten a topic, an hour after its last publication, takes any epoch that comes for the next
/// one: then, only the ends of epochs of which something was delivered count.
fn check_terminals(name: &str, record: &Record, history: &History<'_>, may_be_forgotten: bool) {
    let mut seen: BTreeMap<&Topic, BTreeSet<(u64, u64)>> = BTreeMap::new();
    for (_, told) in record.publications() {
        let Position { epoch, offset } = told.position;
        seen.entry(&told.topic).or_default().insert((epoch, offset));
    }
    for (topic, seen) in seen {
        let was_seen = |published: &Publication<Json>| {
            let Position { epoch, offset } = published.position;
            seen.contains(&(epoch, offset))
        };
        let all = history[topic].iter();
        let after = all.skip_while(|published| !was_seen(published));
        let between: Vec<_> = after.collect();
        let last = between.iter().rposition(|published| was_seen(published));
        let between = &between[..=last.expect("what was told was published")];
        let missed = between
            .iter()
            .filter(|published| published.is_terminal() && !was_seen(published))
            .find(|published| {
                let epoch = published.position.epoch;
                !may_be_forgotten || seen.iter().any(|(known, _)| *known == epoch)
            });
        assert_eq!(missed, None, "{name} to {} missed an end", record.pattern);
    }
}

/// Checks that a subscriber that sums, and was told of no loss, has summed everything since it began.
fn check_sums(name: &str, record: &Record, history: &History<'_>) {
    if record.flow.conflate != Conflate::Sum {
        return;
    }
    let mut sums: BTreeMap<(&Topic, u64), (u64, u64, u64)> = BTreeMap::new();
    for (_, told) in record.publications() {
        let Position { epoch, offset } = told.position;
        let number = told.payload.0["n"].as_u64().expect("a number");
        let sum = sums.entry((&told.topic, epoch)).or_insert((offset, 0, 0));
        *sum = (sum.0, offset, sum.2 + number);
    }
    for ((topic, epoch), (first, last, total)) in sums {
        let fits = |start: u64| {
            let own = history[topic].iter().filter(|published| {
                let Position {
                    epoch: other,
                    offset,
                } = published.position;
                other == epoch && (start..=last).contains(&offset)
            });
            let numbers = own.filter_map(|published| published.payload.0["n"].as_u64());
            numbers.sum::<u64>() == total
        };
        assert!((1..=first).any(fits), "{name}: {topic} adds up to {total}");
    }
}
