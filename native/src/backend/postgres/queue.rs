//! The statements of a connection that have no answer yet. A server works on one after the other, and a request to cancel ends the one that
//! it is working on, whichever was meant.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// The statements by number, in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Queue(watch::Sender<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    numbers: BTreeSet<u64>,
}

/// A statement's place in the queue, until this is dropped.
#[derive(Debug)]
pub(super) struct QueueEntry<'a> {
    queue: &'a Queue,
    number: u64,
}

impl Queue {
    /// The place of a statement that is about to be sent.
    pub(super) fn enter(&self) -> QueueEntry<'_> {
        let mut number = 0;
        self.0.send_modify(|waiting| {
            number = waiting.next;
            waiting.next += 1;
            waiting.numbers.insert(number);
        });
        QueueEntry {
            queue: self,
            number,
        }
    }
}

impl QueueEntry<'_> {
    /// Waits until the server is working on this statement.
    pub(super) async fn first(&self) {
        let mut waiting = self.queue.0.subscribe();
        let is_first = |waiting: &Waiting| waiting.numbers.first() == Some(&self.number);
        // The sender lives as long as the queue.
        let _ = waiting.wait_for(is_first).await;
    }
}

impl Drop for QueueEntry<'_> {
    fn drop(&mut self) {
        self.queue.0.send_modify(|waiting| {
            waiting.numbers.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_statement_is_first_once_all_before_it_are_answered() {
        let queue = Queue::default();
        let (one, two, three) = (queue.enter(), queue.enter(), queue.enter());
        let is_first = |place: &QueueEntry<'_>| place.first().now_or_never().is_some();
        assert!(is_first(&one) && !is_first(&two) && !is_first(&three));
        drop(two);
        assert!(is_first(&one) && !is_first(&three));
        drop(one);
        assert!(is_first(&three) && !is_first(&queue.enter()));
    }
}
