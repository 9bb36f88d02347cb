//! How far subscribers lag behind, for operators.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ServerHub;
use crate::hub::Surveyed;
use crate::payload::Payload;
use crate::publication::Position;
use crate::topic::Topic;

/// The most frames that a survey looks at, in all and per connection, so that it delays nothing. The frames that have
/// waited longest come first, and they determine the lag.
const FRAMES_MAX: usize = 100_000;
const FRAMES_OF_CONNECTION_MAX: usize = 1_000;

impl<P: Payload + Clone> ServerHub<P> {
    /// Up to `most` topics, as [`Hub::survey`](crate::hub::Hub::survey) finds them, each with the lag of its slowest
    /// subscriber. The first 1,000 frames that wait for a connection are looked at, and 100,000 in all.
    ///
    /// Only the host knows which publications connections have been given but their transports have not accepted: it
    /// passes them as `untaken`, the oldest of each topic and connection. It must drain outputs first, so that only
    /// what is really waiting counts.
    pub fn survey(&self, most: usize, untaken: &[(Topic, Position)]) -> Vec<Surveyed<P>> {
        let mut surveyed = self.hub.survey(most);
        let topics = surveyed.iter().map(|it| it.topic.clone());
        let places: BTreeMap<Topic, usize> = topics.zip(0..).collect();
        let connections = self.connections.iter();
        let waiting = connections
            .flat_map(|(_, connection)| connection.outbox.waiting(FRAMES_OF_CONNECTION_MAX))
            .map(|publication| (&publication.topic, publication.position));
        let untaken = untaken.iter().map(|(topic, position)| (topic, *position));
        for (topic, position) in untaken.chain(waiting.take(FRAMES_MAX)) {
            let Some(place) = places.get(topic) else {
                continue;
            };
            let found = &mut surveyed[*place];
            if position.epoch == found.position.epoch {
                let lag = (found.position.offset + 1).saturating_sub(position.offset);
                found.lag = found.lag.max(lag);
            }
        }
        surveyed
    }
}
