//! How far subscribers are behind: for whoever looks at a server.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ServerHub;
use crate::hub::Surveyed;
use crate::payload::Payload;
use crate::topic::Topic;

/// The most frames that one survey looks at in all, and of one connection, so that it holds nobody up. Those that wait
/// longest come first, and they are what counts.
const FRAMES_MAX: usize = 100_000;
const FRAMES_OF_CONNECTION_MAX: usize = 1_000;

impl<P: Payload + Clone> ServerHub<P> {
    /// Up to `most` topics, as [`Hub::survey`](crate::hub::Hub::survey) finds them, with how far the slowest subscriber of each is
    /// behind. Of what waits, the first 1,000 frames of a connection are looked at, and 100,000 in all.
    pub fn survey(&self, most: usize) -> Vec<Surveyed<P>> {
        let mut surveyed = self.hub.survey(most);
        let topics = surveyed.iter().map(|it| it.topic.clone());
        let places: BTreeMap<Topic, usize> = topics.zip(0..).collect();
        let connections = self.connections.iter();
        let waiting = connections
            .flat_map(|(_, connection)| connection.outbox.behind(FRAMES_OF_CONNECTION_MAX));
        for publication in waiting.take(FRAMES_MAX) {
            let Some(place) = places.get(&publication.topic) else {
                continue;
            };
            let found = &mut surveyed[*place];
            let position = publication.position;
            if position.epoch == found.position.epoch {
                let lag = (found.position.offset + 1).saturating_sub(position.offset);
                found.lag = found.lag.max(lag);
            }
        }
        surveyed
    }
}
