//! The link from a shard to where its topics live.
//!
//! There are no rules here. What the core asks for is carried out: by a thread if topics live in a backend, and at once if they live in
//! this process. What the backend delivers goes to the shard as commands.

mod calls;
mod here;
mod in_flight;
mod inbox;
mod reach;
mod thread;

use std::sync::Arc;

use serde::Serialize;
use tidegate_core::hub::{Disconnect, DisconnectsEnvelope};
use tidegate_core::presence::{PresenceEnvelope, PresenceMessage};
use tidegate_core::session::{Claim, ClaimsEnvelope};
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall};
use tokio::sync::oneshot;

use crate::hub::Publication;
use crate::json::Json;
use inbox::Inbox;

pub(crate) use thread::Link;

/// A shard's end of the link. Dropping it unregisters the shard at the other end.
pub(crate) struct Uplink {
    way: Way,
    inbox: Arc<Inbox>,
}

enum Way {
    Thread(thread::Sender),
    Here(here::Here),
}

impl Uplink {
    /// Carries out a call. If that takes time, this returns `None`, and the answer comes as a command.
    pub(crate) fn call(&self, id: CallId, call: UplinkCall<Json>) -> Option<UplinkAnswer<Json>> {
        match &self.way {
            Way::Thread(sender) => {
                sender.call(id, call);
                None
            }
            Way::Here(here) => Some(here.answer(call)),
        }
    }

    /// Tells other servers and shards about presences. If too much is waiting already, the message is lost.
    pub(crate) fn broadcast_presence(&self, message: &PresenceMessage<Json>) {
        self.broadcast(&PresenceEnvelope::from(message));
    }

    /// Tells other servers and shards about connections that tabs share. If too much is waiting already, the message is lost.
    pub(crate) fn broadcast_claims(&self, claims: Vec<Claim>) {
        self.broadcast(&ClaimsEnvelope::from(claims));
    }

    /// Tells other servers and shards whose connections to end, and answers once the message is out. If the message is lost, for example
    /// because too much is waiting already, the shard is told by a command.
    pub(crate) fn broadcast_disconnects(
        &self,
        disconnects: Vec<Disconnect>,
        reply: Option<oneshot::Sender<()>>,
    ) {
        let text = text(&DisconnectsEnvelope::from(disconnects));
        match &self.way {
            Way::Thread(sender) => sender.broadcast_surely(text, reply),
            Way::Here(_) => self.send(text, reply),
        }
    }

    /// Tells other servers and shards about progress, and answers once the message is out. If too much is waiting already, the message is
    /// lost.
    pub(crate) fn broadcast_progress(&self, text: String, reply: oneshot::Sender<()>) {
        self.send(text, Some(reply));
    }

    fn broadcast(&self, envelope: &impl Serialize) {
        self.send(text(envelope), None);
    }

    fn send(&self, text: String, reply: Option<oneshot::Sender<()>>) {
        match &self.way {
            Way::Thread(sender) => sender.broadcast(text, reply),
            Way::Here(here) => {
                here.broadcast(&text);
                if let Some(reply) = reply {
                    // The caller may be gone.
                    let _ = reply.send(());
                }
            }
        }
    }

    /// Notes that the shard has taken over a broadcast of `bytes` bytes.
    pub(crate) fn count_broadcast_taken(&self, bytes: usize) {
        self.inbox.count_broadcast_taken(bytes);
    }

    /// Notes that the shard has taken over a publication that was delivered to it.
    pub(crate) fn count_taken(&self, publication: &Publication) {
        self.inbox.count_taken(publication);
    }

    /// Notes that the shard is about to read again what it missed.
    pub(crate) fn acknowledge_missed(&self) {
        self.inbox.acknowledge_missed();
    }
}

fn text(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).expect("messages have a JSON form")
}
