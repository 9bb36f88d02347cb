//! Publications that arrived together, and go to their subscribers together.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Delivery;
use super::item::single_bytes;
use crate::gate::Emission;
use crate::hub::SubscriptionId;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::topic::Pattern;

/// Publications of one topic, none of them terminal, that go together to all subscribers without a pace.
#[derive(Debug)]
pub(crate) struct Run<P> {
    publications: Vec<Arc<Publication<P>>>,
    bytes: usize,
}

/// A run on its way to a connection.
#[derive(Debug)]
pub(crate) struct RunDelivery<P> {
    /// The subscription that it is for. Its flow conflates nothing.
    pub(crate) subscription: SubscriptionId,
    /// The subscription's pattern, if it has wildcards.
    pub(crate) via: Option<Pattern>,
    run: Arc<Run<P>>,
    /// How many of the run's publications have left.
    taken: usize,
}

impl<P: Payload> Run<P> {
    /// The run of these publications; there must be at least one.
    pub(crate) fn new(publications: Vec<Arc<Publication<P>>>) -> Self {
        let bytes = publications.iter().map(|item| single_bytes(item));
        Self {
            bytes: bytes.sum(),
            publications,
        }
    }

    pub(crate) fn publications(&self) -> &[Arc<Publication<P>>] {
        &self.publications
    }
}

impl<P> RunDelivery<P> {
    pub(crate) const fn new(
        subscription: SubscriptionId,
        via: Option<Pattern>,
        run: Arc<Run<P>>,
    ) -> Self {
        Self {
            subscription,
            via,
            run,
            taken: 0,
        }
    }

    /// The publications that are left.
    pub(super) fn left(&self) -> &[Arc<Publication<P>>] {
        &self.run.publications[self.taken..]
    }

    /// How many publications are left.
    pub(super) fn len(&self) -> usize {
        self.left().len()
    }

    /// The size of the complete run.
    pub(super) fn bytes(&self) -> usize {
        self.run.bytes
    }

    /// Takes the first publication, unless it is the last one that is left.
    pub(crate) fn split_first(&mut self) -> Option<Delivery<P>> {
        if self.len() <= 1 {
            return None;
        }
        let publication = Arc::clone(&self.run.publications[self.taken]);
        self.taken += 1;
        Some(self.delivery(self.via.clone(), publication))
    }

    /// The last publication.
    pub(crate) fn into_last(mut self) -> Delivery<P> {
        let last = Arc::clone(&self.run.publications[self.run.publications.len() - 1]);
        let via = self.via.take();
        self.delivery(via, last)
    }

    fn delivery(&self, via: Option<Pattern>, publication: Arc<Publication<P>>) -> Delivery<P> {
        Delivery {
            subscription: self.subscription,
            via,
            conflate: None,
            emission: Emission::One(publication),
        }
    }

    /// Calls `take` with each publication that is left.
    pub(super) fn for_each(self, mut take: impl FnMut(Delivery<P>)) {
        for publication in self.left() {
            take(self.delivery(self.via.clone(), Arc::clone(publication)));
        }
    }
}
