//! What is waiting for one connection: bounded, conflating, and never losing a terminal publication.
//!
//! A host takes frames out as fast as its transport accepts them. While the transport is too slow,
//! - a subscription whose flow conflates has at most one publication per topic waiting here, and the terminal one after
//!   it: a newer publication is combined with the one that waits;
//! - any other subscription loses its oldest publications once the limit is reached, and is told how many;
//! - terminal publications, the newest publication of each topic, and frames that are not publications are kept.
//!
//! So the last value of every topic always arrives. What must be kept can exceed the limit only by the number of
//! topics. An owner that wants a hard limit closes the connection when [`Outbox::is_overfull`], and the client resumes.
//!
//! What a subscription starts with doesn't count: the retained value of each topic, or what was missed, is there at
//! once through no fault of the transport, and its payloads are in the histories anyway. There is one such start at a
//! time: see [`Outbox::begin_start`].
//!
//! Usually, the transport keeps up: what is pushed into an empty outbox has a place of its own, and a queue exists only
//! while something waits behind it.

mod item;
mod queue;
mod run;
mod slowness;
mod tally;

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::flow::Slow;
use crate::hub::SubscriptionId;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::publication::Publication;
pub use item::Delivery;
use item::{delivery_bytes, frame_bytes, values};
use queue::Queue;
pub(crate) use run::{Run, RunDelivery};
use slowness::Slowness;
pub use tally::{Losses, Tally};

/// The queue of one connection.
#[derive(Debug)]
pub struct Outbox<P> {
    /// The only thing that waits, where there is no queue.
    front: Option<Front<P>>,
    queue: Option<Box<Queue<P>>>,
    bytes_max: usize,
    /// What subscriptions want while the transport is behind, where they have said so.
    slowness: Option<Arc<Slowness>>,
}

#[derive(Debug)]
enum Front<P> {
    Frame(Box<ServerFrame<P>>),
    Delivery(Delivery<P>),
    Run(RunDelivery<P>),
}

impl<P: Payload> Outbox<P> {
    /// An empty queue that sheds when more than `bytes_max` bytes wait.
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            front: None,
            queue: None,
            bytes_max,
            slowness: None,
        }
    }

    /// Queues a frame that must arrive.
    pub fn push_frame(&mut self, frame: ServerFrame<P>) {
        if self.is_empty_for(|| frame_bytes(&frame)) {
            self.front = Some(Front::Frame(Box::new(frame)));
        } else {
            self.queue().push_frame(frame);
        }
    }

    /// Queues an emission.
    pub fn push_delivery(&mut self, delivery: Delivery<P>) {
        if self.is_empty_for(|| delivery_bytes(&delivery)) {
            self.front = Some(Front::Delivery(delivery));
        } else {
            self.queue().push_delivery(delivery);
        }
    }

    /// Queues publications that were published together.
    pub(crate) fn push_run(&mut self, run: RunDelivery<P>) {
        if self.is_empty_for(|| run.bytes()) {
            self.front = Some(Front::Run(run));
        } else {
            let queue = self.queue();
            run.for_each(|delivery| queue.push_delivery(delivery));
        }
    }

    fn is_empty_for(&self, bytes: impl FnOnce() -> usize) -> bool {
        self.front.is_none() && self.queue.is_none() && bytes() <= self.bytes_max
    }

    /// The queue, with what stood alone at its front.
    fn queue(&mut self) -> &mut Queue<P> {
        let queue = self
            .queue
            .get_or_insert_with(|| Box::new(Queue::new(self.bytes_max, self.slowness.clone())));
        match self.front.take() {
            None => {}
            Some(Front::Frame(frame)) => queue.push_frame(*frame),
            Some(Front::Delivery(delivery)) => queue.push_delivery(delivery),
            Some(Front::Run(run)) => run.for_each(|delivery| queue.push_delivery(delivery)),
        }
        queue
    }

    /// What is pushed from here to [`Outbox::end_start`] is beside the limit until it has left; unless the limit is
    /// reached already.
    pub fn begin_start(&mut self) {
        self.queue().begin_start();
    }

    /// The start of a subscription is complete.
    pub fn end_start(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.end_start();
            self.drop_empty_queue();
        }
    }

    /// A queue is dropped with its last frame: most connections are idle, and there are many of them.
    fn drop_empty_queue(&mut self) {
        if self
            .queue
            .as_ref()
            .is_some_and(|queue| queue.is_empty() && !queue.is_starting() && queue.is_settled())
        {
            self.queue = None;
        }
    }

    /// What a subscription wants while the transport is behind; `None` for what its flow says. From the next publication on.
    pub fn set_slow(&mut self, subscription: SubscriptionId, slow: Option<Slow>) {
        if slow.is_none() && self.slowness.is_none() {
            return;
        }
        self.change_slowness(|slowness| match slow {
            Some(slow) => {
                slowness.of.insert(subscription, slow);
            }
            None => {
                slowness.of.remove(&subscription);
            }
        });
    }

    /// What all subscriptions want that have said nothing.
    pub fn set_slow_of_all(&mut self, slow: Option<Slow>) {
        if slow.is_some() || self.slowness.is_some() {
            self.change_slowness(|slowness| slowness.of_all = slow);
        }
    }

    fn change_slowness(&mut self, change: impl FnOnce(&mut Slowness)) {
        let slowness = self
            .slowness
            .get_or_insert_with(|| Arc::new(Slowness::new()));
        change(Arc::make_mut(slowness));
        if slowness.is_empty() {
            self.slowness = None;
        }
        if let Some(queue) = &mut self.queue {
            queue.set_slowness(self.slowness.clone());
        }
    }

    /// Brings a tally up to date with what waits here. Whoever keeps one calls this after each call that changes what waits,
    /// and [`Outbox::leave_tally`] in the end.
    pub fn settle_tally(&mut self, tally: &mut Tally) {
        if let Some(queue) = &mut self.queue {
            queue.settle_tally(tally);
            self.drop_empty_queue();
        }
    }

    /// Nothing here is to count any more, but what was lost.
    pub fn leave_tally(mut self, tally: &mut Tally) {
        if let Some(queue) = &mut self.queue {
            queue.settle_tally(tally);
            tally.waiting_bytes -= queue.bytes();
        }
    }

    /// What was published and waits, oldest first, of the first `most` frames.
    pub(crate) fn waiting(&self, most: usize) -> impl Iterator<Item = &Arc<Publication<P>>> {
        let front = match &self.front {
            None | Some(Front::Frame(_)) => &[],
            Some(Front::Delivery(delivery)) => values(&delivery.emission),
            Some(Front::Run(run)) => run.left(),
        };
        let queue = self.queue.iter();
        let queued = queue.flat_map(move |queue| queue.publications(most));
        front.iter().take(most).chain(queued)
    }

    /// Whether more waits than a transport that keeps up leaves.
    pub const fn is_behind(&self) -> bool {
        self.queue.is_some()
    }

    /// The bytes that wait while the transport is behind.
    pub fn bytes_behind(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Drops whatever may be dropped, although the limit is not reached: there is too little room for all connections.
    pub fn shed_all(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.shed_all();
        }
    }

    /// Takes the next frame to send.
    pub fn pop(&mut self) -> Option<ServerFrame<P>> {
        if let Some(queue) = &mut self.queue {
            let frame = queue.pop();
            self.drop_empty_queue();
            return frame;
        }
        if let Some(Front::Run(run)) = &mut self.front
            && let Some(delivery) = run.split_first()
        {
            return Some(delivery.into_frame());
        }
        Some(match self.front.take()? {
            Front::Frame(frame) => *frame,
            Front::Delivery(delivery) => delivery.into_frame(),
            Front::Run(run) => run.into_last().into_frame(),
        })
    }

    /// Forgets what waits for a subscription that its subscriber ended.
    pub fn discard(&mut self, subscription: SubscriptionId) {
        let of_front = match &self.front {
            None | Some(Front::Frame(_)) => None,
            Some(Front::Delivery(delivery)) => Some(delivery.subscription),
            Some(Front::Run(run)) => Some(run.subscription),
        };
        if of_front == Some(subscription) {
            self.front = None;
        }
        if let Some(queue) = &mut self.queue {
            queue.discard(subscription);
            self.drop_empty_queue();
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.front.is_none() && self.queue.as_ref().is_none_or(|queue| queue.is_empty())
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        let of_front = match &self.front {
            None => 0,
            Some(Front::Frame(_) | Front::Delivery(_)) => 1,
            Some(Front::Run(run)) => run.len(),
        };
        of_front + self.queue.as_ref().map_or(0, |queue| queue.len())
    }

    /// How many bytes wait, by the estimate that the limit counts.
    pub fn bytes(&self) -> usize {
        let of_front = match &self.front {
            None => 0,
            Some(Front::Frame(frame)) => frame_bytes(frame),
            Some(Front::Delivery(delivery)) => delivery_bytes(delivery),
            Some(Front::Run(run)) => run.bytes(),
        };
        of_front + self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Whether something was dropped of a subscription that would rather be [disconnected](Slow::Disconnect).
    pub fn is_forfeit(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_forfeit())
    }

    /// Whether what must not be dropped alone exceeds twice the limit, or something was dropped of a subscription that would
    /// rather be [disconnected](Slow::Disconnect).
    pub fn is_overfull(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_overfull())
    }
}

#[cfg(test)]
mod tests;
