//! Lookups, which use the same link. Their results go to whoever asked, and change no copy.

use super::Mirror;
use crate::payload::Payload;
use crate::time::Instant;
use crate::uplink::{Found, Lookup, LookupError, PendingCall, UplinkCall};

impl<P: Payload + Clone, T> Mirror<P, T> {
    /// Looks topics up where they live; [`Mirror::poll_found`] returns the result.
    pub(in crate::hub) fn handle_lookup(&mut self, now: Instant, ticket: u64, lookup: Lookup) {
        self.lookups.push(now, ticket, lookup);
        self.step(now);
    }

    /// The next result of a lookup.
    pub(in crate::hub) fn poll_found(&mut self) -> Option<(u64, Result<Found<P>, LookupError>)> {
        self.lookups.poll_found()
    }

    pub(super) fn look_up_next(&mut self, now: Instant) {
        while let Some((lookup, requests)) = self.lookups.next() {
            let call = self.call(now, PendingCall::Lookup, lookup.call());
            self.lookups.handle_begun(now, call, lookup, requests);
        }
    }

    /// A lookup that is never answered must not keep its place from others that would be.
    pub(super) fn give_up_lookups(&mut self, now: Instant) {
        self.lookups.handle_timeout(now);
        while let Some(call) = self.lookups.next_overdue(now) {
            self.link.remove(call);
            self.calls.push_back((call, UplinkCall::GiveUp));
        }
    }
}
