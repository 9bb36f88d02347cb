//! Handing on without being asked: a host that calls handlers by itself need not ask the core about each publication.
//!
//! Where everybody who subscribes to a topic by its name gets each publication at once, and one has just been handed to
//! them, the next one needs no decision: whatever continues it goes to the same. The core says so with a *licence*. While
//! it stands, the host hands on what comes over the same link, by no wildcard, of the same epoch, with the next offset and
//! without an end, and nothing else; and tells by [`ClientHub::handle_handed`] how far it has come before it asks the hub for
//! anything but to handle publications of other topics. All licences end when [`ClientHub::changes`] does not say what it
//! said before; a topic's own ends when the hub is handed a publication of it.

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

/// Counts what ends all licences.
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

/// Whether licences end with what has happened: anything that may change whom a publication reaches, or what continues it.
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
    /// Whether the host may hand on what continues the publication of `topic` that the hub has just handed on, to those to
    /// whom it was due. Not where the hub itself must know what each was handed: of a durable subscription.
    pub fn has_licence(&self, topic: &Topic) -> bool {
        let pattern = Pattern::from(topic);
        !self.is_durable(&pattern) && self.relay.hands_on_at_once(&pattern)
    }

    /// Counts what has ended all licences.
    pub const fn changes(&self) -> u64 {
        self.changes.count()
    }

    /// Publications of a topic were handed on by licence, up to this one, when something was last heard of the server at
    /// `heard`.
    pub fn handle_handed(&mut self, heard: Instant, publication: &Arc<Publication<P>>) {
        let pattern = Pattern::from(&publication.topic);
        self.client.handle_handed(heard, &pattern, publication);
        self.relay.handle_handed(&pattern, publication);
    }
}
