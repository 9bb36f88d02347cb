//! Tracking and watching presences in this page, and the events about them. A worker needs none of this.

use tidegate_core::client::PresenceEvent;
use tidegate_core::presence::KeyChange;
use tidegate_core::topic::Topic;

use crate::client::{CLIENTS, ClientHub};
use crate::clock::instant;
use crate::errors::plain;
use crate::exports::exports;
use crate::json::Object;
use crate::slot::Handle;
use crate::{AnyHub, records, texts, topics};

exports! { CLIENTS:
    client_handle_track = handle_track(now_ms: f64, topic: u32, key: u32, slot: u32) -> f64;
    client_handle_retrack = handle_retrack(now_ms: f64, number: f64, slot: u32) -> u32;
    client_handle_untrack = handle_untrack(now_ms: f64, number: f64) -> u32;
    client_handle_watch = handle_watch(now_ms: f64, topic: u32) -> u32;
    client_handle_unwatch = handle_unwatch(now_ms: f64, topic: u32) -> u32;
}

impl ClientHub {
    /// Tracks a key in a topic, with the meta in `slot`. Returns the presence's number, or -1 with an error if the key
    /// is invalid.
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    fn handle_track(&mut self, now_ms: f64, topic: u32, key: u32, slot: u32) -> f64 {
        let meta = Handle::without_topic(slot);
        match super::key(&texts::take(key)) {
            Ok(key) => {
                let topic = topics::topic(topic);
                self.hub.handle_track(instant(now_ms), topic, key, meta) as f64
            }
            Err(error) => {
                records::begin();
                let error = Object::new()
                    .text("code", "bad_option")
                    .text("message", &error.message);
                records::add_text(&error.close());
                -1.0
            }
        }
    }

    /// Changes a presence's meta to the one in `slot`.
    fn handle_retrack(&mut self, now_ms: f64, number: f64, slot: u32) -> u32 {
        let meta = Handle::without_topic(slot);
        self.with(|hub| hub.handle_retrack(instant(now_ms), super::whole(number), meta))
    }

    /// Ends a presence.
    fn handle_untrack(&mut self, now_ms: f64, number: f64) -> u32 {
        self.with(|hub| hub.handle_untrack(instant(now_ms), super::whole(number)))
    }

    /// Starts watching the presences of a topic.
    fn handle_watch(&mut self, now_ms: f64, topic: u32) -> u32 {
        self.with(|hub| hub.handle_watch(instant(now_ms), &topics::topic(topic)))
    }

    /// Stops watching the presences of a topic.
    fn handle_unwatch(&mut self, now_ms: f64, topic: u32) -> u32 {
        self.with(|hub| hub.handle_unwatch(instant(now_ms), &topics::topic(topic)))
    }
}

/// Writes an event about presences as a note.
pub(crate) fn push(hub: &AnyHub, event: &PresenceEvent<Handle>) {
    records::push_note(match event {
        PresenceEvent::State { topic, changes } => {
            told(hub, topic, changes).optional_flag("state", Some(true))
        }
        PresenceEvent::Changed { topic, changes } => told(hub, topic, changes),
        PresenceEvent::TrackRefused { number, error } => Object::new()
            .text("note", "untracked")
            .number("number", *number)
            .object("error", plain(error)),
        PresenceEvent::WatchRefused { topic, error } => Object::new()
            .text("note", "unwatched")
            .text("topic", topic.as_str())
            .object("error", plain(error)),
    });
}

fn told(hub: &AnyHub, topic: &Topic, changes: &[KeyChange<Handle>]) -> Object {
    let note = Object::new()
        .text("note", "presence")
        .text("topic", topic.as_str());
    note.list(
        "changes",
        changes
            .iter()
            .map(|change| self::change(hub, topic, change)),
    )
}

/// A key that has changed, and the slots of the metas that it has now: none, if it has left.
fn change(hub: &AnyHub, topic: &Topic, change: &KeyChange<Handle>) -> Object {
    let roster = hub.roster(topic);
    let metas = roster
        .into_iter()
        .flat_map(|roster| roster.metas(&change.key));
    Object::new()
        .text("key", change.key.as_str())
        .numbers("metas", metas.map(|(_, meta)| u64::from(meta.slot())))
}
