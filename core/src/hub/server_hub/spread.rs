//! A publication that many connections get, straight to those that wait for nothing else.
//!
//! A connection that keeps up has an empty outbox. To put a delivery into it, to say that it is ready and to take the delivery
//! out again costs several times what is left: to name the connection. So a host may ask for
//! [`ServerHub::poll_spread`] before it asks for outputs, encode the publication once, and write it to all that
//! [`ServerHub::poll_recipient`] names. Whatever one of them does not take waits in its outbox after all.

use alloc::sync::Arc;

use super::handing::{DELIVERIES_AT_ONCE, DELIVERIES_FIRST};
use super::{Connection, ConnectionId, ServerHub};
use crate::gate::Emission;
use crate::hub::{Spread, SubscriptionId};
use crate::outbox::Delivery;
use crate::payload::Payload;
use crate::time::Instant;

/// Who gets a publication next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The connection to write to.
    pub connection: ConnectionId,
    subscription: SubscriptionId,
}

impl<P> Connection<P> {
    /// Whether it has been given everything, whole.
    const fn is_at_rest(&self) -> bool {
        !self.is_ready && self.bases.is_none()
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// A publication to be sent to all that [`ServerHub::poll_recipient`] names until it says `None`; `None` where there is
    /// nothing of the kind, or others come first. A host that has begun to ask goes on until neither this nor
    /// [`ServerHub::poll_output`] says anything; one that never does gets everything by `poll_output`.
    pub fn poll_spread(&mut self) -> Option<Spread<P>> {
        if self.owing_since.is_none() || self.handing.is_some() {
            return None;
        }
        self.spread = 0;
        self.hub.poll_spread()
    }

    /// The next connection to write the publication to. A host may ask for several before it writes to the first of them, in their order.
    /// Where one can't take it now, say so by [`ServerHub::handle_untaken`] before anything else happens.
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

    /// A recipient that was named can't take the publication now: it waits there.
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

    /// Whether somebody else's turn has come: of whoever was ready before, soon, and of those whose outbox has something now,
    /// while it is at hand.
    fn has_others_to_serve(&self) -> bool {
        let ready = self.output.len();
        ready >= DELIVERIES_AT_ONCE || (ready > 0 && self.spread >= DELIVERIES_FIRST)
    }
}
