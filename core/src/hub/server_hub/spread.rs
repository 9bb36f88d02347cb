//! Spreading a publication: it goes straight to many connections that wait for nothing else.
//!
//! A connection that keeps up has an empty outbox. Putting a delivery into it, reporting that it is ready and taking
//! the delivery out again costs several times as much as merely naming the connection. So a host may call
//! [`ServerHub::poll_spread`] before it polls outputs, encode the publication once, and write it to all connections
//! that [`ServerHub::poll_recipient`] names. If one of them doesn't accept it, it goes to that connection's outbox
//! after all.

use alloc::sync::Arc;

use super::delivery::{DELIVERIES_AT_ONCE, DELIVERIES_FIRST};
use super::{Connection, ConnectionId, ServerHub};
use crate::gate::Emission;
use crate::hub::{Spread, SubscriptionId};
use crate::outbox::Delivery;
use crate::payload::Payload;
use crate::time::Instant;

/// A connection to write the publication to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The connection to write to.
    pub connection: ConnectionId,
    subscription: SubscriptionId,
}

impl<P> Connection<P> {
    /// Returns whether nothing waits for it, and it gets complete values.
    const fn is_at_rest(&self) -> bool {
        !self.is_ready && self.bases.is_none()
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// A publication to send to all connections that [`ServerHub::poll_recipient`] names until it returns `None`.
    /// `None` if there is no such publication, or other work comes first. A host that has called this once must
    /// continue until neither this nor [`ServerHub::poll_output`] returns anything. A host that never calls it gets
    /// everything by `poll_output`.
    pub fn poll_spread(&mut self) -> Option<Spread<P>> {
        if self.owing_since.is_none() || self.delivery.is_some() {
            return None;
        }
        self.spread = 0;
        self.hub.poll_spread()
    }

    /// The next connection to write the publication to. A host may poll several and then write to them in the same
    /// order. If one of them can't accept it now, report that to [`ServerHub::handle_untaken`] before anything else
    /// happens.
    pub fn poll_recipient(&mut self) -> Option<Recipient> {
        let now = self.owing_since?;
        while !self.has_others_to_serve() {
            let (index, subscription) = self.hub.next_recipient()?;
            let connection = &self.connections[index as usize];
            let generation = connection.generation;
            let recipient = Recipient {
                connection: ConnectionId { index, generation },
                subscription,
            };
            if connection.is_at_rest() {
                self.spread += 1;
                return Some(recipient);
            }
            if let Some(spread) = self.hub.spread() {
                self.leave_waiting(now, recipient, &spread);
            }
        }
        None
    }

    /// A recipient can't accept the publication now: it goes to the recipient's outbox.
    pub fn handle_untaken(&mut self, now: Instant, recipient: Recipient, spread: &Spread<P>) {
        if self.find(recipient.connection).is_some() {
            self.leave_waiting(now, recipient, spread);
        }
    }

    fn leave_waiting(&mut self, now: Instant, recipient: Recipient, spread: &Spread<P>) {
        let index = recipient.connection.index;
        let outbox = &mut self.connections[index as usize].outbox;
        outbox.push_delivery(Delivery {
            subscription: recipient.subscription,
            via: spread.via.clone(),
            conflate: None,
            emission: Emission::One(Arc::clone(&spread.publication)),
        });
        self.note_pushed(now, index);
    }

    /// Returns whether other connections should be served now: soon, if they were ready before; after a few, if their
    /// outboxes were just filled, while their memory is in the cache.
    fn has_others_to_serve(&self) -> bool {
        let ready = self.output.len();
        ready >= DELIVERIES_AT_ONCE || (ready > 0 && self.spread >= DELIVERIES_FIRST)
    }
}
