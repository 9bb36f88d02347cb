//! Looking topics up once, on the server's own behalf, without subscribing.

use alloc::vec::Vec;

use super::ServerHub;
use crate::history::{Excerpt, Recovery};
use crate::hub::Hub;
use crate::payload::Payload;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::Topic;
use crate::uplink::{Found, Lookup, LookupError};

impl<P: Payload + Clone> ServerHub<P> {
    /// Looks topics up. The result includes everything published before: an excerpt of each known topic, those of a
    /// pattern in any order. If topics live in a backend, returns `None`, even for topics that are followed, because
    /// copies may be behind; [`ServerHub::poll_found`] then returns the result.
    pub fn handle_lookup(&mut self, now: Instant, ticket: u64, lookup: Lookup) -> Option<Found<P>> {
        let Some(upstream) = &mut self.upstream else {
            return Some(self.hub.look_up(now, &lookup).into());
        };
        upstream.mirror.handle_lookup(now, ticket, lookup);
        self.drain_hub(now);
        None
    }

    /// The next result of a lookup that could not be answered at once, with the host's number for it.
    pub fn poll_found(&mut self) -> Option<(u64, Result<Found<P>, LookupError>)> {
        self.upstream.as_mut()?.mirror.poll_found()
    }
}

impl<P: Payload> Hub<P> {
    fn look_up(&mut self, now: Instant, lookup: &Lookup) -> Vec<Excerpt<P>> {
        match lookup {
            Lookup::Latest(pattern) => {
                let latest = |index| {
                    let state = self.topics.get(index);
                    Excerpt {
                        topic: state.topic.clone(),
                        position: state.history.position(),
                        publications: state.history.latest().cloned().into_iter().collect(),
                    }
                };
                match pattern.exact() {
                    Some(topic) => self.topics.find(&topic).map(latest).into_iter().collect(),
                    None => self
                        .topics
                        .matching(pattern)
                        .into_iter()
                        .map(latest)
                        .collect(),
                }
            }
            Lookup::Page(page) => page.of(self.look_up(now, &Lookup::Latest(page.pattern.clone()))),
            Lookup::History { topic, since } => {
                self.history_since(now, topic, *since).into_iter().collect()
            }
        }
    }

    fn history_since(
        &mut self,
        now: Instant,
        topic: &Topic,
        since: Position,
    ) -> Option<Excerpt<P>> {
        let index = self.topics.find(topic)?;
        let limits = self.config.history_of(topic);
        self.topics.trim(now, index, &limits);
        let history = &self.topics.get(index).history;
        let publications = if since == Position::default() {
            history.kept().cloned().collect()
        } else {
            match history.since(since) {
                Recovery::Whole(missed) => missed,
                Recovery::Lost(latest) => latest.into_iter().collect(),
            }
        };
        Some(Excerpt {
            topic: topic.clone(),
            position: history.position(),
            publications,
        })
    }
}
