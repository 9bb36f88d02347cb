//! What waits for the reader of a subscription: the core's outbox, with a waker.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tidegate_core::flow::Slow;
use tidegate_core::outbox::{Delivery, Outbox};
use tidegate_core::protocol::ServerFrame;

use crate::json::Json;

pub(super) struct Queue {
    state: Mutex<State>,
    reader: AtomicWaker,
}

struct State {
    outbox: Outbox<Json>,
    is_finished: bool,
}

impl Queue {
    pub(super) fn new(bytes_max: usize, slow: Option<Slow>) -> Self {
        let mut outbox = Outbox::new(bytes_max);
        outbox.set_slow_of_all(slow);
        let state = State {
            outbox,
            is_finished: false,
        };
        Self {
            state: Mutex::new(state),
            reader: AtomicWaker::new(),
        }
    }

    pub(super) fn push_delivery(&self, delivery: Delivery<Json>) {
        self.lock().outbox.push_delivery(delivery);
        self.reader.wake();
    }

    pub(super) fn push_frame(&self, frame: ServerFrame<Json>) {
        self.lock().outbox.push_frame(frame);
        self.reader.wake();
    }

    /// Marks the end: nothing follows what is already queued.
    pub(super) fn finish(&self) {
        self.lock().is_finished = true;
        self.reader.wake();
    }

    pub(super) fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<ServerFrame<Json>>> {
        self.reader.register(context.waker());
        let mut state = self.lock();
        match state.outbox.pop() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if state.is_finished => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
