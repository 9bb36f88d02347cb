//! The queue of what a hub is about to emit to its downlinks.
//!
//! Publications of a topic that arrive together are routed together. A subscription that gets every publication then
//! has one entry in the queue for all of them, a run.

use alloc::collections::VecDeque;

use super::due::{DownlinkId, Due};
use crate::outbox::RunDelivery;

/// An entry of the queue.
#[derive(Debug)]
pub(super) enum Owed<P> {
    Due(Due<P>),
    Run {
        downlink: DownlinkId,
        run: RunDelivery<P>,
    },
}

/// The queue.
#[derive(Debug)]
pub(super) struct Owing<P> {
    queue: VecDeque<Owed<P>>,
}

impl<P> Owing<P> {
    pub(super) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }

    pub(super) fn push_back(&mut self, due: Due<P>) {
        self.queue.push_back(Owed::Due(due));
    }

    pub(super) fn push_run(&mut self, downlink: DownlinkId, run: RunDelivery<P>) {
        self.queue.push_back(Owed::Run { downlink, run });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next entry.
    pub(super) fn pop_owed(&mut self) -> Option<Owed<P>> {
        self.queue.pop_front()
    }

    /// The next single item; the publications of a run come one by one.
    pub(super) fn pop_front(&mut self) -> Option<Due<P>> {
        if let Some(Owed::Run { downlink, run }) = self.queue.front_mut()
            && let Some(delivery) = run.split_first()
        {
            let downlink = *downlink;
            return Some(Due::Deliver { downlink, delivery });
        }
        match self.queue.pop_front()? {
            Owed::Due(due) => Some(due),
            Owed::Run { downlink, run } => Some(Due::Deliver {
                downlink,
                delivery: run.into_last(),
            }),
        }
    }
}
