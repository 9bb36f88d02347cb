//! What waits behind a gate, conflated as it arrives.

use alloc::vec;
use alloc::vec::Vec;

use crate::flow::Conflate;
use crate::publication::Combine;

use super::Emission;

/// The pending emission: a batch under [`Conflate::Collect`], one value under any other conflation.
#[derive(Debug)]
pub(super) struct Held<V>(Option<Emission<V>>);

impl<V: Combine> Held<V> {
    pub(super) const fn new() -> Self {
        Self(None)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) const fn take(&mut self) -> Option<Emission<V>> {
        self.0.take()
    }

    pub(super) fn push(&mut self, conflate: Conflate, value: V) {
        self.0 = match conflate {
            Conflate::Latest => Some(Emission::One(value)),
            Conflate::Merge | Conflate::Sum => {
                let older = self.take().into_iter().flatten();
                combined(conflate, older.chain([value]))
            }
            Conflate::Collect { .. } => Some(Emission::Batch(match self.take() {
                None => vec![value],
                Some(Emission::One(older)) => vec![older, value],
                Some(Emission::Batch(mut batch)) => {
                    batch.push(value);
                    batch
                }
            })),
        };
    }

    /// Whether this is a batch that may not grow.
    pub(super) const fn is_full(&self, conflate: Conflate) -> bool {
        match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => false,
            Conflate::Collect { max } => match &self.0 {
                None | Some(Emission::One(_)) => false,
                Some(Emission::Batch(batch)) => batch.len() >= max.get() as usize,
            },
        }
    }

    /// Applies another conflation to what already waits.
    pub(super) fn reshape(&mut self, conflate: Conflate) {
        let Some(held) = self.take() else { return };
        self.0 = match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => combined(conflate, held),
            Conflate::Collect { .. } => Some(Emission::Batch(held.into_iter().collect::<Vec<_>>())),
        };
    }
}

/// Several values, oldest first, as one; the newest of them where values are not to be looked into.
fn combined<V: Combine>(
    conflate: Conflate,
    values: impl IntoIterator<Item = V>,
) -> Option<Emission<V>> {
    let newest = values.into_iter().reduce(|older, newer| match conflate {
        Conflate::Latest | Conflate::Collect { .. } => newer,
        Conflate::Merge => newer.merge_over(&older),
        Conflate::Sum => newer.add_to(&older),
    });
    newest.map(Emission::One)
}
