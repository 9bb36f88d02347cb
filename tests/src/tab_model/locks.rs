//! A Web Lock, with the behaviour observed in real browsers.

use std::collections::VecDeque;

/// One page's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(super) page: usize,
    pub(super) request: u32,
}

/// The news for a page about its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Granted(Ask),
    Lost(Ask),
}

/// One lock: its holder, and the queue of requests.
#[derive(Debug, Default)]
pub struct Locks {
    pub(super) holder: Option<Ask>,
    pub(super) queue: VecDeque<Ask>,
    /// Whether the browser has evicted a holder and forgotten to grant the lock to the next.
    is_stuck: bool,
}

impl Locks {
    pub(super) fn request(&mut self, ask: Ask, steal: bool) -> Vec<Told> {
        if steal {
            self.is_stuck = false;
            let robbed = self.holder.replace(ask).map(Told::Lost);
            return robbed.into_iter().chain([Told::Granted(ask)]).collect();
        }
        self.queue.push_back(ask);
        self.grant()
    }

    /// Aborts a queued request, or releases the lock.
    pub(super) fn release(&mut self, ask: Ask) -> Vec<Told> {
        if self.holder == Some(ask) {
            self.holder = None;
        } else {
            let before = self.queue.len();
            self.queue.retain(|other| *other != ask);
            self.is_stuck &= self.queue.len() == before;
        }
        self.grant()
    }

    /// A page is gone, with all its requests.
    pub(super) fn forget(&mut self, page: usize) -> Vec<Told> {
        self.queue.retain(|ask| ask.page != page);
        self.holder.take_if(|ask| ask.page == page);
        self.grant()
    }

    /// The browser evicts the page that holds the lock, and grants it to nobody.
    pub(super) fn get_stuck(&mut self) {
        self.holder = None;
        self.is_stuck = true;
    }

    /// The holder loses the lock.
    pub(super) fn rob(&mut self) -> Vec<Told> {
        let robbed = self.holder.take().map(Told::Lost);
        robbed.into_iter().chain(self.grant()).collect()
    }

    fn grant(&mut self) -> Vec<Told> {
        if self.holder.is_none() && !self.is_stuck {
            self.holder = self.queue.pop_front();
            return self.holder.map(Told::Granted).into_iter().collect();
        }
        Vec::new()
    }

    /// Whether nobody holds the lock or waits for it.
    pub fn is_free(&self) -> bool {
        self.holder.is_none() && self.queue.is_empty()
    }
}
