//! Presences as they cross: who is tracked and watched as numbers, the metas in slots, and what is told of keys as notes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::client::PresenceEvent;
use tidegate_core::presence::{
    Absent, Key, KeyChange, KeyError, NodeId, PresenceDiff, PresenceId, PresenceState, Present,
};
use tidegate_core::protocol::{ErrorCode, ServerFrame, WireError};
use tidegate_core::topic::Topic;

use crate::client::{CLIENTS, ClientHub};
use crate::clock::instant;
use crate::errors::{number_or_failed, plain};
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
    client_add_join = add_join(key: u32, node: f64, clock: f64, slot: u32) -> u32;
    client_add_leave = add_leave(key: u32, node: f64, clock: f64) -> u32;
    client_drop_presences = drop_presences();
    client_handle_presences = handle_presences(now_ms: f64, link: u32, topic: u32, is_state: bool) -> u32;
}

/// The presences of a frame that is being handed over, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    joins: Vec<Present<Handle>>,
    leaves: Vec<Absent>,
}

impl ClientHub {
    /// Is present in a topic, with the meta in `slot`. Returns the presence's number; -1 if the
    /// key is none, and then says why.
    #[expect(clippy::cast_precision_loss, reason = "numbers stay below 2^53")]
    fn handle_track(&mut self, now_ms: f64, topic: u32, key: u32, slot: u32) -> f64 {
        let meta = Handle::without_topic(slot);
        match self::key(&texts::take(key)) {
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
        self.with(|hub| hub.handle_retrack(instant(now_ms), whole(number), meta))
    }

    /// Ends a presence.
    fn handle_untrack(&mut self, now_ms: f64, number: f64) -> u32 {
        self.with(|hub| hub.handle_untrack(instant(now_ms), whole(number)))
    }

    /// Wants to know who is present in a topic.
    fn handle_watch(&mut self, now_ms: f64, topic: u32) -> u32 {
        self.with(|hub| hub.handle_watch(instant(now_ms), &topics::topic(topic)))
    }

    /// Wants to know it no more.
    fn handle_unwatch(&mut self, now_ms: f64, topic: u32) -> u32 {
        self.with(|hub| hub.handle_unwatch(instant(now_ms), &topics::topic(topic)))
    }

    /// Adds a meta that came to the frame that the next call hands over, or fails where the key is none.
    fn add_join(&mut self, key: u32, node: f64, clock: f64, slot: u32) -> u32 {
        let meta = Handle::without_topic(slot);
        let id = id(node, clock);
        number_or_failed(self::key(&texts::take(key)).map(|key| {
            self.staged.joins.push(Present { id, key, meta });
            0
        }))
    }

    /// Adds a meta that went, likewise.
    fn add_leave(&mut self, key: u32, node: f64, clock: f64) -> u32 {
        let id = id(node, clock);
        number_or_failed(self::key(&texts::take(key)).map(|key| {
            self.staged.leaves.push(Absent { key, id });
            0
        }))
    }

    /// Forgets what was added: the frame is not sound.
    fn drop_presences(&mut self) {
        self.staged = Staged::default();
    }

    /// All presences of a topic came (`is_state`), or what has changed about them.
    fn handle_presences(&mut self, now_ms: f64, link: u32, topic: u32, is_state: bool) -> u32 {
        let Staged { joins, leaves } = core::mem::take(&mut self.staged);
        let topic = topics::topic(topic);
        let frame = if is_state {
            let present = joins;
            ServerFrame::PresenceState(Arc::new(PresenceState { topic, present }))
        } else {
            ServerFrame::PresenceDiff(Arc::new(PresenceDiff {
                topic,
                joins,
                leaves,
            }))
        };
        self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))
    }
}

fn key(text: &str) -> Result<Key, WireError> {
    Key::new(text).map_err(|error| {
        // The error's own words would bring formatting that nothing else here needs.
        let message = match error {
            KeyError::Empty => "an empty key; write who is present, such as a user's id",
            KeyError::TooLong { .. } => {
                "a key of more than 255 bytes; what describes it belongs into the meta"
            }
            KeyError::ControlCharacter { .. } => "a control character in a key; remove it",
        };
        WireError::new(ErrorCode::BadFrame, message)
    })
}

fn id(node: f64, clock: f64) -> PresenceId {
    PresenceId {
        node: NodeId::new(whole(node)),
        clock: whole(clock),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers, and a cast saturates"
)]
const fn whole(number: f64) -> u64 {
    number as u64
}

/// Writes what there is to tell of presences, as notes.
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

/// A key that has changed, and the slots of the metas that it has now: none, where it has left.
fn change(hub: &AnyHub, topic: &Topic, change: &KeyChange<Handle>) -> Object {
    let roster = hub.roster(topic);
    let metas = roster
        .into_iter()
        .flat_map(|roster| roster.metas(&change.key));
    Object::new()
        .text("key", change.key.as_str())
        .numbers("metas", metas.map(|(_, meta)| u64::from(meta.slot())))
}
