//! How presences cross the boundary: tracks and watches as numbers, metas in slots, and changes of keys as notes.

#[cfg(not(feature = "worker"))]
mod wishes;

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::presence::{
    Absent, Key, KeyError, NodeId, PresenceDiff, PresenceId, PresenceState, Present,
};
use tidegate_core::protocol::{ErrorCode, ServerFrame, WireError};

use crate::client::{CLIENTS, ClientHub};
use crate::clock::instant;
use crate::errors::number_or_failed;
use crate::exports::exports;
use crate::slot::Handle;
use crate::{texts, topics};
#[cfg(not(feature = "worker"))]
pub(crate) use wishes::push;

exports! { CLIENTS:
    client_add_join = add_join(key: u32, node: f64, clock: f64, slot: u32) -> u32;
    client_add_leave = add_leave(key: u32, node: f64, clock: f64) -> u32;
    client_drop_presences = drop_presences();
    client_handle_presences = handle_presences(now_ms: f64, link: u32, topic: u32, is_state: bool) -> u32;
}

/// The presences of a frame, which are handed over one by one.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    joins: Vec<Present<Handle>>,
    leaves: Vec<Absent>,
}

impl ClientHub {
    /// Adds a meta that joined to the frame of the next call. Fails if the key is invalid.
    fn add_join(&mut self, key: u32, node: f64, clock: f64, slot: u32) -> u32 {
        let meta = Handle::without_topic(slot);
        let id = id(node, clock);
        number_or_failed(self::key(&texts::take(key)).map(|key| {
            self.staged.joins.push(Present { id, key, meta });
            0
        }))
    }

    /// Adds a meta that left, likewise.
    fn add_leave(&mut self, key: u32, node: f64, clock: f64) -> u32 {
        let id = id(node, clock);
        number_or_failed(self::key(&texts::take(key)).map(|key| {
            self.staged.leaves.push(Absent { key, id });
            0
        }))
    }

    /// Drops what was added: the frame is invalid.
    fn drop_presences(&mut self) {
        self.staged = Staged::default();
    }

    /// Handles all presences of a topic (`is_state`), or changes to them.
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
        // The error's own message would bring in formatting code that nothing else here needs.
        let message = match error {
            KeyError::Empty => "an empty key; write who is present, such as a user's id",
            KeyError::TooLong { .. } => {
                "a key of more than 255 bytes; put what describes it into the meta"
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
