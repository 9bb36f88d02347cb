//! Handing on publications without asking: a host that calls handlers itself need not consult the core for each one.
//!
//! If every subscriber to a topic by name gets each publication at once, and one has just been handed to them, the next
//! needs no decision: whatever continues it goes to the same subscribers. The core says so by granting a *licence*.
//! While the licence lasts, the host hands on the publications that arrive over the same link for the subscription by
//! name, in the same epoch, with the next offset and without an end, and no others. Before it calls the hub for
//! anything but handling publications of other topics, it reports by [`ClientHub::handle_handed`] how far it has got.
//! All licences end when the value of [`ClientHub::changes`] changes; that of one topic ends when the hub itself
//! handles a publication of the topic.

mod publishing;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;

use super::client_hub::ClientHub;
use crate::client::ClientEvent;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

pub use publishing::Licence;

/// Counts the events that end all licences.
#[derive(Debug, Default)]
pub(super) struct Changes(u64);

impl Changes {
    pub(super) const fn note(&mut self) {
        self.0 += 1;
    }

    const fn count(&self) -> u64 {
        self.0
    }
}

/// Whether an event ends licences: anything that may change which subscribers a publication reaches, or which one comes
/// next.
pub(super) const fn is_ended_by<P>(event: &ClientEvent<P>) -> bool {
    match event {
        ClientEvent::Send(_)
        | ClientEvent::Publication { .. }
        | ClientEvent::Presence(_)
        | ClientEvent::Published { .. }
        | ClientEvent::Answered { .. }
        | ClientEvent::AskToken { .. } => false,
        ClientEvent::Connect { .. }
        | ClientEvent::Disconnect { .. }
        | ClientEvent::State(_)
        | ClientEvent::Subscribed { .. }
        | ClientEvent::Rewinding { .. }
        | ClientEvent::Repeat { .. }
        | ClientEvent::RepeatReset { .. }
        | ClientEvent::Rewound { .. }
        | ClientEvent::Batch { .. }
        | ClientEvent::Reset { .. }
        | ClientEvent::Lagged { .. }
        | ClientEvent::Ended { .. }
        | ClientEvent::Refused { .. } => true,
    }
}

impl<P: Payload + Clone> ClientHub<P> {
    /// Whether the host may hand on what continues the publication of `topic` that the hub has just handed on, to the
    /// same subscribers. Not for a durable subscription, because the hub must know what each subscriber was handed.
    pub fn has_licence(&self, topic: &Topic) -> bool {
        let pattern = Pattern::from(topic);
        !self.is_durable(&pattern) && self.relay.hands_on_at_once(&pattern)
    }

    /// A number that changes whenever all licences end.
    pub const fn changes(&self) -> u64 {
        self.changes.count()
    }

    /// The host has handed on publications of a topic by licence, up to this one. `heard` is when one of those
    /// handed on since the last report arrived: the earlier it is, the sooner the client asks for a sign of life.
    pub fn handle_handed(&mut self, heard: Instant, publication: &Arc<Publication<P>>) {
        let pattern = Pattern::from(&publication.topic);
        self.client.handle_handed(heard, &pattern, publication);
        self.relay.handle_handed(&pattern, publication);
    }
}
