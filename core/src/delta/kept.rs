//! Deltas that were computed, for other connections that need the same.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};

use crate::limits::{DELTAS_KEPT_BYTES_MAX, DELTAS_KEPT_MAX};
use crate::payload::Payload;
use crate::publication::Publication;
use crate::topic::Topic;

/// How many bytes a delta's frame has more than that of the complete publication: the member that states the base, with
/// its longest number, and one letter.
const DELTA_FRAME_BYTES: usize = 26;

/// The deltas of a hub that were computed last.
#[derive(Debug)]
pub(crate) struct Deltas<P> {
    made: BTreeMap<Between, Made<P>>,
    /// In the order in which they were computed.
    order: VecDeque<Between>,
    bytes: usize,
}

/// A topic, and the two offsets that a delta lies between.
type Between = (Topic, u64, u64);

#[derive(Debug)]
struct Made<P> {
    /// The publications that it was computed from, so that others with the same offsets (of another epoch, or merged by
    /// a gate) are not mistaken for them. They are not kept alive by this.
    from: Weak<Publication<P>>,
    to: Weak<Publication<P>>,
    /// `None` if the complete value is shorter, or there is no patch.
    delta: Option<Arc<Publication<P>>>,
}

impl<P: Payload> Deltas<P> {
    pub(crate) const fn new() -> Self {
        Self {
            made: BTreeMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The delta from one publication of a topic to another; `None` if the complete value should be sent.
    pub(crate) fn get(
        &mut self,
        from: &Arc<Publication<P>>,
        to: &Arc<Publication<P>>,
    ) -> Option<Arc<Publication<P>>> {
        let between = (to.topic.clone(), from.position.offset, to.position.offset);
        let is_it = |made: &&Made<P>| {
            made.from.as_ptr() == Arc::as_ptr(from) && made.to.as_ptr() == Arc::as_ptr(to)
        };
        if let Some(made) = self.made.get(&between).filter(is_it) {
            return made.delta.clone();
        }
        let delta = make(from, to).map(Arc::new);
        let made = Made {
            from: Arc::downgrade(from),
            to: Arc::downgrade(to),
            delta: delta.clone(),
        };
        self.keep(between, made);
        delta
    }

    fn keep(&mut self, between: Between, made: Made<P>) {
        self.bytes += made.bytes();
        match self.made.insert(between.clone(), made) {
            Some(before) => self.bytes -= before.bytes(),
            None => self.order.push_back(between),
        }
        while self.order.len() > DELTAS_KEPT_MAX || self.bytes > DELTAS_KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(made) = self.made.remove(&oldest) {
                self.bytes -= made.bytes();
            }
        }
    }
}

impl<P: Payload> Made<P> {
    fn bytes(&self) -> usize {
        self.delta.as_ref().map_or(0, |delta| delta.payload.size())
    }
}

fn make<P: Payload>(from: &Publication<P>, to: &Publication<P>) -> Option<Publication<P>> {
    let patch = from.payload.diff(&to.payload)?;
    (patch.size() + DELTA_FRAME_BYTES < to.payload.size()).then(|| Publication {
        topic: to.topic.clone(),
        position: to.position,
        payload: patch,
        end: to.end,
    })
}

#[cfg(test)]
mod tests;
