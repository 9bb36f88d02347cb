//! The entries of an outbox, and how much room they take.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::flow::Conflate;
use crate::gate::Emission;
use crate::hub::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::publication::{Combine, Publication};
use crate::topic::Pattern;

/// The size of a frame besides its payload: a generous estimate, so that many tiny frames count, too.
const FRAME_OVERHEAD_BYTES: usize = 96;

/// The size of a presence in a frame besides its key and its meta.
const PRESENCE_OVERHEAD_BYTES: usize = 64;

/// An emission on its way to a connection.
#[derive(Debug)]
pub struct Delivery<P> {
    /// The subscription that it is for.
    pub subscription: SubscriptionId,
    /// The subscription's pattern, if it has wildcards.
    pub via: Option<Pattern>,
    /// How emissions may be combined while they wait; `None` if each must arrive or be reported.
    pub conflate: Option<Conflate>,
    /// What to deliver.
    pub emission: Emission<Arc<Publication<P>>>,
}

#[derive(Debug)]
pub(super) enum Item<P> {
    /// Boxed, because it is large and most entries are deliveries.
    Frame(Box<ServerFrame<P>>),
    Delivery(Delivery<P>),
    Lagged(Lag),
}

/// Takes the place of the first dropped publication of a subscription: after its confirmation, and before anything that
/// shows the gap.
#[derive(Debug)]
pub(super) struct Lag {
    pub(super) subscription: SubscriptionId,
    pub(super) pattern: Pattern,
    pub(super) missed: u64,
}

impl<P: Payload> Item<P> {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Frame(frame) => frame_bytes(frame),
            Self::Lagged(_) => FRAME_OVERHEAD_BYTES,
            Self::Delivery(delivery) => delivery_bytes(delivery),
        }
    }
}

/// The size of a frame that is not a publication.
pub(super) fn frame_bytes<P: Payload>(frame: &ServerFrame<P>) -> usize {
    presence_bytes(frame) + FRAME_OVERHEAD_BYTES
}

/// The size of a delivery.
pub(super) fn delivery_bytes<P: Payload>(delivery: &Delivery<P>) -> usize {
    let payload: usize = match &delivery.emission {
        Emission::One(item) => publication_bytes(item),
        Emission::Batch(items) => items.iter().map(|item| publication_bytes(item)).sum(),
    };
    payload + FRAME_OVERHEAD_BYTES
}

/// The size of a publication in a frame of its own.
pub(super) fn single_bytes<P: Payload>(publication: &Publication<P>) -> usize {
    publication_bytes(publication) + FRAME_OVERHEAD_BYTES
}

fn publication_bytes<P: Payload>(publication: &Publication<P>) -> usize {
    publication.payload.size() + publication.topic.as_str().len()
}

/// The size of the presences in a frame, of which there may be many.
fn presence_bytes<P: Payload>(frame: &ServerFrame<P>) -> usize {
    let (joins, leaves) = if let ServerFrame::PresenceState(state) = frame {
        (&state.present, 0)
    } else if let ServerFrame::PresenceDiff(diff) = frame {
        (&diff.joins, diff.leaves.len())
    } else {
        return 0;
    };
    let texts = joins
        .iter()
        .map(|join| join.meta.size() + join.key.as_str().len());
    texts.sum::<usize>() + (joins.len() + leaves) * PRESENCE_OVERHEAD_BYTES
}

impl<P> Delivery<P> {
    pub(super) fn is_terminal(&self) -> bool {
        values(&self.emission).iter().any(|item| item.is_terminal())
    }

    pub(super) fn pattern(&self) -> Pattern {
        match (&self.via, values(&self.emission)) {
            (Some(via), _) => via.clone(),
            (None, [first, ..]) => Pattern::from(first.topic.clone()),
            (None, []) => unreachable!("an emission holds at least one publication"),
        }
    }

    pub(super) fn into_frame(self) -> ServerFrame<P> {
        match self.emission {
            Emission::One(publication) => ServerFrame::Publication {
                publication,
                via: self.via,
            },
            Emission::Batch(items) => ServerFrame::Batch {
                items,
                via: self.via,
            },
        }
    }
}

/// The publications of an emission, oldest first.
pub(super) fn values<V>(emission: &Emission<V>) -> &[V] {
    match emission {
        Emission::One(value) => core::slice::from_ref(value),
        Emission::Batch(values) => values,
    }
}

pub(super) fn combine<P: Payload>(
    conflate: Conflate,
    older: &Arc<Publication<P>>,
    newer: &Arc<Publication<P>>,
) -> Arc<Publication<P>> {
    match conflate {
        Conflate::Latest | Conflate::Collect { .. } => Arc::clone(newer),
        Conflate::Merge => Arc::clone(newer).merge_over(older),
        Conflate::Sum => Arc::clone(newer).add_to(older),
    }
}
