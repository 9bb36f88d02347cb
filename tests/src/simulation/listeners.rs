//! Subscribers within a server's process, whose streams need no link.

use tidegate_core::flow::Flow;
use tidegate_core::protocol::{Start, TopicPosition};
use tidegate_core::publication::Position;
use tidegate_core::topic::Pattern;

use super::{PATTERNS, StartAt, System, TOPICS};
use crate::backend_model::Last;
use crate::{pattern, topic};

impl System {
    /// A subscription within a server's process begins, at the beginning or at positions that others have seen. Not if
    /// the server may be about to forget topics silently, as soon as its timers run.
    pub(super) fn listen(&mut self, server: usize, to: usize, flow: Flow, start: StartAt) {
        if self.world.runs(server) && !self.may_have_forgotten {
            let to = PATTERNS[to];
            let start = match start {
                StartAt::Latest => Start::Latest,
                StartAt::New => Start::New,
                StartAt::Known => Start::Since(self.known_of(&pattern(to))),
            };
            let listener = self.world.watch(server, to, flow, start);
            self.listeners.push((server, listener));
        }
        self.settle();
    }

    /// Ends a subscription within a server's process.
    pub(super) fn hush(&mut self, which: usize) {
        let world = &self.world;
        self.listeners
            .retain(|(server, id)| world.servers[*server].watches.contains_key(id));
        if let Some(index) = which.checked_rem(self.listeners.len()) {
            let (server, id) = self.listeners.remove(index);
            self.world.close(server, id);
        }
        self.settle();
    }

    /// Ends all subscriptions within servers' processes.
    pub(super) fn hush_all(&mut self) {
        for _ in 0..self.listeners.len() {
            self.hush(0);
        }
    }

    /// Positions that subscribers within servers have seen: one for most topics of a pattern.
    fn known_of(&mut self, of: &Pattern) -> Vec<TopicPosition> {
        let servers = self.world.servers.iter();
        let watches = servers.flat_map(|server| server.watches.values());
        for watch in watches.flat_map(|watches| watches.open()) {
            for (topic, last) in &watch.last {
                let (Last::Seen { position, .. } | Last::Reset(position)) = last;
                self.places
                    .insert((topic.clone(), position.epoch, position.offset));
            }
        }
        let mut known = Vec::new();
        for name in TOPICS {
            let name = topic(name);
            let places = self.places.iter();
            let places: Vec<Position> = places
                .filter(|(topic, ..)| *topic == name && of.matches(&name))
                .map(|(_, epoch, offset)| Position {
                    epoch: *epoch,
                    offset: *offset,
                })
                .collect();
            let last = (places.len() as u64).saturating_sub(1);
            let chosen = usize::try_from(self.pick(last)).expect("below a count");
            if let Some(position) = places.get(chosen).copied()
                && self.pick(3) > 0
            {
                known.push(TopicPosition {
                    topic: name,
                    position,
                });
            }
        }
        known
    }
}
