//! Messages that arrived, and are not yet known to have been taken in.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{IntakeConfig, Took};
use crate::time::Instant;

/// Messages in the order of their arrival, also found by their marks.
#[derive(Debug)]
pub(super) struct Kept<M> {
    messages: BTreeMap<u64, Message<M>>,
    by_mark: BTreeSet<(u64, u64)>,
    bytes: usize,
    /// The number of the next message.
    next: u64,
    /// The messages that were passed to the store, and for which it hasn't answered.
    offered: Vec<u64>,
}

#[derive(Debug)]
struct Message<M> {
    at: Instant,
    mark: u64,
    bytes: usize,
    message: M,
}

impl<M> Default for Kept<M> {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            by_mark: BTreeSet::new(),
            bytes: 0,
            next: 0,
            offered: Vec::new(),
        }
    }
}

impl<M: Clone> Kept<M> {
    pub(super) fn push(&mut self, now: Instant, mark: u64, bytes: usize, message: M) {
        let number = self.next;
        self.next += 1;
        self.bytes += bytes;
        self.by_mark.insert((mark, number));
        let message = Message {
            at: now,
            mark,
            bytes,
            message,
        };
        self.messages.insert(number, message);
    }

    /// Drops the oldest message with this mark.
    pub(super) fn remove(&mut self, mark: u64) {
        let oldest = self.by_mark.range((mark, 0)..=(mark, u64::MAX)).next();
        if let Some((_, number)) = oldest.copied() {
            self.drop(number);
        }
    }

    fn drop(&mut self, number: u64) {
        if let Some(message) = self.messages.remove(&number) {
            self.bytes -= message.bytes;
            self.by_mark.remove(&(message.mark, number));
        }
    }

    /// The oldest messages, which stay until they are settled.
    pub(super) fn offer(&mut self, count_max: usize) -> Vec<(u64, M)> {
        let oldest = self.messages.iter().take(count_max);
        let (numbers, messages) = oldest
            .map(|(number, message)| (*number, (message.mark, message.message.clone())))
            .unzip();
        self.offered = numbers;
        messages
    }

    /// Drops those of the offered messages that are done.
    pub(super) fn settle(&mut self, answers: &[Took]) {
        let offered = core::mem::take(&mut self.offered);
        for (number, answer) in offered.into_iter().zip(answers) {
            match answer {
                Took::Done => self.drop(number),
                Took::Fenced | Took::Failed => {}
            }
        }
    }

    /// Drops the oldest messages beyond the limits, and returns how many. Offered messages count, but aren't dropped.
    pub(super) fn shed(&mut self, now: Instant, config: &IntakeConfig) -> usize {
        let mut count = 0;
        while let Some((number, oldest)) = self.messages.first_key_value() {
            let too_many = self.messages.len() > config.count_max
                || (self.bytes > config.bytes_max && self.messages.len() > 1);
            let too_old = oldest.at + config.age_max <= now;
            if !(too_many || too_old) || self.offered.contains(number) {
                break;
            }
            let number = *number;
            self.drop(number);
            count += 1;
        }
        count
    }

    /// When the oldest message becomes too old; `None` while it is offered.
    pub(super) fn expires_at(&self, config: &IntakeConfig) -> Option<Instant> {
        let (number, oldest) = self.messages.first_key_value()?;
        (!self.offered.contains(number)).then(|| oldest.at + config.age_max)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
