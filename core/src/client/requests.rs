//! Publishes that wait for their answer, and are repeated on the next connection.

use alloc::vec::Vec;

use super::{Client, ClientEvent};
use crate::limits::IDEMPOTENCY_KEYS_MAX;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ErrorCode, PublishRequest, WireError};
use crate::random::Random;
use crate::sorted::SortedMap;
use crate::time::Instant;
use crate::words::{decimal, digits, sentence};

/// The most publishes in flight. A topic remembers no more idempotency keys than this; with more in flight, a repeated
/// one could take effect twice.
const IN_FLIGHT_MAX: usize = IDEMPOTENCY_KEYS_MAX;

impl<P: Payload + Clone> Client<P> {
    /// Publishes, now or once connected. The result arrives as [`ClientEvent::Published`] with the number returned
    /// here.
    ///
    /// A publish without an idempotency key is given one, so that it can be repeated after a lost connection and still
    /// takes effect once.
    pub fn handle_publish(&mut self, now: Instant, publish: PublishRequest<P>) -> u64 {
        match self.requests.add(publish) {
            Ok(request) => {
                self.send_publishes();
                self.wake(now);
                request
            }
            Err((request, error)) => {
                let result = Err(error);
                self.output
                    .push_back(ClientEvent::Published { request, result });
                request
            }
        }
    }

    /// Sends waiting publishes, up to the limit in flight. One that is too long for the server is refused here.
    pub(super) fn send_publishes(&mut self) {
        if !self.is_welcomed() {
            return;
        }
        while let Some((request, publish)) = self.requests.next_to_send() {
            match self.check_publish(&publish) {
                Ok(()) => self.send(ClientFrame::Publish { request, publish }),
                Err(error) => {
                    self.requests.remove(request);
                    let result = Err(error.about_request(request));
                    self.output
                        .push_back(ClientEvent::Published { request, result });
                }
            }
        }
    }

    /// How many publishes are waiting for their answer.
    pub fn unanswered(&self) -> usize {
        self.requests.len()
    }
}

#[derive(Debug)]
pub(super) struct Requests<P> {
    unanswered: SortedMap<u64, PublishRequest<P>>,
    /// How many of them were sent on the current connection: those below `unsent`.
    in_flight: usize,
    unsent: u64,
    next: u64,
    /// Makes this client's idempotency keys differ from those of all others.
    key_prefix: u64,
    requests_max: usize,
}

impl<P: Clone> Requests<P> {
    pub(super) const fn new(seed: u64, requests_max: usize) -> Self {
        Self {
            unanswered: SortedMap::new(),
            in_flight: 0,
            unsent: 0,
            next: 1,
            key_prefix: Random::new(seed ^ 0x7075_626c_6973_6873).next_u64(),
            requests_max,
        }
    }

    /// The next unused request number.
    pub(super) const fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1;
        number
    }

    /// Adds a publish; gives it a number and, if it has none, an idempotency key.
    pub(super) fn add(&mut self, mut publish: PublishRequest<P>) -> Result<u64, (u64, WireError)> {
        let request = self.number();
        if self.unanswered.len() >= self.requests_max {
            let waiting = decimal(self.requests_max);
            let message = sentence(&[
                &waiting,
                " publishes wait for their answer; wait for some of them",
            ]);
            let error = WireError::new(ErrorCode::TooManyRequests, message);
            return Err((request, error.about_request(request)));
        }
        if publish.id.is_none() {
            let prefix = digits(self.key_prefix, 16, 1);
            publish.id = Some(sentence(&[&prefix, "-", &digits(request, 10, 1)]));
        }
        self.unanswered.insert(request, publish);
        Ok(request)
    }

    /// The next publish to send on the current connection, unless too many are in flight.
    pub(super) fn next_to_send(&mut self) -> Option<(u64, PublishRequest<P>)> {
        if self.in_flight == IN_FLIGHT_MAX {
            return None;
        }
        let (request, publish) = self.unanswered.range(self.unsent..).next()?;
        self.in_flight += 1;
        self.unsent = request + 1;
        Some((*request, publish.clone()))
    }

    /// The connection is gone: everything unanswered has to be sent again, in order.
    pub(super) const fn handle_lost(&mut self) {
        self.in_flight = 0;
        self.unsent = 0;
    }

    /// Removes an answered request. Returns whether it was waiting for the answer.
    pub(super) fn remove(&mut self, request: u64) -> bool {
        let is_known = self.unanswered.remove(&request).is_some();
        if is_known && request < self.unsent {
            self.in_flight -= 1;
        }
        is_known
    }

    /// The idempotency keys of the unanswered publishes.
    pub(super) fn keys(&self) -> impl Iterator<Item = (u64, &str)> {
        let unanswered = self.unanswered.iter();
        unanswered.filter_map(|(request, publish)| Some((*request, publish.id.as_deref()?)))
    }

    pub(super) fn take_all(&mut self) -> Vec<u64> {
        self.handle_lost();
        core::mem::take(&mut self.unanswered).into_keys().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.unanswered.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }
}
