//! Lookups on their way to the backend: several at a time, equal ones once for all who wait for them, repeated after a
//! loss of the link, and given up in time.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use core::time::Duration;

use super::{CallId, Lookup, LookupError, Page, UplinkCall, UplinkConfig};
use crate::history::Excerpt;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

/// The result of a [`Lookup`]: an excerpt of each known topic.
pub type Found<P> = Arc<[Excerpt<P>]>;

/// The lookups of one hub. Each request has a ticket, with which the result is returned.
#[derive(Debug)]
pub(crate) struct Lookups<P> {
    /// The deadlines and tickets of the waiting requests, by number. That is also the order of the deadlines, because all may
    /// wait equally long.
    requests: BTreeMap<u64, (Instant, u64)>,
    last_request: u64,
    /// The lookups to make, in order, and the requests that wait for each. Listings have a queue of their own: they
    /// take long, and what they find takes up memory, so fewer of them are in flight, and no other lookup waits for
    /// them.
    reads: VecDeque<Lookup>,
    listings: VecDeque<Lookup>,
    waiting: BTreeMap<Key, Vec<u64>>,
    /// How many requests are in `waiting`, including those that have been given up.
    waiting_count: usize,
    in_flight: BTreeMap<CallId, InFlight>,
    results: VecDeque<(u64, Result<Found<P>, LookupError>)>,
    config: UplinkConfig,
}

/// Fewer entries aren't worth cleaning up.
const WAITING_MIN: usize = 64;

/// Lookups with equal keys are the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Latest(Pattern),
    Page(Page),
    History(Topic, u64, u64),
}

/// A lookup in flight.
#[derive(Debug)]
struct InFlight {
    lookup: Lookup,
    requests: Vec<u64>,
    /// When it is given up, and its place goes to the next one.
    until: Instant,
}

impl<P> Lookups<P> {
    pub(crate) fn new(config: &UplinkConfig) -> Self {
        Self {
            requests: BTreeMap::new(),
            last_request: 0,
            reads: VecDeque::new(),
            listings: VecDeque::new(),
            waiting: BTreeMap::new(),
            waiting_count: 0,
            in_flight: BTreeMap::new(),
            results: VecDeque::new(),
            config: config.clone(),
        }
    }

    /// Queues a lookup. It joins an equal one that is queued, but not one in flight, which may miss what was published
    /// since.
    pub(crate) fn push(&mut self, now: Instant, ticket: u64, lookup: Lookup) {
        if self.requests.len() >= self.config.lookups_max {
            self.results
                .push_back((ticket, Err(LookupError::Unavailable)));
            return;
        }
        self.last_request += 1;
        let until = now + self.config.lookup_patience;
        self.requests.insert(self.last_request, (until, ticket));
        let waiting = self.waiting.entry(key(&lookup)).or_default();
        let is_new = waiting.is_empty();
        waiting.push(self.last_request);
        self.waiting_count += 1;
        if is_new {
            self.queue_of(&lookup).push_back(lookup);
        }
    }

    fn queue_of(&mut self, lookup: &Lookup) -> &mut VecDeque<Lookup> {
        if lookup.is_listing() {
            &mut self.listings
        } else {
            &mut self.reads
        }
    }

    /// The next lookup to make, unless the limit in flight is reached. Register its call with [`Lookups::handle_begun`].
    pub(crate) fn next(&mut self) -> Option<(Lookup, Vec<u64>)> {
        loop {
            let lookup = self.take_next()?;
            let requests = self.waiting.remove(&key(&lookup)).unwrap_or_default();
            self.waiting_count -= requests.len();
            if requests
                .iter()
                .any(|request| self.requests.contains_key(request))
            {
                return Some((lookup, requests));
            }
        }
    }

    fn take_next(&mut self) -> Option<Lookup> {
        let in_flight = self.in_flight.values();
        let listings = in_flight.filter(|it| it.lookup.is_listing()).count();
        let reads = self.in_flight.len() - listings;
        if reads < self.config.lookups_at_once
            && let Some(read) = self.reads.pop_front()
        {
            return Some(read);
        }
        let may_list = listings < self.config.listings_at_once;
        may_list.then(|| self.listings.pop_front()).flatten()
    }

    /// The call of a lookup from [`Lookups::next`] was made.
    pub(crate) fn handle_begun(
        &mut self,
        now: Instant,
        call: CallId,
        lookup: Lookup,
        requests: Vec<u64>,
    ) {
        let until = now + lookup.timeout(&self.config);
        let in_flight = InFlight {
            lookup,
            requests,
            until,
        };
        self.in_flight.insert(call, in_flight);
    }

    /// The result of a call.
    pub(crate) fn handle_found(&mut self, call: CallId, found: Vec<Excerpt<P>>) {
        let Some(InFlight { requests, .. }) = self.in_flight.remove(&call) else {
            return;
        };
        let known = |excerpt: &Excerpt<P>| excerpt.position.epoch > 0;
        let found: Found<P> = found.into_iter().filter(known).collect();
        for request in requests {
            if let Some((_, ticket)) = self.requests.remove(&request) {
                self.results.push_back((ticket, Ok(Arc::clone(&found))));
            }
        }
    }

    /// The backend refused a call because of its content.
    pub(crate) fn handle_refused(&mut self, call: CallId) {
        self.fail(call, LookupError::Refused);
    }

    fn fail(&mut self, call: CallId, error: LookupError) {
        let in_flight = self.in_flight.remove(&call);
        for request in in_flight.into_iter().flat_map(|it| it.requests) {
            if let Some((_, ticket)) = self.requests.remove(&request) {
                self.results.push_back((ticket, Err(error)));
            }
        }
    }

    /// Returns the next call that has taken too long. It is given up, and its place goes to the next one.
    pub(crate) fn next_overdue(&mut self, now: Instant) -> Option<CallId> {
        let mut in_flight = self.in_flight.iter();
        let (call, _) = in_flight.find(|(_, it)| it.until <= now)?;
        let call = *call;
        self.fail(call, LookupError::Unavailable);
        Some(call)
    }

    /// The link is lost: lookups that were in flight are made again, before all others.
    pub(crate) fn handle_lost(&mut self) {
        while let Some((_, in_flight)) = self.in_flight.pop_last() {
            let InFlight {
                lookup,
                mut requests,
                ..
            } = in_flight;
            let waiting = self.waiting.entry(key(&lookup)).or_default();
            let is_new = waiting.is_empty();
            self.waiting_count += requests.len();
            requests.append(waiting);
            *waiting = requests;
            if is_new {
                self.queue_of(&lookup).push_front(lookup);
            }
        }
    }

    /// Gives up requests that have waited too long.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(first) = self.requests.first_entry()
            && first.get().0 <= now
        {
            let (_, ticket) = first.remove();
            self.results
                .push_back((ticket, Err(LookupError::Unavailable)));
        }
        if self.waiting_count > WAITING_MIN + 2 * self.requests.len() {
            self.forget_given_up();
        }
    }

    /// Removes requests that were given up, because nothing else does while the link is lost. It runs when most have
    /// been given up, so the cost for each is small.
    fn forget_given_up(&mut self) {
        let (requests, mut waiting_count) = (&self.requests, 0);
        self.waiting.retain(|_, waiting| {
            waiting.retain(|request| requests.contains_key(request));
            waiting_count += waiting.len();
            !waiting.is_empty()
        });
        let waiting = &self.waiting;
        for queue in [&mut self.reads, &mut self.listings] {
            queue.retain(|lookup| waiting.contains_key(&key(lookup)));
        }
        self.waiting_count = waiting_count;
    }

    /// The next result, with its ticket.
    pub(crate) fn poll_found(&mut self) -> Option<(u64, Result<Found<P>, LookupError>)> {
        self.results.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let requests = self.requests.first_key_value();
        let given_up = requests.map(|(_, (until, _))| *until);
        // There are a few of them at most.
        let overdue = self.in_flight.values().map(|it| it.until);
        overdue.chain(given_up).min()
    }
}

fn key(lookup: &Lookup) -> Key {
    match lookup {
        Lookup::Latest(pattern) => Key::Latest(pattern.clone()),
        Lookup::Page(page) => Key::Page(page.clone()),
        Lookup::History { topic, since } => Key::History(topic.clone(), since.epoch, since.offset),
    }
}

impl Lookup {
    /// Returns whether it may find many topics.
    fn is_listing(&self) -> bool {
        match self {
            Self::Latest(pattern) | Self::Page(Page { pattern, .. }) => !pattern.is_exact(),
            Self::History { .. } => false,
        }
    }

    /// How long it may be in flight.
    fn timeout(&self, config: &UplinkConfig) -> Duration {
        if self.is_listing() {
            config.listing_timeout()
        } else {
            config.call_timeout
        }
    }

    /// The call that makes this lookup.
    pub(crate) fn call<P>(&self) -> UplinkCall<P> {
        match self {
            Self::Latest(pattern) => match pattern.exact() {
                Some(topic) => UplinkCall::Read { topic, since: None },
                None => UplinkCall::List(pattern.clone()),
            },
            Self::Page(page) => UplinkCall::ListPage(page.clone()),
            Self::History { topic, since } => UplinkCall::Read {
                topic: topic.clone(),
                since: Some(*since),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::topic::Pattern;

    #[test]
    fn nothing_is_kept_of_those_who_were_given_up_while_the_link_is_away() {
        let config = UplinkConfig::new(1);
        let mut lookups: Lookups<()> = Lookups::new(&config);
        let mut now = Instant::from_millis(1);
        for ticket in 0..20_000 {
            now = now + config.lookup_patience / 10;
            lookups.handle_timeout(now);
            // Every second request is for the same topic.
            let name = format!("job:{}", if ticket % 2 == 0 { 0 } else { ticket });
            let pattern = Pattern::new(&name).unwrap();
            lookups.push(now, ticket, Lookup::Latest(pattern));
        }
        assert!(lookups.requests.len() <= 11, "{}", lookups.requests.len());
        let waiting_count: usize = lookups.waiting.values().map(Vec::len).sum();
        assert_eq!(waiting_count, lookups.waiting_count);
        assert!(waiting_count <= WAITING_MIN + 23, "{waiting_count}");
        assert!(lookups.reads.len() <= waiting_count);
        let mut found = 0;
        while let Some((lookup, requests)) = lookups.next() {
            found += 1;
            let call = found;
            lookups.handle_begun(now, call, lookup, requests);
            lookups.handle_found(call, Vec::new());
        }
        assert_eq!((lookups.waiting_count, lookups.reads.len()), (0, 0));
        assert!(lookups.requests.is_empty() && lookups.waiting.is_empty());
    }
}
