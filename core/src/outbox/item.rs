//! What waits in an outbox, and how much room it takes.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::flow::Conflate;
use crate::gate::Emission;
use crate::hub::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::publication::{Combine, Publication};
use crate::topic::Pattern;

/// What one frame costs beside its payload: a generous estimate, so that many tiny ones count, too.
const FRAME_OVERHEAD_BYTES: usize = 96;

/// What one presence costs in a frame beside its key and its meta.
const PRESENCE_OVERHEAD_BYTES: usize = 64;

/// An emission on its way to a connection.
#[derive(Debug)]
pub struct Delivery<P> {
    /// The subscription that it is for.
    pub subscription: SubscriptionId,
    /// The subscription's pattern, where that has wildcards.
    pub via: Option<Pattern>,
    /// How emissions may be combined while they wait; `None` where each must arrive or be reported.
    pub conflate: Option<Conflate>,
    /// What to deliver.
    pub emission: Emission<Arc<Publication<P>>>,
}

#[derive(Debug)]
pub(super) enum Item<P> {
    /// Apart, because it is large and deliveries are what there are many of.
    Frame(Box<ServerFrame<P>>),
    Delivery(Delivery<P>),
    Lagged(Lag),
}

/// Stands where the first of the dropped publications of a subscription stood: after its confirmation, and before
/// whatever shows the gap.
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

/// What a frame that is no publication takes.
pub(super) fn frame_bytes<P: Payload>(frame: &ServerFrame<P>) -> usize {
    presence_bytes(frame) + FRAME_OVERHEAD_BYTES
}

/// What a delivery takes.
pub(super) fn delivery_bytes<P: Payload>(delivery: &Delivery<P>) -> usize {
    let payload: usize = match &delivery.emission {
        Emission::One(item) => publication_bytes(item),
        Emission::Batch(items) => items.iter().map(|item| publication_bytes(item)).sum(),
    };
    payload + FRAME_OVERHEAD_BYTES
}

/// What a publication takes that leaves by itself.
pub(super) fn single_bytes<P: Payload>(publication: &Publication<P>) -> usize {
    publication_bytes(publication) + FRAME_OVERHEAD_BYTES
}

fn publication_bytes<P: Payload>(publication: &Publication<P>) -> usize {
    publication.payload.size() + publication.topic.as_str().len()
}

/// What the presences in a frame take: there may be many of them.
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
