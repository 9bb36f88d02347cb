//! The way from a shard to where its topics live.
//!
//! There is no rule here: what the core asks for is carried out, by a thread where topics live in a backend, at once
//! where they live in this process. What is heard goes to the shard as commands.

mod calls;
mod heard;
mod here;
mod reach;
mod thread;
mod under_way;

use std::sync::Arc;

use serde::Serialize;
use tidegate_core::hub::{Disconnect, DisconnectsEnvelope};
use tidegate_core::presence::{PresenceEnvelope, PresenceMessage};
use tidegate_core::session::{Claim, ClaimsEnvelope};
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall};
use tokio::sync::oneshot;

use crate::hub::Publication;
use crate::json::Json;
use heard::Heard;

pub(crate) use thread::Link;

/// A shard's end of the way. Dropping it says goodbye at the other end.
pub(crate) struct Uplink {
    way: Way,
    heard: Arc<Heard>,
}

enum Way {
    Thread(thread::Sender),
    Here(here::Here),
}

impl Uplink {
    /// Carries a call out. Where that takes time, the answer comes as a command.
    pub(crate) fn call(&self, id: CallId, call: UplinkCall<Json>) -> Option<UplinkAnswer<Json>> {
        match &self.way {
            Way::Thread(sender) => {
                sender.call(id, call);
                None
            }
            Way::Here(here) => Some(here.answer(call)),
        }
    }

    /// Tells other servers and shards about presences. Where too much waits already, it is lost.
    pub(crate) fn broadcast_presence(&self, message: &PresenceMessage<Json>) {
        self.broadcast(&PresenceEnvelope::from(message));
    }

    /// Tells other servers and shards of connections that tabs share. Where too much waits already, it is lost.
    pub(crate) fn broadcast_claims(&self, claims: Vec<Claim>) {
        self.broadcast(&ClaimsEnvelope::from(claims));
    }

    /// Tells other servers and shards of users whose connections are ended, and answers once that is out. Where it is lost, as when too much
    /// waits already, the shard is told by a command.
    pub(crate) fn broadcast_disconnects(
        &self,
        disconnects: Vec<Disconnect>,
        reply: Option<oneshot::Sender<()>>,
    ) {
        let text = text(&DisconnectsEnvelope::from(disconnects));
        match &self.way {
            Way::Thread(sender) => sender.broadcast_surely(text, reply),
            Way::Here(_) => self.say(text, reply),
        }
    }

    /// Tells other servers and shards about progress, and answers once that is out. Where too much waits already, it is
    /// lost.
    pub(crate) fn broadcast_progress(&self, text: String, reply: oneshot::Sender<()>) {
        self.say(text, Some(reply));
    }

    fn broadcast(&self, envelope: &impl Serialize) {
        self.say(text(envelope), None);
    }

    fn say(&self, text: String, reply: Option<oneshot::Sender<()>>) {
        match &self.way {
            Way::Thread(sender) => sender.broadcast(text, reply),
            Way::Here(here) => {
                here.broadcast(&text);
                if let Some(reply) = reply {
                    // Whoever asked may have gone.
                    let _ = reply.send(());
                }
            }
        }
    }

    /// The shard has taken over a broadcast of so many bytes.
    pub(crate) fn count_broadcast_taken(&self, bytes: usize) {
        self.heard.count_broadcast_taken(bytes);
    }

    /// The shard has taken over a publication that was heard.
    pub(crate) fn count_taken(&self, publication: &Publication) {
        self.heard.count_taken(publication);
    }

    /// The shard is about to read again what was missed.
    pub(crate) fn acknowledge_missed(&self) {
        self.heard.acknowledge_missed();
    }
}

fn text(envelope: &impl Serialize) -> String {
    serde_json::to_string(envelope).expect("messages have a JSON form")
}
