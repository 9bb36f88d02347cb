//! The queue of one connection: bounded, conflating, and never losing a terminal publication.
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
//! What a subscription starts with doesn't count: the retained values, or what was missed, are queued all at once
//! through no fault of the transport, and their payloads are in the histories anyway. Only one start is in progress at
//! a time: see [`Outbox::begin_start`].
//!
//! Usually, the transport keeps up: what is pushed into an empty outbox is stored directly, and a queue exists only
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
    /// The only thing that waits, if there is no queue.
    front: Option<Front<P>>,
    queue: Option<Box<Queue<P>>>,
    bytes_max: usize,
    /// The policies that subscriptions have chosen for a slow connection.
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

    /// Queues publications that arrived together.
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

    /// The queue, created if necessary, including what was at the front.
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

    /// What is pushed until [`Outbox::end_start`] doesn't count towards the limit until it has left, unless the limit
    /// is exceeded already.
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

    /// Sets a subscription's policy for a slow connection, from the next publication on; `None` for what its flow
    /// implies.
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

    /// Sets the policy of all subscriptions that haven't chosen one.
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

    /// Brings a tally up to date with what waits here. An owner with a tally must call this after each call that
    /// changes what waits, and [`Outbox::leave_tally`] at the end.
    pub fn settle_tally(&mut self, tally: &mut Tally) {
        if let Some(queue) = &mut self.queue {
            queue.settle_tally(tally);
            self.drop_empty_queue();
        }
    }

    /// Removes what waits here from a tally, except for the losses.
    pub fn leave_tally(mut self, tally: &mut Tally) {
        if let Some(queue) = &mut self.queue {
            queue.settle_tally(tally);
            tally.waiting_bytes -= queue.bytes();
        }
    }

    /// The waiting publications, oldest first, of the first `most` frames.
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

    /// Returns whether the connection is slow: more waits than if its transport kept up.
    pub const fn is_behind(&self) -> bool {
        self.queue.is_some()
    }

    /// The bytes that wait while the connection is slow.
    pub fn bytes_behind(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Drops everything that may be dropped, although the limit is not reached, because all connections together need
    /// room.
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

    /// Drops what waits for a subscription that its subscriber has ended.
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

    /// Returns whether nothing waits.
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

    /// How many bytes wait, by the estimate that the limit uses.
    pub fn bytes(&self) -> usize {
        let of_front = match &self.front {
            None => 0,
            Some(Front::Frame(frame)) => frame_bytes(frame),
            Some(Front::Delivery(delivery)) => delivery_bytes(delivery),
            Some(Front::Run(run)) => run.bytes(),
        };
        of_front + self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Returns whether something was dropped of a subscription with the policy [`Slow::Disconnect`].
    pub fn is_forfeit(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_forfeit())
    }

    /// Returns whether what must not be dropped exceeds twice the limit by itself, or something was dropped of a
    /// subscription with the policy [`Slow::Disconnect`].
    pub fn is_overfull(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_overfull())
    }
}

#[cfg(test)]
mod tests;
