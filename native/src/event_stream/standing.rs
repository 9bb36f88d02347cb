//! The state of a stream, and its events: those of what it asked for, each with the id to resume after it, and those of the room that it is
//! in.

use std::io::Write as _;

use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::{Pattern, Topic};

use super::{Beginning, PositionId};
use crate::encode::{self, Encoder, Message};
use crate::json::Json;

/// The name of the events of a user's room. A stream that asked for something else delivers them only under this name.
const ROOM_EVENT: &str = "user";

/// A stream's position in its topics, and its room.
pub(crate) struct Standing {
    pub(crate) id: PositionId,
    /// The room that it is in, in addition to what it asked for.
    pub(crate) room: Option<Topic>,
    beginning: Beginning,
    /// How many of the subscriptions that it asked for are not confirmed yet.
    unanswered: usize,
}

impl Standing {
    /// The state of a stream that asked for these patterns. `given_back` is the id that its reader sent back.
    pub(crate) fn new(
        patterns: &[Pattern],
        given_back: Option<PositionId>,
        room: Option<Topic>,
        beginning: Beginning,
    ) -> Self {
        Self {
            id: given_back.unwrap_or_else(|| PositionId::new(patterns)),
            room,
            beginning,
            unanswered: patterns.len(),
        }
    }

    /// Appends the event of a frame, with the id to resume after it. Frames that mean nothing to a reader append nothing.
    pub(crate) fn write_event(
        &mut self,
        out: &mut Vec<u8>,
        frame: &ServerFrame<Json>,
        encoder: &mut Encoder,
    ) {
        if self.is_of_room(frame) {
            return write_room_event(out, frame, encoder);
        }
        let name = match frame {
            ServerFrame::Publication { publication, .. } => {
                self.id.advance(&publication.topic, publication.position);
                None
            }
            ServerFrame::Batch { items, .. } => {
                for item in items {
                    self.id.advance(&item.topic, item.position);
                }
                Some("batch")
            }
            ServerFrame::Reset { topic, .. } => {
                self.id.forget(topic);
                Some("reset")
            }
            ServerFrame::Lagged { .. } => Some("lagged"),
            ServerFrame::End { .. } => Some("end"),
            ServerFrame::Stale => Some("stale"),
            ServerFrame::Live => Some("live"),
            ServerFrame::Subscribed {
                pattern, position, ..
            } => return self.begin(out, pattern, *position),
            // A stream within the process, as this one is, gets complete values.
            ServerFrame::Delta { .. }
            | ServerFrame::Welcome { .. }
            | ServerFrame::Unsubscribed { .. }
            | ServerFrame::Published { .. }
            | ServerFrame::PresenceState(_)
            | ServerFrame::PresenceDiff(_)
            | ServerFrame::Error(_)
            | ServerFrame::Ping
            | ServerFrame::Pong
            | ServerFrame::Drain { .. } => return,
        };
        if let Some(name) = name {
            write_name(out, name);
        }
        // An event without an id would keep the last one, so each has its own.
        self.id.write_line(out);
        write_data(out, &encoder.message(frame));
    }

    /// Notes that a subscription is confirmed. Once all are, the reader gets an id: without one, a reader that reconnects starts anew, and
    /// silently misses what was published meanwhile.
    fn begin(&mut self, out: &mut Vec<u8>, pattern: &Pattern, position: Option<Position>) {
        if self.unanswered == 0 {
            return;
        }
        self.unanswered -= 1;
        self.id.begin(pattern, position, self.beginning);
        if self.unanswered == 0 {
            self.id.write_beginning(out, self.beginning);
        }
    }

    /// Whether a publication's event is the same for all streams of only its topic, and this is one of them.
    pub(crate) fn shares(&self, publication: &Publication<Json>) -> bool {
        matches!(self.id, PositionId::One(..)) && self.room.as_ref() != Some(&publication.topic)
    }

    fn is_of_room(&self, frame: &ServerFrame<Json>) -> bool {
        let Some(room) = &self.room else {
            return false;
        };
        let is_room = |pattern: &Pattern| pattern.exact().is_some_and(|topic| topic == *room);
        match frame {
            ServerFrame::Publication { publication, .. } => publication.topic == *room,
            ServerFrame::Reset { topic, .. } => topic == room,
            ServerFrame::Lagged { pattern, .. }
            | ServerFrame::End { pattern, .. }
            | ServerFrame::Subscribed { pattern, .. } => is_room(pattern),
            _ => false,
        }
    }
}

/// Appends the event of a frame of the room. It has no id, so that a browser keeps the one to resume from.
fn write_room_event(out: &mut Vec<u8>, frame: &ServerFrame<Json>, encoder: &mut Encoder) {
    if !matches!(frame, ServerFrame::Subscribed { .. }) {
        write_name(out, ROOM_EVENT);
        write_data(out, &encoder.message(frame));
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
}

/// Appends the event of a publication, which is the same for all streams of only its topic.
pub(crate) fn write_publication(out: &mut Vec<u8>, publication: &Publication<Json>) {
    writeln!(out, "id: {}", publication.position).expect("a Vec takes every write");
    write_data(out, encode::publication_message(publication));
}

fn write_data(out: &mut Vec<u8>, message: &Message) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(message.text_bytes());
    out.extend_from_slice(b"\n\n");
}
