//! What waits behind a gate, conflated as it arrives.

use alloc::vec;

use crate::flow::Conflate;
use crate::limits::COLLECT_BYTES_MAX;
use crate::publication::Combine;

use super::Emission;

#[derive(Debug)]
pub(super) struct Held<V> {
    /// A batch under [`Conflate::Collect`], one value under any other conflation.
    emission: Option<Emission<V>>,
    /// What a batch holds.
    bytes: usize,
}

impl<V: Combine> Held<V> {
    pub(super) const fn new() -> Self {
        Self {
            emission: None,
            bytes: 0,
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.emission.is_none()
    }

    /// The bytes in a batch.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn take(&mut self) -> Option<Emission<V>> {
        self.bytes = 0;
        self.emission.take()
    }

    pub(super) fn push(&mut self, conflate: Conflate, value: V) {
        let bytes = self.bytes;
        self.emission = match conflate {
            Conflate::Latest => Some(Emission::One(value)),
            Conflate::Merge | Conflate::Sum => {
                let older = self.take().and_then(|held| newest(conflate, held));
                Some(Emission::One(match older {
                    None => value,
                    Some(older) => conflated(conflate, &older, value),
                }))
            }
            Conflate::Collect { .. } => {
                let held = self.take();
                self.bytes = bytes + value.bytes();
                Some(Emission::Batch(match held {
                    None => vec![value],
                    Some(Emission::One(older)) => vec![older, value],
                    Some(Emission::Batch(mut batch)) => {
                        batch.push(value);
                        batch
                    }
                }))
            }
        };
    }

    /// Whether this is a batch that may not grow.
    pub(super) const fn is_full(&self, conflate: Conflate) -> bool {
        match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => false,
            Conflate::Collect { max } => match &self.emission {
                None | Some(Emission::One(_)) => false,
                Some(Emission::Batch(batch)) => {
                    batch.len() >= max.get() as usize || self.bytes >= COLLECT_BYTES_MAX
                }
            },
        }
    }

    /// Applies another conflation to what already waits.
    pub(super) fn reshape(&mut self, conflate: Conflate) {
        let Some(held) = self.take() else { return };
        self.emission = match conflate {
            Conflate::Latest | Conflate::Merge | Conflate::Sum => {
                newest(conflate, held).map(Emission::One)
            }
            Conflate::Collect { .. } => {
                let batch = match held {
                    Emission::One(value) => vec![value],
                    Emission::Batch(batch) => batch,
                };
                self.bytes = batch.iter().map(Combine::bytes).sum();
                Some(Emission::Batch(batch))
            }
        };
    }
}

/// What waits as one value; the newest of several where values are not to be looked into.
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
