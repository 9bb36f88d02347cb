//! What must hold once faults have healed and nobody publishes any more.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_core::hub::{ConnectionId, HubCounts, PublishError, UplinkCounts};
use tidegate_core::protocol::Start;
use tidegate_core::publication::Position;
use tidegate_core::topic::Pattern;

use super::watch::Watch;
use super::{Last, Stage, World};

impl World {
    /// Checks that every subscriber has the latest state of its topics, and that servers follow exactly what their
    /// clients want.
    ///
    /// # Panics
    /// If not.
    pub fn check_converged(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            let watches = server.watches.values();
            let wanted = watches.flat_map(|watches| watches.open());
            let wanted = wanted.map(|watch| watch.pattern.clone()).collect();
            self.check_interest(index, &wanted);
        }
        self.check_watches();
    }

    /// Checks that every subscriber at a server, without a link between, has the latest state of its topics.
    ///
    /// # Panics
    /// If not.
    pub fn check_watches(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            for (id, watches) in &server.watches {
                assert!(!watches.is_stale, "{index} {id:?} was told");
                watches
                    .open()
                    .for_each(|watch| self.check_watch(index, *id, watch));
            }
        }
    }

    /// Checks that a server is in sync with its backend, and follows there exactly what its clients want.
    ///
    /// # Panics
    /// If not.
    pub fn check_interest(&self, index: usize, wanted: &BTreeSet<Pattern>) {
        let server = &self.servers[index];
        if !server.hub.has_uplink() {
            return;
        }
        assert!(!server.hub.is_stale(), "server {index} is stale");
        assert_eq!(&server.link.followed, wanted, "server {index} follows");
        let counts = server.hub.uplink_counts();
        let expected = UplinkCounts {
            followed: wanted.len(),
            ..UplinkCounts::default()
        };
        assert_eq!(counts, expected, "server {index}");
    }

    fn check_watch(&self, server: usize, id: ConnectionId, watch: &Watch) {
        assert_eq!(watch.stage, Stage::Live, "{server} {id:?}: {watch:#?}");
        for (topic, last) in &watch.last {
            let top = self.store.latest(topic).map(|latest| latest.position);
            let known = match last {
                Last::Seen { position, .. } if position.offset == 0 => None,
                Last::Seen { position, .. } => Some(*position),
                Last::Reset(position) if *position == Position::default() => None,
                Last::Reset(_) => panic!("a reset without its value: {server} {id:?} {watch:#?}"),
            };
            assert_eq!(known, top, "{topic}, {server} {id:?}: {watch:#?}");
        }
        for topic in self.store.topics() {
            let sees_all = !matches!(watch.start, Start::New);
            assert!(
                !sees_all || !watch.pattern.matches(topic) || watch.last.contains_key(topic),
                "{topic} is unknown to {server} {id:?}: {watch:#?}"
            );
        }
        if let Some(topic) = watch.pattern.exact() {
            let end = self.store.latest(&topic).and_then(|latest| latest.end);
            assert_eq!(end, None, "{server} {id:?} should be over: {watch:#?}");
        }
    }

    /// Checks that every publish has exactly one result, and that it is true.
    ///
    /// # Panics
    /// If not.
    pub fn check_published(&self) {
        let mut stored: BTreeMap<u64, Vec<Position>> = BTreeMap::new();
        for publication in &self.store.stored {
            let number = publication.payload.0["n"].as_u64();
            let positions = stored.entry(number.expect("it is numbered")).or_default();
            positions.push(publication.position);
        }
        for (number, published) in self.published.iter().enumerate() {
            if published.by.is_some() || published.is_lost {
                continue;
            }
            let result = published.result;
            let result = result.unwrap_or_else(|| panic!("publish {number} has no result"));
            let positions = stored.remove(&(number as u64)).unwrap_or_default();
            if !self.store.is_tainted {
                assert!(positions.len() <= 1, "{number} is stored at {positions:?}");
            }
            match result {
                Ok(position) => assert!(positions.contains(&position), "{number}: {position}"),
                Err(PublishError::Unconfirmed) => {}
                Err(PublishError::Unavailable) => {
                    assert_eq!(positions, [], "{number} is unavailable");
                }
                Err(error) if self.store.is_tainted => {
                    assert!(matches!(
                        error,
                        PublishError::Ended(_) | PublishError::BackendFull
                    ));
                }
                Err(_) if self.store.late.contains(&(number as u64)) => {}
                Err(error) => assert_eq!(positions, [], "{number}: {error}"),
            }
        }
    }

    /// Ends all connections, and checks that nothing is left behind.
    ///
    /// # Panics
    /// If something is.
    pub fn check_nothing_left(&mut self) {
        for server in 0..self.servers.len() {
            let ids: Vec<ConnectionId> = self.servers[server].watches.keys().copied().collect();
            for id in ids {
                self.close(server, id);
            }
        }
        self.run_for(crate::secs(3));
        self.check_empty();
    }

    /// Checks that nothing is left behind by ended connections.
    ///
    /// # Panics
    /// If something is.
    pub fn check_empty(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            let counts = server.hub.counts();
            let presences = server.hub.presence_counts();
            assert_eq!(
                (presences.metas, presences.tracks),
                (0, 0),
                "server {index}"
            );
            if server.witness.is_some() {
                // The witness is still connected, and topics are retained.
                assert_eq!(server.hub.connections(), 1, "server {index}");
                assert_eq!((counts.subscriptions, counts.gates), (1, 0));
                continue;
            }
            self.check_interest(index, &BTreeSet::new());
            assert_eq!(server.hub.connections(), 0, "server {index}");
            assert_eq!(counts, HubCounts::default(), "server {index}");
        }
    }
}
