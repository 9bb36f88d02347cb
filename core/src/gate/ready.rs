//! What a gate has emitted but nobody has taken yet.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::Emission;

/// A queue, first in, first out. It is mostly empty, so a gate only has room for one emission; more accumulate only if
/// several inputs are handled between two polls.
#[derive(Debug)]
pub(super) enum Ready<V> {
    Empty,
    One(Emission<V>),
    Queue(Box<Queue<V>>),
}

/// At least one emission.
#[derive(Debug)]
pub(super) struct Queue<V> {
    first: Emission<V>,
    rest: VecDeque<Emission<V>>,
}

impl<V> Ready<V> {
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    pub(super) fn push(&mut self, emission: Emission<V>) {
        *self = match core::mem::replace(self, Self::Empty) {
            Self::Empty => Self::One(emission),
            Self::One(first) => Self::Queue(Box::new(Queue {
                first,
                rest: VecDeque::from([emission]),
            })),
            Self::Queue(mut queue) => {
                queue.rest.push_back(emission);
                Self::Queue(queue)
            }
        };
    }

    pub(super) fn pop(&mut self) -> Option<Emission<V>> {
        match core::mem::replace(self, Self::Empty) {
            Self::Empty => None,
            Self::One(emission) => Some(emission),
            Self::Queue(mut queue) => {
                let Some(next) = queue.rest.pop_front() else {
                    return Some(queue.first);
                };
                let first = core::mem::replace(&mut queue.first, next);
                *self = Self::Queue(queue);
                Some(first)
            }
        }
    }
}
