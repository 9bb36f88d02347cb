//! The pending values of a gate, conflated as they arrive.

use alloc::vec;

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

    /// The bytes in a batch, summed over its values.
    pub(super) fn batch_bytes(&self) -> usize {
        match &self.0 {
            None | Some(Emission::One(_)) => 0,
            Some(Emission::Batch(batch)) => batch.iter().map(Combine::bytes).sum(),
        }
    }

    pub(super) fn push(&mut self, conflate: Conflate, value: V) {
        self.0 = match conflate {
            Conflate::Latest => Some(Emission::One(value)),
            Conflate::Merge | Conflate::Sum => {
                let older = self.take().and_then(|held| newest(conflate, held));
                Some(Emission::One(match older {
                    None => value,
                    Some(older) => conflated(conflate, &older, value),
                }))
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

    /// Returns whether this is a batch that can't take more values.
    pub(super) const fn is_full(&self, conflate: Conflate) -> bool {
        match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => false,
            Conflate::Collect { max } => match &self.0 {
                None | Some(Emission::One(_)) => false,
                Some(Emission::Batch(batch)) => batch.len() >= max.get() as usize,
            },
        }
    }

    /// Applies another conflation to what is already pending.
    pub(super) fn reshape(&mut self, conflate: Conflate) {
        let Some(held) = self.take() else { return };
        self.0 = match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => {
                newest(conflate, held).map(Emission::One)
            }
            Conflate::Collect { .. } => Some(match held {
                Emission::One(value) => Emission::Batch(vec![value]),
                Emission::Batch(batch) => Emission::Batch(batch),
            }),
        };
    }
}

/// Reduces what is pending to one value; the newest, if values are not to be combined.
fn newest<V: Combine>(conflate: Conflate, held: Emission<V>) -> Option<V> {
    match held {
        Emission::One(value) => Some(value),
        Emission::Batch(values) => values
            .into_iter()
            .reduce(|older, newer| conflated(conflate, &older, newer)),
    }
}

fn conflated<V: Combine>(conflate: Conflate, older: &V, newer: V) -> V {
    match conflate {
        Conflate::Latest | Conflate::Collect { .. } => newer,
        Conflate::Merge => newer.merge_over(older),
        Conflate::Sum => newer.add_to(older),
    }
}
