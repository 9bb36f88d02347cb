//! What a gate has emitted and nobody has taken yet.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use super::Emission;

/// First in, first out. Most of the time it is empty, and a gate has only the room for one emission: more
/// wait only where several inputs are handled between two polls.
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
