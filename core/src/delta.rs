//! Deltas: a connection is sent what has changed since the last publication that it was sent, instead of the complete
//! value.
//!
//! They are computed where frames leave for the transport, after every gate and every queue, so a conflated or shed
//! publication is never a base. The client at the other end of the connection gets frames in the order in which they
//! left, so both know the same bases. A delta is computed once for each pair of publications, and kept for other
//! connections with the same base.

mod kept;

use alloc::sync::Arc;

use crate::limits::{DELTA_BYTES_MAX, DELTA_TOPICS_MAX};
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::publication::Publication;
use crate::recent::Recent;
use crate::sorted::SortedMap;
use crate::topic::{Pattern, Topic};

pub(crate) use kept::Deltas;

/// About how many bytes a base takes besides its payload, for its place in the map.
const BASE_OVERHEAD_BYTES: usize = 128;

/// The last publications that a connection was sent, for the subscriptions that may be sent deltas.
#[derive(Debug)]
pub(crate) struct Bases<P> {
    by_pattern: SortedMap<Pattern, Recent<Arc<Publication<P>>>>,
    bytes: usize,
}

impl<P: Payload> Bases<P> {
    pub(crate) const fn new() -> Self {
        Self {
            by_pattern: SortedMap::new(),
            bytes: 0,
        }
    }

    /// Returns whether no subscription may be sent deltas.
    pub(crate) const fn is_empty(&self) -> bool {
        self.by_pattern.is_empty()
    }

    /// A subscription's flow has changed.
    pub(crate) fn set(&mut self, pattern: &Pattern, is_delta: bool) {
        if !is_delta {
            self.end(pattern);
        } else if !self.by_pattern.contains_key(pattern) {
            let bases = Recent::new(DELTA_TOPICS_MAX);
            self.by_pattern.insert(pattern.clone(), bases);
        }
    }

    fn end(&mut self, pattern: &Pattern) {
        if let Some(bases) = self.by_pattern.remove(pattern) {
            self.bytes -= bases.iter().map(|(_, base)| cost(base)).sum::<usize>();
        }
    }

    /// Turns a frame into what is sent: a delta, if possible.
    pub(crate) fn send(&mut self, deltas: &mut Deltas<P>, frame: ServerFrame<P>) -> ServerFrame<P> {
        match frame {
            ServerFrame::Publication { publication, via } => {
                self.send_publication(deltas, publication, via)
            }
            frame => {
                self.note(&frame);
                frame
            }
        }
    }

    /// Updates the bases for a frame that is sent unchanged.
    fn note(&mut self, frame: &ServerFrame<P>) {
        if let ServerFrame::Subscribed { pattern, flow, .. } = frame {
            self.end(pattern);
            self.set(pattern, flow.delta);
        } else if let ServerFrame::Unsubscribed { pattern } | ServerFrame::End { pattern, .. } =
            frame
        {
            self.end(pattern);
        } else if let ServerFrame::Reset { topic, via, .. } = frame {
            self.forget(&subscribed(topic, via.as_ref()), topic);
        } else if let ServerFrame::Batch { items, via } = frame {
            for item in items {
                self.remember(&subscribed(&item.topic, via.as_ref()), item);
            }
        }
    }

    fn send_publication(
        &mut self,
        deltas: &mut Deltas<P>,
        publication: Arc<Publication<P>>,
        via: Option<Pattern>,
    ) -> ServerFrame<P> {
        let pattern = subscribed(&publication.topic, via.as_ref());
        let base = self.remember(&pattern, &publication);
        // A terminal publication depends on nothing that came before.
        let base = base.filter(|base| {
            !publication.is_terminal() && base.position.epoch == publication.position.epoch
        });
        let delta = base.and_then(|base| Some((deltas.get(&base, &publication)?, base)));
        match delta {
            Some((publication, base)) => ServerFrame::Delta {
                publication,
                base: base.position.offset,
                via,
            },
            None => ServerFrame::Publication { publication, via },
        }
    }

    /// Makes a publication the base of the next one. Returns the previous base.
    fn remember(
        &mut self,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
    ) -> Option<Arc<Publication<P>>> {
        let bases = self.by_pattern.get_mut(pattern)?;
        let before = bases.remove(&publication.topic);
        self.bytes -= before.as_ref().map_or(0, cost);
        let bytes = cost(publication);
        while self.bytes + bytes > DELTA_BYTES_MAX || bases.len() >= DELTA_TOPICS_MAX {
            let Some(oldest) = bases.remove_oldest() else {
                return before;
            };
            self.bytes -= cost(&oldest);
        }
        self.bytes += bytes;
        bases.touch(&publication.topic, || Arc::clone(publication));
        before
    }

    fn forget(&mut self, pattern: &Pattern, topic: &Topic) {
        let bases = self.by_pattern.get_mut(pattern);
        if let Some(base) = bases.and_then(|bases| bases.remove(topic)) {
            self.bytes -= cost(&base);
        }
    }
}

/// The pattern of the subscription that a publication belongs to.
fn subscribed(topic: &Topic, via: Option<&Pattern>) -> Pattern {
    via.cloned().unwrap_or_else(|| Pattern::from(topic.clone()))
}

fn cost<P: Payload>(base: &Arc<Publication<P>>) -> usize {
    base.payload.size() + base.topic.as_str().len() + BASE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
